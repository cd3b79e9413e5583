"""Comparing with a file of recorded contract answers: snapshots, and bisected verdict flips."""

from collections.abc import Mapping
from typing import Any, Final

from analyzer.evm import ZERO_ADDRESS
from analyzer.protocol import Comparison
from analyzer.protocols.perp_v2.account import (
    MarginAccount,
    System,
    value_account,
)
from analyzer.protocols.perp_v2.liquidation import Liquidator, Seizure, liquidate, seize
from analyzer.protocols.perp_v2.market_twap import get_sqrt_market_twap_x96
from analyzer.protocols.perp_v2.orders import get_pending_fee
from analyzer.protocols.perp_v2.outputs import (
    account_outputs,
    collateral_outputs,
    position_outputs,
)
from analyzer.protocols.perp_v2.perp_math import parse_settlement_token
from analyzer.protocols.perp_v2.state import Account, attempt
from analyzer.protocols.perp_v2.vectors import (
    REVERTED,
    SETTLEMENT_DECIMALS,
    account_of,
    answer_of,
    number,
    system_of,
)
from analyzer.protocols.perp_v2.verify_flips import compare_answer, verify_flip
from analyzer.reads import Failed, MissingError
from analyzer.units import UINT256_MAX, ceil_div

ACCOUNT_ANSWERS: Final = {
    "accountValue_1e18": "accountValue",
    "vaultAccountValue_1e6": "vaultAccountValue",
    "settlementTokenValue_1e6": "settlementTokenValue",
    "freeCollateral_1e6": "freeCollateral",
    "freeCollateralByMmRatio_1e6": "freeCollateralByMmRatio",
    "marginRequirement_1e18": "marginRequirement",
    "collateralMarginRequirement_1e18": "collateralMarginRequirement",
    "totalAbsPositionValue": "totalAbsPositionValue",
    "totalDebtValue": "totalDebtValue",
    "unrealizedPnl": "unrealizedPnl",
    "pendingFee": "pendingFee",
    "allPendingFunding": "allPendingFunding",
    "hasOrder": "hasOrder",
}
VERDICTS: Final = {
    "liquidatable_by_margin": "isLiquidatable",
    "vault_isLiquidatable": "vaultIsLiquidatable",
}
POSITION_ANSWERS: Final = {
    "getBase": "base",
    "getQuote": "quote",
    "getTakerPositionSize": "takerPositionSize",
    "totalPositionSize": "totalPositionSize",
    "totalPositionValue": "totalPositionValue",
    "totalOpenNotional": "totalOpenNotional",
    "pendingFundingPayment": "pendingFundingPayment",
    "liquidatablePositionSize": "liquidatablePositionSize",
}
EMPTY_FUND: Final = Account(
    trader=ZERO_ADDRESS,
    settlement_balance=0,
    owed_realized_pnl=0,
    positions={},
    collaterals={},
    debt_threshold=0,
)
TWAP: Final = "sqrtMarketTwapX96_"


def verify_vectors(document: Mapping[str, Any]) -> Comparison:
    """Every recorded answer of the file against ours; what cannot be compared is counted."""
    comparison = Comparison()
    systems: dict[int, System] = {}
    capacities: dict[int, int] = {}
    accounts: dict[int, dict[str, Account]] = {}
    liquidator = document.get("meta", {}).get("liquidator", "").lower()
    for snapshot in document["snapshots"]:
        block = number(snapshot["block"])
        try:
            systems[block] = system_of(snapshot)
            accounts[block] = {a.trader: a for a in map(account_of, snapshot["accounts"])}
        except MissingError as error:
            comparison.skip(f"block {block}: {error}")
            continue
        _verify_markets(comparison, snapshot, systems[block])
        margins = {
            trader: value_account(systems[block], account)
            for trader, account in accounts[block].items()
        }
        capacities[block] = _insurance_fund_capacity(snapshot, margins)
        caller = _caller(capacities[block], accounts[block].get(liquidator))
        for recorded in snapshot["accounts"]:
            margin = margins[recorded["account"].lower()]
            _verify_account(comparison, snapshot, recorded, margin)
            _verify_liquidations(comparison, snapshot, recorded, margin, caller)
    for flip in document.get("flips", ()):
        block, trader = number(flip["block"]), flip["account"].lower()
        if trader not in accounts.get(block, {}):
            comparison.skip(f"block {block} {trader}: the flip's snapshot was not recorded")
            continue
        caller = _caller(capacities[block], None)
        verify_flip(comparison, flip, systems[block], accounts[block][trader], caller)
    return comparison


def _caller(capacity: int, account: Account | None) -> Liquidator:
    return Liquidator(insurance_fund=EMPTY_FUND, insurance_fund_wallet=capacity, account=account)


def _insurance_fund_capacity(
    snapshot: Mapping[str, Any], margins: Mapping[str, MarginAccount]
) -> int:
    """What the fund can cover, which the file does not say: as much as it was seen to cover.

    Where it refused nothing it counts as endless; where it did, one amount must part all answers.
    """
    simulated = [
        (
            recorded["account"].lower(),
            position["baseToken"].lower(),
            _simulated(position["liquidate_sim"]),
        )
        for recorded in snapshot["accounts"]
        for position in recorded["positions"]
    ]
    if not any(answer == "CH_IIC" for _, _, answer in simulated):
        return UINT256_MAX
    covered = 0
    for trader, base_token, answer in simulated:
        seized = attempt(seize, margins[trader], base_token)
        if answer == "OK" and isinstance(seized, Seizure):
            unit = parse_settlement_token(1, SETTLEMENT_DECIMALS)
            needed = ceil_div(-seized.value_after, unit) - seized.insurance_fund_fee // unit
            covered = max(covered, needed)
    return covered


def _verify_markets(comparison: Comparison, snapshot: Mapping[str, Any], system: System) -> None:
    for recorded in snapshot["markets"]:
        priced = system.market(recorded["baseToken"].lower())
        subject = f"block {snapshot['block']} {recorded['name']}"
        mark = answer_of(recorded["markPrice"])
        compare_answer(comparison, "value", subject, "markPrice", priced.mark_price, mark)
        for name in recorded:
            if name.startswith(TWAP):
                interval = int(name.removeprefix(TWAP))
                ours = attempt(get_sqrt_market_twap_x96, priced.market, interval)
                compare_answer(comparison, "value", subject, name, ours, answer_of(recorded[name]))


def _verify_account(
    comparison: Comparison,
    snapshot: Mapping[str, Any],
    recorded: Mapping[str, Any],
    margin: MarginAccount,
) -> None:
    subject = f"block {snapshot['block']} {recorded['account']}"
    ours = account_outputs(margin)
    for kind, answers in (("value", ACCOUNT_ANSWERS), ("verdict", VERDICTS)):
        for theirs, name in answers.items():
            compare_answer(
                comparison, kind, subject, theirs, ours[name], answer_of(recorded[theirs])
            )
    for collateral in recorded["collaterals"]:
        name = "maxRepaidSettlement_and_maxLiquidatableCollateral"
        token, answer = collateral["token"].lower(), collateral[name]
        pair = answer_of(answer) if isinstance(answer, Mapping) else tuple(map(number, answer))
        compare_answer(comparison, "value", subject, name, collateral_outputs(margin, token), pair)
    for position in recorded["positions"]:
        base_token = position["baseToken"].lower()
        outputs = position_outputs(margin, base_token)
        for theirs, name in POSITION_ANSWERS.items():
            compare_answer(
                comparison,
                "value",
                f"{subject} {base_token}",
                theirs,
                outputs[name],
                answer_of(position[theirs]),
            )
        priced, state = margin.system.market(base_token), margin.account.positions[base_token]
        for order, known_order in zip(position["orders"], state.orders, strict=True):
            fee = get_pending_fee(priced.market, known_order)
            recorded_fee = answer_of(order["pendingFee"])
            compare_answer(
                comparison, "value", f"{subject} {order['id']}", "pendingFee", fee, recorded_fee
            )


def _verify_liquidations(
    comparison: Comparison,
    snapshot: Mapping[str, Any],
    recorded: Mapping[str, Any],
    margin: MarginAccount,
    caller: Liquidator,
) -> None:
    for position in recorded["positions"]:
        base_token = position["baseToken"].lower()
        subject = f"block {snapshot['block']} {recorded['account']} {base_token}"
        theirs = _simulated(position["liquidate_sim"])
        outcome = attempt(liquidate, margin, base_token, caller)
        if isinstance(outcome, Failed) and not outcome.reverted:
            comparison.skip(f"{subject} liquidate_sim: {outcome.reason}")
            continue
        ours = outcome.reason if isinstance(outcome, Failed) else "OK"
        comparison.compare("verdict", subject, "liquidate_sim", ours, theirs)


def _simulated(answer: Any) -> str:
    """A simulated ``liquidate``: ``OK``, or the reason of its revert."""
    if isinstance(answer, Mapping):
        return str(answer_of(answer).reason)
    return str(answer).removeprefix(REVERTED).removeprefix(": ")
