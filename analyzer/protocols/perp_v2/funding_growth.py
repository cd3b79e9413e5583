"""A market's funding growth, brought up to the block's time as ``Exchange`` would do it."""

from dataclasses import dataclass

from analyzer.protocols.perp_v2.market_twap import get_sqrt_market_twap_x96
from analyzer.protocols.perp_v2.perp_math import (
    Q96,
    format_sqrt_price_x96_to_price_x96,
    format_x10_18_to_x96,
    format_x96_to_x10_18,
    mul_div,
    mul_ratio,
)
from analyzer.protocols.perp_v2.state import Config, Growth, Market, known
from analyzer.units import checked_sub


@dataclass(frozen=True, slots=True)
class FundingGrowth:
    """Growth now, the two TWAPs behind it (18 decimals), and the capped premium (X96)."""

    growth: Growth
    market_twap: int
    index_twap: int
    delta_twap_x96: int


def funding_time(market: Market, now: int) -> int:
    """The time up to which a market's funding runs: it stops when the market is paused."""
    return now if market.status == "open" else market.paused_timestamp


def funding_interval(config: Config, market: Market, now: int) -> int:
    """The TWAP interval of funding in seconds, shorter in a market that is younger than it."""
    if market.first_traded_timestamp == 0:
        return 0
    age = checked_sub(funding_time(market, now), market.first_traded_timestamp)
    return min(config.twap_interval, age)


def get_funding_growth_global(config: Config, market: Market, now: int) -> FundingGrowth:
    """``Exchange._getFundingGrowthGlobalAndTwaps``."""
    timestamp = funding_time(market, now)
    interval = funding_interval(config, market, now)
    market_twap_x96 = format_sqrt_price_x96_to_price_x96(
        get_sqrt_market_twap_x96(market, interval, now - timestamp)
    )
    index_twap = (
        known(market.index_prices[interval])
        if market.status == "open"
        else market.paused_index_price
    )
    delta = _get_delta_twap_x96(config, market_twap_x96, format_x10_18_to_x96(index_twap))
    growth = market.growth
    if market.last_settled_timestamp not in (timestamp, 0):
        grown = delta * (timestamp - market.last_settled_timestamp)
        growth = Growth(
            growth.tw_premium_x96 + grown,
            growth.tw_premium_div_by_sqrt_price_x96 + mul_div(grown, Q96, market.sqrt_price_x96),
        )
    return FundingGrowth(growth, format_x96_to_x10_18(market_twap_x96), index_twap, delta)


def _get_delta_twap_x96(config: Config, market_twap_x96: int, index_twap_x96: int) -> int:
    """``Exchange._getDeltaTwapX96``: the premium, capped to a share of the index."""
    limit = mul_ratio(index_twap_x96, config.max_funding_rate)
    return max(-limit, min(limit, market_twap_x96 - index_twap_x96))
