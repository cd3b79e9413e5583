"""What single events say: columns of a position event, rows of an AMM's funding payment."""

from collections.abc import Mapping
from typing import Any, Final

from analyzer.evm import Log
from analyzer.protocols.perp_v1.contracts import position_id
from analyzer.protocols.perp_v1.decimals import ONE
from analyzer.rows import At, Funding, RateSide, Side
from analyzer.units import mul_div

HOUR = 3600
SIGNS: Final[dict[RateSide, int]] = {"long": 1, "short": -1}
"""Of a rate that longs pay to shorts."""


def event_columns(
    before: Mapping[str, Any], after: Mapping[str, Any], what: Mapping[str, Any]
) -> dict[str, Any]:
    """What an event did to a position, as the columns of a position event."""
    identity = position_id(what["trader"], after["amm"])
    return {
        "position_id": identity,
        "margin_id": identity,
        "account": what["trader"],
        "market": after["amm"],
        "side": _side(before, after),
        "size_delta_usd": _size_delta(before, after, what),
        "collateral_delta": after["margin"] - before["margin"],
        "price": _exchange_price(what),
        "fee_usd": what.get("fee"),
        "pnl_usd": what.get("realizedPnl"),
    }


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


def _side(before: Mapping[str, Any], after: Mapping[str, Any]) -> Side | None:
    size = after["size"] or before["size"]
    return None if size == 0 else "long" if size > 0 else "short"


def _size_delta(
    before: Mapping[str, Any], after: Mapping[str, Any], what: Mapping[str, Any]
) -> int | None:
    """What was exchanged, in quote: negative where the position shrank."""
    if "positionNotional" not in what:
        return None
    grew = abs(after["size"]) >= abs(before["size"])
    return int(what["positionNotional"]) if grew else -int(what["positionNotional"])


def _exchange_price(what: Mapping[str, Any]) -> int | None:
    if not what.get("exchangedPositionSize"):
        return None
    return mul_div(what["positionNotional"], ONE, abs(what["exchangedPositionSize"]))
