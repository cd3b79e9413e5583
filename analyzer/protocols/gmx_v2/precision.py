"""``Precision`` of the contracts: factors of 30 decimals, and the rounding of every product."""

from functools import lru_cache
from typing import Final

from analyzer.errors import Revert
from analyzer.protocols.gmx_v2.prb_math import power
from analyzer.units import INT256_MAX, INT256_MIN, UINT256_MAX, sdiv

FLOAT_PRECISION: Final = 10**30
PER_SIZE_PRECISION: Final = FLOAT_PRECISION * 10**15
FLOAT_TO_WEI_DIVISOR: Final = 10**12

PANIC_OVERFLOW: Final = "Panic(0x11)"
PANIC_DIVISION_BY_ZERO: Final = "Panic(0x12)"


def apply_factor(value: int, factor: int) -> int:
    """``value * factor / 1e30`` truncated toward zero (``Precision.applyFactor``)."""
    product = value * factor
    return product // FLOAT_PRECISION if product >= 0 else -(-product // FLOAT_PRECISION)


def to_factor(value: int, divisor: int) -> int:
    """``value / divisor`` as a factor; zero for a zero value (``Precision.toFactor``)."""
    return 0 if value == 0 else div(value * FLOAT_PRECISION, divisor)


@lru_cache(maxsize=65_536)
def apply_exponent_factor(value: int, exponent_factor: int) -> int:
    """``value ** exponent`` (``Precision.applyExponentFactor``): values under 1.0 become zero."""
    if value < FLOAT_PRECISION:
        return 0
    if exponent_factor == FLOAT_PRECISION:
        return value
    wei = power(value // FLOAT_TO_WEI_DIVISOR, exponent_factor // FLOAT_TO_WEI_DIVISOR)
    return wei * FLOAT_TO_WEI_DIVISOR


def div(numerator: int, denominator: int) -> int:
    """Solidity's ``/``: truncates toward zero, and panics on division by zero."""
    if denominator == 0:
        raise Revert(PANIC_DIVISION_BY_ZERO)
    if numerator >= 0 and denominator > 0:
        return numerator // denominator
    return sdiv(numerator, denominator)


def ceil_div(numerator: int, denominator: int) -> int:
    """``Calc.roundUpDivision`` of non-negative integers."""
    if denominator == 0:
        raise Revert(PANIC_DIVISION_BY_ZERO)
    return -(-numerator // denominator)


def uint256(value: int) -> int:
    """The value if it is a uint256; else the contract's arithmetic panics."""
    if not 0 <= value <= UINT256_MAX:
        raise Revert(PANIC_OVERFLOW)
    return value


def int256(value: int) -> int:
    """The value if it is an int256; else the contract's arithmetic panics."""
    if not INT256_MIN <= value <= INT256_MAX:
        raise Revert(PANIC_OVERFLOW)
    return value
