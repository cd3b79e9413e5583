"""Mark, index and reference price of a market (18 decimals), from ticks and oracle answers."""

from dataclasses import dataclass
from typing import Final

from analyzer.protocols.perp_v2.funding_growth import FundingGrowth, get_funding_growth_global
from analyzer.protocols.perp_v2.market_twap import get_sqrt_market_twap_x96
from analyzer.protocols.perp_v2.perp_math import (
    find_median_of_three,
    format_sqrt_price_x96_to_price_x96,
    format_x96_to_x10_18,
    to_int256,
    to_uint256,
)
from analyzer.protocols.perp_v2.state import CURRENT_RELEASE, Config, Market, attempt, known
from analyzer.reads import Failed

MARKET_PRICE_INTERVAL: Final = 15
"""The short TWAP that ``AccountBalance`` takes for the market's price since 2.8.1."""
SPOT: Final = 0
INDEX_RELEASES: Final = ("2.4", "2.5")


@dataclass(frozen=True, slots=True)
class PricedMarket:
    """A market with what all its holders share: prices and up-to-date funding growth."""

    market: Market
    mark_price: int | Failed
    reference_price: int | Failed
    funding: FundingGrowth | Failed


def price_market(config: Config, market: Market, now: int) -> PricedMarket:
    """Everything about a market at a block time that does not depend on an account."""
    return PricedMarket(
        market=market,
        mark_price=attempt(get_mark_price, config, market),
        reference_price=attempt(get_reference_price, config, market),
        funding=attempt(get_funding_growth_global, config, market, now),
    )


def market_price_interval(config: Config) -> int:
    """The interval of the mark's first operand: releases before 2.8.1 take the spot price."""
    return MARKET_PRICE_INTERVAL if config.release == CURRENT_RELEASE else SPOT


def get_market_price(market: Market, interval: int) -> int:
    """``AccountBalance._getMarketPrice``: the pool's TWAP with 18 decimals."""
    sqrt_price_x96 = get_sqrt_market_twap_x96(market, interval)
    return format_x96_to_x10_18(format_sqrt_price_x96_to_price_x96(sqrt_price_x96))


def get_index_price(market: Market, interval: int) -> int:
    """``BaseToken.getIndexPrice``: the oracle's, or the one at which the market was paused."""
    if market.status != "open":
        return market.paused_index_price
    return known(market.index_prices[interval])


def get_mark_price(config: Config, market: Market) -> int:
    """``AccountBalance.getMarkPrice``: median of two market TWAPs and index plus premium."""
    market_price = get_market_price(market, market_price_interval(config))
    market_twap = get_market_price(market, config.mark_price_market_twap_interval)
    index_with_premium = to_int256(get_index_price(market, 0)) + get_premium(config, market)
    return find_median_of_three(market_price, market_twap, to_uint256(index_with_premium))


def get_premium(config: Config, market: Market) -> int:
    """The market's TWAP over the index's, which ``getMarkPrice`` adds to the index price."""
    interval = config.mark_price_premium_interval
    return get_market_price(market, interval) - to_int256(get_index_price(market, interval))


def get_mark_price_range(config: Config, market: Market) -> tuple[int, int]:
    """The lowest and highest mark that the oracle alone can bring about: the two market TWAPs."""
    market_price = get_market_price(market, market_price_interval(config))
    market_twap = get_market_price(market, config.mark_price_market_twap_interval)
    return min(market_price, market_twap), max(market_price, market_twap)


def get_reference_price(config: Config, market: Market) -> int:
    """``AccountBalance._getReferencePrice``: mark, or the price of a paused or closed market.

    Until 2.4 it is the index TWAP of an open market; until 2.6 also where the mark price's
    intervals are not set. A paused market's index price is the one at which it was paused.
    """
    if market.status == "closed":
        return known(market.closed_price)
    if config.release in INDEX_RELEASES and not (market.status == "open" and _has_mark(config)):
        return get_index_price(market, config.twap_interval)
    if market.status == "open":
        return get_mark_price(config, market)
    return market.paused_index_price


def reference_intervals(config: Config) -> tuple[set[int], set[int]]:
    """The intervals of market TWAPs and of index prices that the reference price needs."""
    if config.release in INDEX_RELEASES and not _has_mark(config):
        return set(), {config.twap_interval}
    premium = config.mark_price_premium_interval
    market = {market_price_interval(config), config.mark_price_market_twap_interval, premium}
    return market, {0, premium}


def _has_mark(config: Config) -> bool:
    intervals = (config.mark_price_market_twap_interval, config.mark_price_premium_interval)
    return config.release != "2.4" and all(intervals)
