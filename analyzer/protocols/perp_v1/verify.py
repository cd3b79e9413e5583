"""The contracts' own answers against ours: every view of a position, and ``liquidate`` itself."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from analyzer.evm import Block
from analyzer.protocol import Comparison, Deployment, StoredAccount, StoredPosition
from analyzer.protocols.perp_v1.assess import OPTIONS, SUCCESS
from analyzer.protocols.perp_v1.contracts import clearing_house, contract, read
from analyzer.protocols.perp_v1.decimals import ONE
from analyzer.protocols.perp_v1.deployments import VIEWER
from analyzer.protocols.perp_v1.holdings import FIELDS
from analyzer.protocols.perp_v1.reading import revert_reason
from analyzer.reads import Failed, Read, Reads, Values
from analyzer.rows import LIQUIDATABLE, UNKNOWN
from analyzer.units import sdiv

SIMULATION: Final = "liquidate"
REVERTED: Final = "reverted: "
PAYMENT: Final = (
    "DecimalERC20: balance inconsistent", "DecimalERC20: transfer failed", "Fund not enough",
)  # fmt: skip
"""Reverts of a liquidation that its margin check let through: the tokens to settle it lack."""


def verify(
    deployment: Deployment, block: Block, accounts: Sequence[StoredAccount]
) -> Reads[Comparison]:
    """One round: positions, notionals, margin ratios, spreads, and a simulated liquidation each.

    ``liquidate`` is simulated where the deployment or its logs name a liquidator.
    """
    comparison = Comparison()
    held = [(account, position) for account in accounts for position in account.positions]
    questions: dict[Any, Read] = {}
    for account, position in held:
        asked = _questions(deployment, account, position)
        questions |= {(position.position_id, name): made for name, made in asked.items()}
    values = yield questions
    for account, position in held:
        theirs = Values(
            (name, values[position.position_id, name])
            for name in _questions(deployment, account, position)
        )
        missing = sorted(
            {v.reason for v in theirs.values() if isinstance(v, Failed) and not v.reverted}
        )
        if missing:
            comparison.skip(f"{position.position_id} at {block.number}: {missing[0]}")
        else:
            _compare(comparison, account, position, theirs)
    return comparison


def _questions(
    deployment: Deployment, account: StoredAccount, position: StoredPosition
) -> dict[str, Read]:
    house, amm = clearing_house(deployment), contract("Amm", position.market)
    arguments = (position.market, position.account)
    notional = "getPositionNotionalAndUnrealizedPnl"
    asked = {
        "getPosition": read(house, "getPosition", *arguments),
        "getMarginRatio": read(house, "getMarginRatio", *arguments),
        "getSpotPrice": read(amm, "getSpotPrice"),
        "isOverSpreadLimit": read(amm, "isOverSpreadLimit"),
        **{
            name: read(house, notional, *arguments, option.value)
            for name, option in OPTIONS.items()
        },
    }
    if VIEWER in deployment.contracts:
        viewer = contract("ClearingHouseViewer", deployment.contracts[VIEWER])
        asked[VIEWER] = read(viewer, "getPersonalPositionWithFundingPayment", *arguments)
    liquidator = account.inputs.get("liquidator")
    if liquidator:
        asked[SIMULATION] = read(house, SIMULATION, *arguments, sender=str(liquidator))
    return asked


def _compare(
    comparison: Comparison, account: StoredAccount, position: StoredPosition, theirs: Values
) -> None:
    subject, ours = position.position_id, position.outputs
    if account.state == UNKNOWN:
        _compare_unknown(comparison, account, subject, theirs)
        return
    stored = tuple(position.inputs[name] for name in FIELDS)
    comparison.compare("value", subject, "getPosition", stored, _said(theirs["getPosition"]))
    for name in ("getMarginRatio", "isOverSpreadLimit"):
        comparison.compare("value", subject, name, ours[name], _said(theirs[name]))
    for name in OPTIONS:
        comparison.compare("value", subject, name, _notional(ours[name]), _said(theirs[name]))
    if VIEWER in theirs:
        margin = ours["marginWithFundingPayment"]
        viewed = theirs[VIEWER]
        said = _said(viewed) if isinstance(viewed, Failed) else viewed[1]
        comparison.compare("value", subject, VIEWER, margin, said)
    verdict = account.state == LIQUIDATABLE
    comparison.compare("verdict", subject, "margin", verdict, _verdict(position, theirs))
    if SIMULATION in theirs:
        outcome = theirs[SIMULATION]
        said = revert_reason(outcome) if isinstance(outcome, Failed) else SUCCESS
        if said in PAYMENT and ours[SIMULATION] == SUCCESS:
            comparison.skip(
                f"{subject}: {SIMULATION}() would pass, but paying it out fails: {said}"
            )
        else:
            comparison.compare("verdict", subject, f"{SIMULATION}()", ours[SIMULATION], said)


def _compare_unknown(
    comparison: Comparison, account: StoredAccount, subject: str, theirs: Values
) -> None:
    """We predicted a revert of the contract's own check: it must be the one that happens."""
    reason = account.reason or ""
    if not reason.startswith(REVERTED):
        comparison.skip(f"{subject} is unknown: {reason}")
        return
    reasons = [revert_reason(value) for value in theirs.values() if isinstance(value, Failed)]
    ours = reason.removeprefix(REVERTED)
    comparison.compare("verdict", subject, "revert", ours, next(iter(reasons), "no revert"))


def _verdict(position: StoredPosition, theirs: Values) -> Any:
    """The margin check of ``liquidate`` on the contract's own views, or why they revert.

    No view has the ratio at the oracle's price: it is put together from the contract's notional and
    profit and our margin less funding, on which the other ratio has been compared.
    """
    for name in ("getMarginRatio", "isOverSpreadLimit", "oracle"):
        if isinstance(theirs[name], Failed):
            return _said(theirs[name])
    ratios = [int(theirs["getMarginRatio"])]
    if theirs["isOverSpreadLimit"]:
        notional, pnl = theirs["oracle"]
        left = int(position.inputs["margin"]) - int(position.outputs["fundingPayment"])
        if notional == 0:
            return "SignedSafeMath: division by zero"
        ratios.append(sdiv((left + pnl) * ONE, notional))
    return max(ratios) < int(position.inputs["maintenanceMarginRatio"])


def _notional(ours: Mapping[str, Any]) -> Any:
    return ours.get("revert", (ours.get("positionNotional"), ours.get("unrealizedPnl")))


def _said(value: Any) -> Any:
    return revert_reason(value) if isinstance(value, Failed) else value
