"""Uniswap v3's tick arithmetic: the square root of a price at a tick, and a range's amounts.

The factors of ``TickMath`` are 2**128 / 1.0001**(2**i / 2), rounded to the nearest integer; they
are worked out here, and a test holds the results against the published values at both ends.
"""

from functools import cache
from math import isqrt
from typing import Final

from analyzer.errors import Revert
from analyzer.units import UINT256_MAX, ceil_div, sdiv

MAX_TICK: Final = 887272
_FACTORS: Final = 20
_GUARD: Final = 512
_Q96: Final = 2**96


@cache
def _factors() -> tuple[int, ...]:
    """1.0001**(-(2**i) / 2) as Q128, from roots with far more bits than are kept."""
    factor = isqrt((10_000 << 2 * _GUARD) // 10_001)
    factors: list[int] = []
    for _ in range(_FACTORS):
        factors.append((factor + (1 << _GUARD - 129)) >> _GUARD - 128)
        factor = factor * factor >> _GUARD
    return tuple(factors)


@cache
def get_sqrt_ratio_at_tick(tick: int) -> int:
    """``TickMath.getSqrtRatioAtTick``: X96, rounded up; reverts outside the tick range."""
    if abs(tick) > MAX_TICK:
        raise Revert("T")
    ratio = 1 << 128
    for bit, factor in enumerate(_factors()):
        if abs(tick) >> bit & 1:
            ratio = ratio * factor >> 128
    if tick > 0:
        ratio = UINT256_MAX // ratio
    return ceil_div(ratio, 1 << 32)


def get_sqrt_twap_x96(cumulative_from: int, cumulative_to: int, seconds: int) -> int:
    """``UniswapV3Broker.getSqrtMarketTwapX96From``: the mean tick truncates toward zero."""
    return get_sqrt_ratio_at_tick(sdiv(cumulative_to - cumulative_from, seconds))


def get_amount0_for_liquidity(sqrt_a_x96: int, sqrt_b_x96: int, liquidity: int) -> int:
    """``LiquidityAmounts.getAmount0ForLiquidity``: the base between two prices."""
    low, high = sorted((sqrt_a_x96, sqrt_b_x96))
    return (liquidity << 96) * (high - low) // high // low


def get_amount1_for_liquidity(sqrt_a_x96: int, sqrt_b_x96: int, liquidity: int) -> int:
    """``LiquidityAmounts.getAmount1ForLiquidity``: the quote between two prices."""
    low, high = sorted((sqrt_a_x96, sqrt_b_x96))
    return liquidity * (high - low) // _Q96
