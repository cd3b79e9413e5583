"""Rows of single events: what happened to a position, a funding payment of an AMM."""

from collections.abc import Mapping
from typing import Any, Final

from analyzer.evm import Log
from analyzer.protocols.perp_v1.contracts import position_id
from analyzer.protocols.perp_v1.decimals import ONE
from analyzer.rows import At, EventKind, Funding, PositionEvents, RateSide, Side
from analyzer.units import mul_div

HOUR = 3600
SIGNS: Final[dict[RateSide, int]] = {"long": 1, "short": -1}
"""Of a rate that longs pay to shorts."""


def position_event(
    at: At,
    log: Log,
    kind: EventKind,
    before: Mapping[str, Any] | None,
    after: Mapping[str, Any] | None,
    what: Mapping[str, Any],
) -> PositionEvents:
    """One event's row; without ``before`` it concerns an AMM or the liquidator, no position."""
    amm, trader = what["amm"], what.get("trader")
    identity = position_id(trader, amm) if before is not None and trader else None
    return PositionEvents(
        at=at,
        log_index=log.log_index,
        tx_hash=log.tx_hash,
        block_time=log.block_time,
        kind=kind,
        state_key=identity or what["key"],
        position_id=identity,
        margin_id=identity,
        account=trader if identity else None,
        market=amm,
        side=_side(before, after) if identity else None,
        collateral_token=None,
        size_delta_usd=_size_delta(before, after, what),
        collateral_delta=_delta(before, after, "margin"),
        price=_exchange_price(what),
        fee_usd=what.get("fee"),
        pnl_usd=what.get("realizedPnl"),
        after=after,
    )


def funding_rows(
    at: At, log: Log, values: Mapping[str, Any], fraction: int | None, period: int
) -> list[Funding]:
    """``FundingRateUpdated``: longs pay the rate to shorts once in a funding period."""
    hourly = mul_div(values["rate"], HOUR, period) if period else None
    inputs = {
        "rate": values["rate"],
        "underlyingPrice": values["underlyingPrice"],
        "cumulativePremiumFraction": fraction,
    }
    return [
        Funding(
            at=at,
            log_index=log.log_index,
            market=log.address,
            side=side,
            collateral_token="",
            funding_rate=None if hourly is None else sign * hourly,
            borrowing_rate=0,
            inputs=inputs,
        )
        for side, sign in SIGNS.items()
    ]


def _side(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> Side | None:
    size = (after or {}).get("size") or (before or {}).get("size") or 0
    return None if size == 0 else "long" if size > 0 else "short"


def _delta(
    before: Mapping[str, Any] | None, after: Mapping[str, Any] | None, name: str
) -> int | None:
    if before is None or after is None:
        return None
    was, now = before[name], after[name]
    return None if was is None or now is None else now - was


def _size_delta(
    before: Mapping[str, Any] | None, after: Mapping[str, Any] | None, what: Mapping[str, Any]
) -> int | None:
    """What was exchanged, in quote: negative where the position shrank."""
    if before is None or after is None or "positionNotional" not in what:
        return None
    grew = abs(after["size"]) >= abs(before["size"])
    return int(what["positionNotional"]) if grew else -int(what["positionNotional"])


def _exchange_price(what: Mapping[str, Any]) -> int | None:
    if not what.get("exchangedPositionSize"):
        return None
    return mul_div(what["positionNotional"], ONE, abs(what["exchangedPositionSize"]))
