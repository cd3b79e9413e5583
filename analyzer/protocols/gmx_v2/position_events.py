"""Changes of positions: what an event says of one, and what none of them says as a total.

A position's state is what its last event says, and ``pendingImpactAmount``, which no event carries
as a total: increases add to it, decreases take the closed share out.
"""

from collections.abc import Mapping
from typing import Any, Final

from analyzer.errors import AnalyzerError
from analyzer.event_columns import Values
from analyzer.evm import Log
from analyzer.protocols.gmx_v2.keys import position_key
from analyzer.protocols.gmx_v2.ledger import Ledger
from analyzer.protocols.gmx_v2.price_doubts import USED_PRICE
from analyzer.reads import MalformedError
from analyzer.rows import EventKind
from analyzer.units import ceil_div, to_e18

LIQUIDATION: Final = 7
"""``Order.OrderType.Liquidation``."""

STRUCT: Final = (
    "sizeInUsd", "sizeInTokens", "collateralAmount", "borrowingFactor", "fundingFeeAmountPerSize",
    "longTokenClaimableFundingAmountPerSize", "shortTokenClaimableFundingAmountPerSize",
)  # fmt: skip


def position_increase(run: Ledger, log: Log, values: Values) -> None:
    """``PositionIncrease``: what it says of the position, and its impact on top of what pends."""
    key, before = _identify(run, values)
    pending = 0 if before is None else before.get("pendingImpactAmount")
    unknown = None if before is None else before.get("unknown")
    if before is None and values["sizeInUsd"] != values["sizeDeltaUsd"]:
        unknown, pending = "its history before the logs at hand is not known", None
    if "pendingPriceImpactAmount" in values:
        pending = None if pending is None else pending + values["pendingPriceImpactAmount"]
    elif "priceImpactAmount" not in values:
        raise MalformedError("a PositionIncrease without price impact")
    after = _after(values, pending, unknown) | {
        "increasedAtTime": values.get("increasedAtTime", _time(log)),
        "decreasedAtTime": before["decreasedAtTime"] if before else 0,
    }
    _leave_position(run, log, "increase", key, values, after, sign=1)


def position_decrease(run: Ledger, log: Log, values: Values) -> None:
    """``PositionDecrease``, of which a close and a liquidation are two kinds."""
    key, before = _identify(run, values)
    pending: int | None = None
    unknown: str | None = "its history before the logs at hand is not known"
    if before is not None:
        pending, unknown = before.get("pendingImpactAmount"), before.get("unknown")
        if pending is not None:
            size_before = values["sizeInUsd"] + values["sizeDeltaUsd"]
            pending -= proportional_pending_impact(pending, values["sizeDeltaUsd"], size_before)
    after = _after(values, pending, unknown) | {
        "increasedAtTime": before["increasedAtTime"] if before else 0,
        "decreasedAtTime": values.get("decreasedAtTime", _time(log)),
    }
    closed = values["sizeInUsd"] == 0
    kind: EventKind
    kind = "liquidate" if values["orderType"] == LIQUIDATION else "close" if closed else "decrease"
    _leave_position(run, log, kind, key, values, after, sign=-1)


def proportional_pending_impact(pending: int, size_delta_usd: int, size_before: int) -> int:
    """The share of pending impact that closing ``size_delta_usd`` realises.

    ``PositionUtils.getProportionalPendingImpactValues``: negative impact is rounded up in
    magnitude, positive down.
    """
    if size_before == 0:
        return pending
    share = abs(pending) * size_delta_usd
    return -ceil_div(share, size_before) if pending < 0 else share // size_before


def _identify(run: Ledger, values: Values) -> tuple[str, Mapping[str, Any] | None]:
    key = "0x" + values["positionKey"].hex()
    own = position_key(
        values["account"], values["market"], values["collateralToken"], values["isLong"]
    )
    if own != values["positionKey"]:
        raise MalformedError(f"{key} is not the key of the position that it comes with")
    return key, run.book.state.get(key)


def _after(values: Values, pending: int | None, unknown: Any) -> dict[str, Any]:
    identity = {name: values[name] for name in ("account", "market", "collateralToken", "isLong")}
    struct = {name: values[name] for name in STRUCT}
    pending_impact = {} if pending is None else {"pendingImpactAmount": pending}
    return identity | struct | pending_impact | ({} if unknown is None else {"unknown": unknown})


def _leave_position(
    run: Ledger,
    log: Log,
    kind: EventKind,
    key: str,
    values: Values,
    after: Mapping[str, Any],
    *,
    sign: int,
) -> None:
    used = {
        "index": [values["indexTokenPrice.min"], values["indexTokenPrice.max"]],
        "collateral": [values["collateralTokenPrice.min"], values["collateralTokenPrice.max"]],
        "collateralToken": values["collateralToken"],
        "blockNumber": log.block_number,
        "blockTime": log.block_time,
        "logIndex": log.log_index,
    }
    collateral_usd = values["collateralDeltaAmount"] * values["collateralTokenPrice.min"]
    pnl = values.get("basePnlUsd")
    columns = {
        "account": values["account"],
        "market": values["market"],
        "side": "long" if values["isLong"] else "short",
        "collateral_token": values["collateralToken"],
        "size_delta_usd": to_e18(sign * values["sizeDeltaUsd"], 30),
        "collateral_delta": to_e18(sign * collateral_usd, 30),
        "pnl_usd": None if pnl is None else to_e18(pnl, 30),
    }
    left = None if values["sizeInUsd"] == 0 else after
    fee = run.fees.pop(key, None)
    fee_usd = None if fee is None else to_e18(fee, 30)
    run.book.leave(log, kind, key, left, position_id=key, margin_id=key, fee_usd=fee_usd, **columns)
    run.book.leave(log, "price", USED_PRICE + values["market"], used, market=values["market"])


def position_fees(run: Ledger, _: Log, values: Values) -> None:
    """``PositionFeesCollected``, which comes before the change that it is charged for."""
    cost = values["totalCostAmount"] * values["collateralTokenPrice.min"]
    run.fees["0x" + values["positionKey"].hex()] = cost


def _time(log: Log) -> int:
    """The time of the log's block: what the contract writes where an older event does not say."""
    if log.block_time is None:
        raise AnalyzerError(f"block {log.block_number} has logs but its time was not read")
    return log.block_time
