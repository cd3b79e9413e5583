"""A maker's order: its amounts in the pool, its uncollected fee and its funding coefficient."""

from dataclasses import dataclass, replace

from analyzer.protocols.perp_v2.perp_math import Q96, Q128, mul_div, wrap_int256
from analyzer.protocols.perp_v2.state import Growth, Market, Order
from analyzer.protocols.perp_v2.tick_math import (
    get_amount0_for_liquidity,
    get_amount1_for_liquidity,
    get_sqrt_ratio_at_tick,
)
from analyzer.units import UINT256_MAX, sdiv


@dataclass(frozen=True, slots=True)
class FundingGrowthRange:
    """``Tick.FundingGrowthRangeInfo`` of an order's range."""

    tw_premium_inside_x96: int
    tw_premium_below_x96: int
    tw_premium_div_by_sqrt_price_inside_x96: int


def get_base_in_pool(market: Market, order: Order) -> int:
    """The base that an order holds at the pool's spot price."""
    lower, upper = _sqrt_range(order)
    if market.sqrt_price_x96 >= upper:
        return 0
    return get_amount0_for_liquidity(max(market.sqrt_price_x96, lower), upper, order.liquidity)


def get_quote_in_pool(market: Market, order: Order) -> int:
    """The quote that an order holds at the pool's spot price, without fees."""
    lower, upper = _sqrt_range(order)
    if market.sqrt_price_x96 <= lower:
        return 0
    return get_amount1_for_liquidity(lower, min(market.sqrt_price_x96, upper), order.liquidity)


def get_pending_fee(market: Market, order: Order) -> int:
    """``OrderBook.getPendingFee``: the quote fee that was not collected yet, 18 decimals."""
    inside = _growth_inside(
        market,
        order,
        market.fee_growth_global_x128,
        market.ticks[order.lower_tick].fee_x128,
        market.ticks[order.upper_tick].fee_x128,
    )
    grown = (inside - order.last_fee_growth_inside_x128) & UINT256_MAX
    return grown * order.liquidity // Q128


def get_all_funding_growth(market: Market, order: Order, growth: Growth) -> FundingGrowthRange:
    """``Tick.getAllFundingGrowth``: differences wrap, as the accumulators do."""
    lower, upper = market.ticks[order.lower_tick], market.ticks[order.upper_tick]
    return FundingGrowthRange(
        tw_premium_inside_x96=wrap_int256(
            _growth_inside(
                market, order, growth.tw_premium_x96, lower.tw_premium_x96, upper.tw_premium_x96
            )
        ),
        tw_premium_below_x96=wrap_int256(
            lower.tw_premium_x96
            if market.tick >= order.lower_tick
            else growth.tw_premium_x96 - lower.tw_premium_x96
        ),
        tw_premium_div_by_sqrt_price_inside_x96=wrap_int256(
            _growth_inside(
                market,
                order,
                growth.tw_premium_div_by_sqrt_price_x96,
                lower.tw_premium_div_by_sqrt_price_x96,
                upper.tw_premium_div_by_sqrt_price_x96,
            )
        ),
    )


def get_liquidity_coefficient(market: Market, order: Order, growth: Growth) -> int:
    """``Funding.calcLiquidityCoefficientInFundingPaymentByOrder``."""
    now = get_all_funding_growth(market, order, growth)
    lower, upper = _sqrt_range(order)
    below = get_amount0_for_liquidity(lower, upper, order.liquidity) * (
        now.tw_premium_below_x96 - order.last_tw_premium_growth_below_x96
    )
    inside = order.liquidity * (
        now.tw_premium_div_by_sqrt_price_inside_x96
        - order.last_tw_premium_div_by_sqrt_price_growth_inside_x96
        - mul_div(now.tw_premium_inside_x96 - order.last_tw_premium_growth_inside_x96, Q96, upper)
    )
    return sdiv(below + inside, Q96)


def settle_funding(market: Market, order: Order, growth: Growth) -> Order:
    """``OrderBook.updateFundingGrowthAndLiquidityCoefficientInFundingPayment``: what is paid."""
    now = get_all_funding_growth(market, order, growth)
    return replace(
        order,
        last_tw_premium_growth_inside_x96=now.tw_premium_inside_x96,
        last_tw_premium_growth_below_x96=now.tw_premium_below_x96,
        last_tw_premium_div_by_sqrt_price_growth_inside_x96=(
            now.tw_premium_div_by_sqrt_price_inside_x96
        ),
    )


def _sqrt_range(order: Order) -> tuple[int, int]:
    return get_sqrt_ratio_at_tick(order.lower_tick), get_sqrt_ratio_at_tick(order.upper_tick)


def _growth_inside(market: Market, order: Order, total: int, lower: int, upper: int) -> int:
    below = lower if market.tick >= order.lower_tick else total - lower
    above = upper if market.tick < order.upper_tick else total - upper
    return total - below - above
