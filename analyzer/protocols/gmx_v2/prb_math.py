"""PRBMathUD60x18 2.4.3: powers of fixed-point numbers with 18 decimals, bit for bit.

The contracts raise open interest to fractional exponents with it. Floating point is not good
enough: its last digit decides verdicts at the boundary.
"""

from functools import cache
from math import isqrt
from typing import Final

from analyzer.errors import Revert

SCALE: Final = 10**18
HALF_SCALE: Final = SCALE // 2
EXP2_INPUT_LIMIT: Final = 192 * SCALE
FRACTION_BITS: Final = 64


@cache
def exp2_constants() -> tuple[int, ...]:
    """2^(2^-k) in 64.64 fixed point for k = 1..64, each rounded to the nearest.

    Computed from square roots with 192 guard bits.
    """
    guard = 192
    one = 1 << (FRACTION_BITS + guard)
    root, constants = 2 * one, []
    for _ in range(FRACTION_BITS):
        root = isqrt(root * one)
        constants.append((root + (1 << (guard - 1))) >> guard)
    return tuple(constants)


def log2(x: int) -> int:
    """Binary logarithm of ``x`` >= 1e18 (``PRBMathUD60x18.log2``); reverts below."""
    if x < SCALE:
        raise Revert("PRBMathUD60x18__LogInputTooSmall")
    whole = (x // SCALE).bit_length() - 1
    result = whole * SCALE
    y = x >> whole
    if y == SCALE:
        return result
    delta = HALF_SCALE
    while delta:
        y = y * y // SCALE
        if y >= 2 * SCALE:
            result += delta
            y >>= 1
        delta >>= 1
    return result


def mul(x: int, y: int) -> int:
    """Product of two fixed-point numbers, rounded half up (``PRBMath.mulDivFixedPoint``)."""
    product, remainder = divmod(x * y, SCALE)
    return product + 1 if remainder >= HALF_SCALE else product


def exp2(x: int) -> int:
    """Two to the power of ``x`` (``PRBMathUD60x18.exp2``); reverts from 192 on."""
    if x >= EXP2_INPUT_LIMIT:
        raise Revert("PRBMathUD60x18__Exp2InputTooBig")
    exponent = (x << FRACTION_BITS) // SCALE
    result = 1 << 191
    constants = exp2_constants()
    for k in range(FRACTION_BITS):
        if exponent >> (FRACTION_BITS - 1 - k) & 1:
            result = result * constants[k] >> FRACTION_BITS
    return result * SCALE >> (191 - (exponent >> FRACTION_BITS))


def power(x: int, y: int) -> int:
    """``x`` to the power of ``y`` (``PRBMathUD60x18.pow``)."""
    if x == 0:
        return SCALE if y == 0 else 0
    return exp2(mul(log2(x), y))
