"""The contracts' fixed-point arithmetic: ``PerpMath``, ``SettlementTokenMath`` and their casts.

Quantities are X96 (times 2**96), X10_18 (18 decimals) or in the settlement token's own decimals.
"""

from typing import Final

from analyzer.errors import Revert
from analyzer.units import INT256_MAX, UINT256_MAX, checked_mul

Q96: Final = 2**96
Q128: Final = 2**128
WAD: Final = 10**18
RATIO: Final = 10**6
"""Ratios are ``uint24`` in millionths."""


def full_mul_div(a: int, b: int, denominator: int) -> int:
    """``FullMath.mulDiv`` of unsigned integers; reverts without a reason where it does not fit."""
    if denominator == 0 or a * b // denominator > UINT256_MAX:
        raise Revert("")
    return a * b // denominator


def mul_div(a: int, b: int, denominator: int) -> int:
    """``PerpMath.mulDiv`` for int256: truncates toward zero; reverts where it does not fit."""
    result = to_int256(full_mul_div(abs(a), abs(b), denominator))
    return -result if (a < 0) != (b < 0) else result


def mul_ratio(value: int, ratio: int) -> int:
    """``PerpMath.mulRatio``: the share of a value, truncated toward zero."""
    share = full_mul_div(abs(value), ratio, RATIO)
    return -share if value < 0 else share


def div_ratio(value: int, ratio: int) -> int:
    """``PerpMath.divRatio`` of an unsigned value."""
    return full_mul_div(value, RATIO, ratio)


def to_int256(value: int) -> int:
    """``PerpSafeCast.toInt256``."""
    if value > INT256_MAX:
        raise Revert("SafeCast: value doesn't fit in an int256")
    return value


def to_uint256(value: int) -> int:
    """``PerpSafeCast.toUint256``."""
    if value < 0:
        raise Revert("SafeCast: value must be positive")
    return value


def to_uint24(value: int) -> int:
    """``PerpSafeCast.toUint24``."""
    if value >= 2**24:
        raise Revert("SafeCast: value doesn't fit in 24 bits")
    return value


def wrap_int256(value: int) -> int:
    """An unchecked int256, as growth accumulators use it."""
    return (value + 2**255) % 2**256 - 2**255


def parse_settlement_token(amount: int, decimals: int) -> int:
    """``SettlementTokenMath.parseSettlementToken``: settlement decimals to 18."""
    return amount * int(10 ** (18 - decimals))


def format_settlement_token(amount: int, decimals: int) -> int:
    """``SettlementTokenMath.formatSettlementToken``: 18 decimals to the token's, rounded down."""
    return amount // int(10 ** (18 - decimals))


def convert_token_decimals(amount: int, from_decimals: int, to_decimals: int) -> int:
    """``SettlementTokenMath.convertTokenDecimals`` of an unsigned amount."""
    if from_decimals > to_decimals:
        return amount // int(10 ** (from_decimals - to_decimals))
    return checked_mul(amount, int(10 ** (to_decimals - from_decimals)))


def format_sqrt_price_x96_to_price_x96(sqrt_price_x96: int) -> int:
    """``PerpMath.formatSqrtPriceX96ToPriceX96``: quote per base."""
    return full_mul_div(sqrt_price_x96, sqrt_price_x96, Q96)


def format_x96_to_x10_18(value_x96: int) -> int:
    """``PerpMath.formatX96ToX10_18``."""
    return full_mul_div(value_x96, WAD, Q96)


def format_x10_18_to_x96(value: int) -> int:
    """``PerpMath.formatX10_18ToX96``."""
    return full_mul_div(value, Q96, WAD)


def find_median_of_three(a: int, b: int, c: int) -> int:
    """``PerpMath.findMedianOfThree``."""
    return max(min(a, b), min(max(a, b), c))
