"""The contracts' own views at a snapshot's block, against what was stored. Nothing is written."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from analyzer.evm import Block
from analyzer.protocol import Comparison, Deployment, StoredAccount, StoredPosition
from analyzer.protocols.perp_v2.contracts import order_id, role
from analyzer.protocols.perp_v2.deployment_options import liquidator
from analyzer.reads import Failed, Read, Reads, Values
from analyzer.rows import LIQUIDATABLE, SAFE, UNKNOWN

ACCOUNT_VIEWS: Final = {
    "accountValue": ("ClearingHouse", "getAccountValue"),
    "marginRequirement": ("AccountBalance", "getMarginRequirementForLiquidation"),
    "totalAbsPositionValue": ("AccountBalance", "getTotalAbsPositionValue"),
    "totalDebtValue": ("AccountBalance", "getTotalDebtValue"),
    "hasOrder": ("AccountBalance", "hasOrder"),
    "allPendingFunding": ("Exchange", "getAllPendingFundingPayment"),
    "vaultAccountValue": ("Vault", "getAccountValue"),
    "vaultIsLiquidatable": ("Vault", "isLiquidatable"),
    "settlementTokenValue": ("Vault", "getSettlementTokenValue"),
    "freeCollateral": ("Vault", "getFreeCollateral"),
    "collateralMarginRequirement": ("Vault", "getMarginRequirementForCollateralLiquidation"),
}
POSITION_VIEWS: Final = {
    "takerPositionSize": ("AccountBalance", "getTakerPositionSize"),
    "base": ("AccountBalance", "getBase"),
    "quote": ("AccountBalance", "getQuote"),
    "totalPositionSize": ("AccountBalance", "getTotalPositionSize"),
    "totalPositionValue": ("AccountBalance", "getTotalPositionValue"),
    "totalOpenNotional": ("AccountBalance", "getTotalOpenNotional"),
    "pendingFundingPayment": ("Exchange", "getPendingFundingPayment"),
}
LIQUIDATOR_LIMITS: Final = ("CH_NEFCI", "AB_MNE")
"""Reverts for want of the caller's own margin or room: the trader's side had passed before."""
TRADER_REFUSALS: Final = ("Pausable: paused", "CH_MNO", "CH_CLWTISO", "CH_EAV", "CH_PSZ")


def verify(
    deployment: Deployment, block: Block, accounts: Sequence[StoredAccount]
) -> Reads[Comparison]:
    """Verdicts, values and simulated liquidations of every account, in one batch of reads."""
    caller = liquidator(deployment) or _best_liquidator(accounts)
    questions: dict[Any, Read] = {
        ("fund",): role(deployment, "InsuranceFund").read("getInsuranceFundCapacity")
    }
    for account in accounts:
        questions |= _account_questions(deployment, account)
        for position in account.positions:
            questions |= _position_questions(deployment, account, position, caller)
    answers = yield questions
    comparison = Comparison()
    subject = f"block {block.number}"
    markets: set[str] = set()
    funds = set()
    for account in accounts:
        _compare_account(comparison, f"{subject} {account.account}", account, answers)
        funds.add(str(account.inputs.get("insuranceFundCapacity", "not told")))
        for position in account.positions:
            _compare_position(comparison, subject, account, position, answers)
            if position.market not in markets and position.inputs.get("status") == "open":
                markets.add(position.market)
                ours, key = position.inputs["markPrice"], ("mark", position.market)
                name = f"{subject} {position.market}"
                _compare(comparison, "value", name, "markPrice", ours, answers, key)
    for fund in sorted(funds - {"not told"}):
        theirs = _plain(answers["fund",])
        if "unknown" not in fund:
            comparison.compare("value", subject, "insuranceFundCapacity", fund, str(theirs))
    return comparison


def _best_liquidator(accounts: Sequence[StoredAccount]) -> str | None:
    """Who is most likely able to take a position over: who did so most often, or could at once.

    Among those who never did, an account without positions and the largest balance.
    """

    def ability(account: StoredAccount) -> tuple[int, bool, int]:
        return (
            int(account.inputs.get("liquidations", 0)),
            not account.positions,
            int(account.inputs.get("settlementBalance", 0)),
        )

    return max(accounts, key=ability).account if accounts else None


def _account_questions(deployment: Deployment, account: StoredAccount) -> dict[Any, Read]:
    trader = account.account
    questions: dict[Any, Read] = {
        (trader, name): role(deployment, contract).read(view, trader)
        for name, (contract, view) in ACCOUNT_VIEWS.items()
    }
    balance = role(deployment, "AccountBalance")
    vault = role(deployment, "Vault")
    questions[trader, "pnl"] = balance.read("getPnlAndPendingFee", trader)
    questions[trader, "settlementBalance"] = vault.read("getBalance", trader)
    if "mmRatio" in account.inputs:
        ratio = int(account.inputs["mmRatio"])
        questions[trader, "freeCollateralByMmRatio"] = vault.read(
            "getFreeCollateralByRatio", trader, ratio
        )
    for token in account.inputs.get("collaterals", {}):
        questions[trader, "balance", token] = vault.read("getBalanceByToken", trader, token)
        questions[trader, "repaid", token] = vault.read(
            "getMaxRepaidSettlementAndLiquidatableCollateral", trader, token
        )
    return questions


def _position_questions(
    deployment: Deployment, account: StoredAccount, position: StoredPosition, caller: str | None
) -> dict[Any, Read]:
    trader, market = account.account, position.market
    questions: dict[Any, Read] = {
        (trader, market, name): role(deployment, contract).read(view, trader, market)
        for name, (contract, view) in POSITION_VIEWS.items()
    }
    questions["mark", market] = role(deployment, "AccountBalance").read("getMarkPrice", market)
    if account.state == LIQUIDATABLE:
        questions[trader, market, "liquidatablePositionSize"] = role(
            deployment, "AccountBalance"
        ).read("getLiquidatablePositionSize", trader, market, int(account.outputs["accountValue"]))
    for order in position.inputs.get("orders", ()):
        ticks = int(order["lowerTick"]), int(order["upperTick"])
        key = (trader, market, "order", order_id(trader, market, *ticks))
        questions[key] = role(deployment, "OrderBook").read("getPendingFee", trader, market, *ticks)
    questions[trader, market, "liquidate"] = role(deployment, "ClearingHouse").read(
        "liquidate", trader, market, sender=caller
    )
    return questions


def _compare_account(
    comparison: Comparison, subject: str, account: StoredAccount, answers: Values
) -> None:
    trader = account.account
    if account.state == UNKNOWN:
        _compare_unknown(comparison, subject, account, answers)
        return
    for name in (*ACCOUNT_VIEWS, "freeCollateralByMmRatio"):
        kind = "verdict" if name == "vaultIsLiquidatable" else "value"
        ours = account.outputs[name]
        _compare(comparison, kind, subject, name, ours, answers, (trader, name))
    value, requirement = answers[trader, "accountValue"], answers[trader, "marginRequirement"]
    if isinstance(value, Failed) or isinstance(requirement, Failed):
        theirs = UNKNOWN
    else:
        theirs = LIQUIDATABLE if value < requirement else SAFE
    comparison.compare("verdict", subject, "margin", account.state, theirs)
    ours = account.inputs["settlementBalance"]
    _compare(
        comparison, "value", subject, "getBalance", ours, answers, (trader, "settlementBalance")
    )
    pnl = [
        account.inputs["owedRealizedPnl"],
        *map(account.outputs.get, ("unrealizedPnl", "pendingFee")),
    ]
    _compare(comparison, "value", subject, "getPnlAndPendingFee", pnl, answers, (trader, "pnl"))
    for token, balance in account.inputs["collaterals"].items():
        key = (trader, "balance", token)
        _compare(comparison, "value", subject, f"balance {token}", balance, answers, key)
        repaid = account.outputs["maxRepaidSettlementAndLiquidatableCollateral"][token]
        key = (trader, "repaid", token)
        _compare(comparison, "value", subject, f"repaid {token}", repaid, answers, key)


def _compare_unknown(
    comparison: Comparison, subject: str, account: StoredAccount, answers: Values
) -> None:
    """The contract must be unable to say as well; where it can, our ignorance is not agreement."""
    theirs = answers[account.account, "accountValue"]
    if isinstance(theirs, Failed) and theirs.reverted:
        comparison.compare("verdict", subject, "margin", UNKNOWN, UNKNOWN)
    else:
        comparison.skip(f"{subject}: {account.reason}")


def _compare_position(
    comparison: Comparison,
    subject: str,
    account: StoredAccount,
    position: StoredPosition,
    answers: Values,
) -> None:
    if not position.outputs:
        return
    trader, market = account.account, position.market
    name = f"{subject} {trader} {market}"
    views = [*POSITION_VIEWS]
    if account.state == LIQUIDATABLE:
        views.append("liquidatablePositionSize")
    for view in views:
        ours = position.outputs[view]
        _compare(comparison, "value", name, view, ours, answers, (trader, market, view))
    for order in position.inputs["orders"]:
        ticks = int(order["lowerTick"]), int(order["upperTick"])
        key = (trader, market, "order", order_id(trader, market, *ticks))
        _compare(comparison, "value", name, "pendingFee", order["pendingFee"], answers, key)
    ours = str(position.outputs["liquidate"])
    theirs = _outcome(answers[trader, market, "liquidate"])
    if ours.startswith(UNKNOWN):
        comparison.skip(f"{name} liquidate: {ours}")
    elif theirs in LIQUIDATOR_LIMITS:
        passed = ours not in TRADER_REFUSALS
        comparison.compare("verdict", name, f"liquidate before {theirs}", passed, True)
    else:
        comparison.compare("verdict", name, "liquidate", ours, theirs)


def _compare(
    comparison: Comparison,
    kind: str,
    subject: str,
    name: str,
    ours: Any,
    answers: Values,
    key: Any,
) -> None:
    """One view; a revert of theirs is met by the same reason of ours."""
    theirs = answers[key]
    if isinstance(ours, Mapping) and "unknown" in ours:
        comparison.skip(f"{subject} {name}: {ours['unknown']}")
    elif isinstance(ours, Mapping) and isinstance(theirs, Failed):
        agrees = str(ours.get("revert", "")).endswith(_outcome(theirs))
        comparison.compare(
            kind, subject, name, _outcome(theirs) if agrees else ours, _outcome(theirs)
        )
    else:
        comparison.compare(kind, subject, name, _plain(ours), _plain(theirs))


def _plain(value: Any) -> Any:
    if isinstance(value, Failed):
        return f"reverts: {_outcome(value)}"
    return list(value) if isinstance(value, tuple) else value


def _outcome(answer: Any) -> str:
    """``OK``, or the contract's own reason without our words around it."""
    if not isinstance(answer, Failed):
        return "OK"
    if not answer.reverted:
        return f"unknown: {answer.reason}"
    reason = answer.reason.partition(" reverted: ")[2]
    return "" if reason == "no reason given" else reason
