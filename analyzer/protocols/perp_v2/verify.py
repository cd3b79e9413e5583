"""The contracts' own views at a snapshot's block, against what was stored. Nothing is written."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from analyzer.evm import Block
from analyzer.protocol import Comparison, Deployment, StoredAccount, StoredPosition
from analyzer.protocols.perp_v2.contracts import order_id, role
from analyzer.protocols.perp_v2.deployment_options import liquidator
from analyzer.protocols.perp_v2.verify_questions import (
    ACCOUNT_VIEWS,
    POSITION_VIEWS,
    account_questions,
    best_liquidator,
    orders_of,
    position_questions,
)
from analyzer.reads import Failed, Read, Reads, Values
from analyzer.rows import LIQUIDATABLE, SAFE, UNKNOWN

ACCOUNT_INPUTS: Final = ("settlementBalance", "owedRealizedPnl", "collaterals", "mmRatio")
POSITION_INPUTS: Final = ("status", "takerPositionSize", "takerOpenNotional", "orders")
LIQUIDATOR_LIMITS: Final = ("CH_NEFCI", "AB_MNE")
"""Reverts for want of the caller's own margin or room: the trader's side had passed before."""
TRADER_REFUSALS: Final = ("Pausable: paused", "CH_MNO", "CH_CLWTISO", "CH_EAV", "CH_PSZ")


def verify(
    deployment: Deployment, block: Block, accounts: Sequence[StoredAccount]
) -> Reads[Comparison]:
    """Verdicts, values and simulated liquidations of every account, in one batch of reads."""
    caller = liquidator(deployment) or best_liquidator(accounts)
    questions: dict[Any, Read] = {
        ("fund",): role(deployment, "InsuranceFund").read("getInsuranceFundCapacity")
    }
    for account in accounts:
        questions |= account_questions(deployment, account)
        for position in account.positions:
            questions |= position_questions(deployment, account, position, caller)
    answers = yield questions
    comparison = Comparison()
    subject = f"block {block.number}"
    markets: set[str] = set()
    funds: set[str] = set()
    for account in accounts:
        _compare_account(comparison, f"{subject} {account.account}", account, answers)
        fund = account.inputs.get("insuranceFundCapacity")
        funds |= set() if fund is None else {str(fund)}
        for position in account.positions:
            _compare_position(comparison, subject, account, position, answers)
            if position.market not in markets and position.inputs.get("status") == "open":
                markets.add(position.market)
                ours, key = position.inputs["markPrice"], ("mark", position.market)
                name = f"{subject} {position.market}"
                _compare(comparison, "value", name, "markPrice", ours, answers, key)
    for fund in sorted(funds):
        theirs = answers["fund",]
        if UNKNOWN in fund or (isinstance(theirs, Failed) and not theirs.reverted):
            comparison.skip(f"{subject} insuranceFundCapacity: {fund}, {_plain(theirs)}")
        else:
            comparison.compare("value", subject, "insuranceFundCapacity", fund, str(_plain(theirs)))
    return comparison


def _lacks(
    comparison: Comparison, subject: str, inputs: Mapping[str, Any], names: Sequence[str]
) -> bool:
    """Whether anything that answers are compared with is not known; it is skipped by name."""
    lacking = [name for name in names if inputs.get(name) is None]
    if lacking:
        comparison.skip(f"{subject} is unknown: {', '.join(lacking)}")
    return bool(lacking)


def _compare_account(
    comparison: Comparison, subject: str, account: StoredAccount, answers: Values
) -> None:
    trader = account.account
    if account.state == UNKNOWN:
        _compare_unknown(comparison, subject, account, answers)
        return
    if _lacks(comparison, subject, account.inputs, ACCOUNT_INPUTS):
        return
    for name in (*ACCOUNT_VIEWS, "freeCollateralByMmRatio"):
        kind = "verdict" if name == "vaultIsLiquidatable" else "value"
        ours = account.outputs[name]
        _compare(comparison, kind, subject, name, ours, answers, (trader, name))
    both = [answers[trader, name] for name in ("accountValue", "marginRequirement")]
    unread = [one.reason for one in both if isinstance(one, Failed) and not one.reverted]
    if unread:
        comparison.skip(f"{subject} margin: {unread[0]}")
    elif any(isinstance(one, Failed) for one in both):
        comparison.compare("verdict", subject, "margin", account.state, UNKNOWN)
    else:
        theirs = LIQUIDATABLE if both[0] < both[1] else SAFE
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
        comparison.skip(f"{subject} is unknown: {account.reason}")


def _compare_position(
    comparison: Comparison,
    subject: str,
    account: StoredAccount,
    position: StoredPosition,
    answers: Values,
) -> None:
    trader, market = account.account, position.market
    name = f"{subject} {trader} {market}"
    if not position.outputs or _lacks(comparison, name, position.inputs, POSITION_INPUTS):
        return
    views = [*POSITION_VIEWS]
    if account.state == LIQUIDATABLE:
        views.append("liquidatablePositionSize")
    for view in views:
        ours = position.outputs[view]
        _compare(comparison, "value", name, view, ours, answers, (trader, market, view))
    for ticks, order in orders_of(position):
        key = (trader, market, "order", order_id(trader, market, *ticks))
        _compare(comparison, "value", name, "pendingFee", order["pendingFee"], answers, key)
    ours = str(position.outputs["liquidate"])
    theirs = _outcome(answers[trader, market, "liquidate"])
    unknown = next((said for said in (ours, theirs) if said.startswith(UNKNOWN)), None)
    if unknown is not None:
        comparison.skip(f"{name} liquidate: {unknown}")
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
    if isinstance(theirs, Failed) and not theirs.reverted:
        comparison.skip(f"{subject} {name}: {theirs.reason}")
    elif isinstance(ours, Mapping) and "unknown" in ours:
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
