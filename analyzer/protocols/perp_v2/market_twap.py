"""The square root of a pool's price over an interval, as ``UniswapV3Broker`` takes it."""

from typing import Final

from analyzer.protocols.perp_v2.state import Market, known
from analyzer.protocols.perp_v2.tick_math import get_sqrt_twap_x96

SHORTEST_TWAP: Final = 10
"""Below so many seconds the broker takes the spot price."""


def get_sqrt_market_twap_x96(market: Market, interval: int, seconds_ago: int = 0) -> int:
    """``UniswapV3Broker.getSqrtMarketTwapX96From``; reverts where the pool's history is short."""
    if interval < SHORTEST_TWAP:
        return market.sqrt_price_x96
    return get_sqrt_twap_x96(
        known(market.tick_cumulatives[seconds_ago + interval]),
        known(market.tick_cumulatives[seconds_ago]),
        interval,
    )
