"""Integer arithmetic as Solidity does it, and the way from contract integers to rows.

Nothing here rounds through a float. Row amounts are integers in units of 1e-18 (``E18``), which the
store writes as ``DECIMAL(38,18)``; the exact contract integers travel beside them as text.
"""

from typing import Final

from analyzer.errors import Revert

UINT256_MAX: Final = 2**256 - 1
INT256_MAX: Final = 2**255 - 1
INT256_MIN: Final = -(2**255)
BASIS_POINTS: Final = 10_000
AMOUNT_DECIMALS: Final = 18


def sdiv(numerator: int, denominator: int) -> int:
    """Signed division that truncates toward zero, as Solidity's ``/`` does (Python's floors)."""
    quotient = abs(numerator) // abs(denominator)
    return quotient if (numerator < 0) == (denominator < 0) else -quotient


def mul_div(a: int, b: int, denominator: int) -> int:
    """``a * b / denominator`` with an unbounded intermediate, truncated toward zero."""
    return sdiv(a * b, denominator)


def ceil_div(numerator: int, denominator: int) -> int:
    """Division of non-negative integers, rounded up."""
    return -(-numerator // denominator)


def checked_add(a: int, b: int) -> int:
    """``SafeMath.add``: reverts where the sum leaves uint256."""
    if a + b > UINT256_MAX:
        raise Revert("SafeMath: addition overflow")
    return a + b


def checked_sub(a: int, b: int) -> int:
    """``SafeMath.sub``: reverts where the difference is negative."""
    if b > a:
        raise Revert("SafeMath: subtraction overflow")
    return a - b


def checked_mul(a: int, b: int) -> int:
    """``SafeMath.mul``: reverts where the product leaves uint256."""
    if a * b > UINT256_MAX:
        raise Revert("SafeMath: multiplication overflow")
    return a * b


def checked_div(a: int, b: int) -> int:
    """``SafeMath.div``: floors, and reverts on division by zero."""
    if b == 0:
        raise Revert("SafeMath: division by zero")
    return a // b


def to_e18(value: int, decimals: int) -> int:
    """Rescale an integer with ``decimals`` decimals to 18, truncating what does not fit."""
    return mul_div(value, 10**AMOUNT_DECIMALS, 10**decimals)


def decimal_text(value: int, decimals: int) -> str:
    """The exact decimal notation of an integer with ``decimals`` decimals, without exponent."""
    sign, digits = ("-" if value < 0 else ""), str(abs(value)).rjust(decimals + 1, "0")
    if decimals == 0:
        return sign + digits
    fraction = digits[-decimals:].rstrip("0")
    return sign + digits[:-decimals] + ("." + fraction if fraction else "")


def parse_decimal(text: str, decimals: int) -> int:
    """The integer of a plain decimal notation; ``ValueError`` if it is none or too precise."""
    whole, _, fraction = text.replace("_", "").partition(".")
    if not (whole + fraction).isascii() or not (whole + fraction).isdigit():
        raise ValueError(text)
    if len(fraction) > decimals:
        raise ValueError(text)
    return int((whole or "0") + fraction.ljust(decimals, "0"))
