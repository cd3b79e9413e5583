"""The 18-decimal arithmetic of the v1 contracts: ``Decimal``, ``SignedDecimal``, ``MixedDecimal``.

Unsigned values floor and signed ones truncate toward zero; both revert where Solidity's checked
arithmetic does, with its reasons.
"""

from typing import Final

from analyzer.errors import Revert
from analyzer.units import INT256_MAX, INT256_MIN, checked_div, checked_mul, sdiv

ONE: Final = 10**18
SECONDS_PER_DAY: Final = 86_400


def mul_d(x: int, y: int) -> int:
    """``Decimal.mulD``: unsigned, floors."""
    return checked_mul(x, y) // ONE


def div_d(x: int, y: int) -> int:
    """``Decimal.divD``: unsigned, floors; reverts on division by zero."""
    return checked_div(checked_mul(x, ONE), y)


def from_decimal(x: int) -> int:
    """``MixedDecimal.fromDecimal``: reverts where an unsigned value does not fit an int256."""
    if x > INT256_MAX:
        raise Revert("MixedDecimal: uint value is bigger than _INT256_MAX")
    return x


def signed_add(x: int, y: int) -> int:
    """``SignedSafeMath.add``."""
    return _int256(x + y, "addition")


def signed_sub(x: int, y: int) -> int:
    """``SignedSafeMath.sub``."""
    return _int256(x - y, "subtraction")


def signed_mul_d(x: int, y: int) -> int:
    """``SignedDecimal.mulD``: truncates toward zero."""
    return sdiv(_int256(x * y, "multiplication"), ONE)


def signed_div_d(x: int, y: int) -> int:
    """``SignedDecimal.divD``: truncates toward zero; reverts on division by zero."""
    scaled = _int256(x * ONE, "multiplication")
    if y == 0:
        raise Revert("SignedSafeMath: division by zero")
    return sdiv(scaled, y)


def signed_mul_scalar(x: int, y: int) -> int:
    """``SignedDecimal.mulScalar``."""
    return _int256(x * from_decimal(y), "multiplication")


def _int256(value: int, operation: str) -> int:
    if not INT256_MIN <= value <= INT256_MAX:
        raise Revert(f"SignedSafeMath: {operation} overflow")
    return value
