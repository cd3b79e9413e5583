"""Rows of single events: an executed price, a change of a market's state."""

from collections.abc import Mapping
from typing import Any

from analyzer.event_columns import Values
from analyzer.evm import Log
from analyzer.protocols.gmx_v2.market_rows import HOUR, price_row
from analyzer.protocols.gmx_v2.prices import EXECUTED, Quote
from analyzer.protocols.gmx_v2.state import Price, side
from analyzer.rows import At, Funding, Prices, RateSide
from analyzer.units import to_e18


def executed_price(at: At, log: Log, token: str, after: Mapping[str, Any]) -> Prices:
    """``OraclePriceUpdate``. Decimals are not in the logs: the price is in ``inputs``."""
    price = Price(after["minPrice"], after["maxPrice"])
    quote = Quote(EXECUTED, price, after["timestamp"], after)
    return price_row(at, token, None, quote, log_index=log.log_index)


def funding_row(
    at: At,
    log: Log,
    values: Values,
    *,
    inputs: Mapping[str, Any],
    side: bool | None = None,
    collateral_token: str = "",
    borrowing_rate: int | None = None,
) -> Funding:
    """A change of a market's funding, borrowing, open interest or pool.

    The rate is a factor (1e30) per second.
    """
    return Funding(
        at=at,
        log_index=log.log_index,
        market=values["market"],
        side=_side(side),
        collateral_token=collateral_token,
        funding_rate=None,
        borrowing_rate=None if borrowing_rate is None else to_e18(borrowing_rate * HOUR, 30),
        inputs=inputs,
    )


def _side(is_long: bool | None) -> RateSide:
    return "both" if is_long is None else side(is_long)
