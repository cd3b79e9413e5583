"""Solidity's integers, in Python."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.errors import Revert
from analyzer.units import (
    UINT256_MAX,
    ceil_div,
    checked_add,
    checked_div,
    checked_mul,
    checked_sub,
    decimal_text,
    mul_div,
    parse_decimal,
    sdiv,
    to_e18,
)

INTEGERS = st.integers(-(2**300), 2**300)


def test_signed_division_truncates_where_python_floors():
    assert (sdiv(-7, 2), -7 // 2) == (-3, -4)


@given(INTEGERS, INTEGERS.filter(bool))
def test_signed_division_keeps_a_remainder_with_the_numerators_sign(a, b):
    remainder = a - sdiv(a, b) * b
    assert abs(remainder) < abs(b)
    assert remainder == 0 or (remainder < 0) == (a < 0)


@given(st.integers(0, 2**300), st.integers(1, 2**300))
def test_ceil_div_is_the_least_integer_not_below(a, b):
    assert (ceil_div(a, b) - 1) * b < a <= ceil_div(a, b) * b


def test_mul_div_has_an_unbounded_intermediate():
    assert mul_div(UINT256_MAX, UINT256_MAX, UINT256_MAX) == UINT256_MAX


@pytest.mark.parametrize(
    ("operation", "reason"),
    [
        (lambda: checked_add(UINT256_MAX, 1), "SafeMath: addition overflow"),
        (lambda: checked_sub(1, 2), "SafeMath: subtraction overflow"),
        (lambda: checked_mul(UINT256_MAX, 2), "SafeMath: multiplication overflow"),
        (lambda: checked_div(1, 0), "SafeMath: division by zero"),
    ],
)
def test_checked_arithmetic_reverts_as_safe_math_does(operation, reason):
    with pytest.raises(Revert) as caught:
        operation()
    assert caught.value.reason == reason


def test_rescaling_truncates_toward_zero():
    assert to_e18(-(10**12) - 1, 30) == -1
    assert to_e18(5, 6) == 5 * 10**12


@given(INTEGERS, st.integers(0, 40))
def test_decimal_text_is_exact(value, decimals):
    text = decimal_text(value, decimals)
    assert "e" not in text.lower()
    sign = -1 if text.startswith("-") else 1
    assert sign * parse_decimal(text.lstrip("-"), decimals) == value


@pytest.mark.parametrize("text", ["", "1e5", "-1", "1.2.3", "½", "0.0000000000000000001", "nan"])
def test_what_is_no_plain_decimal_is_refused(text):
    with pytest.raises(ValueError, match=r".*"):
        parse_decimal(text, 18)
