"""prb-math, rounding, keys and releases: what the vectors rest on, each for itself."""

from decimal import Decimal, localcontext

import pytest
from eth_abi.abi import encode
from eth_utils.crypto import keccak
from hypothesis import given, settings
from hypothesis import strategies as st

from analyzer.errors import AnalyzerError, Revert
from analyzer.protocols.gmx_v2 import prb_math
from analyzer.protocols.gmx_v2.keys import field_key, key, position_key
from analyzer.protocols.gmx_v2.position_events import proportional_pending_impact
from analyzer.protocols.gmx_v2.precision import (
    FLOAT_PRECISION,
    apply_exponent_factor,
    apply_factor,
    ceil_div,
    div,
    int256,
    to_factor,
    uint256,
)
from analyzer.protocols.gmx_v2.releases import RELEASES, release_named
from analyzer.protocols.gmx_v2.words import market_words
from tests.protocols.gmx_v2_run import cases

WEI = 10**18
ADDRESS = "0x" + "ab" * 20
OTHER = "0x" + "cd" * 20


def test_exp2_constants_are_the_published_ones_at_both_ends():
    constants = prb_math.exp2_constants()
    assert constants[0] == 0x16A09E667F3BCC909
    assert constants[1] == 0x1306FE0A31B7152DF
    assert constants[-1] == 0x10000000000000001
    assert len(constants) == 64


@given(st.integers(0, 120), st.integers(0, 60))
@settings(deadline=None)
def test_powers_of_two_are_exact(x, y):
    assert prb_math.log2(2**x * WEI) == x * WEI
    assert prb_math.exp2(y * WEI) == 2**y * WEI


@given(st.integers(WEI, 10**34), st.integers(WEI, 22 * WEI // 10))
@settings(deadline=None)
def test_powers_are_within_their_precision_of_the_real_ones(x, y):
    with localcontext() as context:
        context.prec = 60
        real = (Decimal(x) / WEI) ** (Decimal(y) / WEI) * WEI
    assert abs(prb_math.power(x, y) - real) <= real * Decimal(10) ** -14 + 1


def test_power_at_the_edges():
    assert prb_math.power(0, 0) == WEI
    assert prb_math.power(0, WEI) == 0
    assert prb_math.power(WEI, 5 * WEI) == WEI
    with pytest.raises(Revert, match="LogInputTooSmall"):
        prb_math.power(WEI - 1, WEI)
    with pytest.raises(Revert, match="Exp2InputTooBig"):
        prb_math.exp2(192 * WEI)


def test_mul_rounds_half_up_unlike_everything_else():
    assert prb_math.mul(1, WEI // 2) == 1
    assert prb_math.mul(1, WEI // 2 - 1) == 0


def test_exponents_ignore_values_under_one_and_pass_an_exponent_of_one():
    assert apply_exponent_factor(FLOAT_PRECISION - 1, 2 * FLOAT_PRECISION) == 0
    odd = FLOAT_PRECISION + 12_345_678_901_234_567
    assert apply_exponent_factor(odd, FLOAT_PRECISION) == odd
    assert apply_exponent_factor(3 * FLOAT_PRECISION, 2 * FLOAT_PRECISION) % 10**12 == 0


@given(st.integers(-(10**60), 10**60), st.integers(0, 10**40))
@settings(deadline=None)
def test_factors_truncate_toward_zero(value, factor):
    assert apply_factor(value, factor) == -apply_factor(-value, factor)
    assert abs(value) * factor - abs(apply_factor(value, factor)) * FLOAT_PRECISION >= 0
    assert abs(value) * factor < (abs(apply_factor(value, factor)) + 1) * FLOAT_PRECISION


def test_division_by_zero_panics_but_not_of_zero_by_to_factor():
    assert to_factor(0, 0) == 0
    for divide in (lambda: to_factor(1, 0), lambda: div(1, 0), lambda: ceil_div(1, 0)):
        with pytest.raises(Revert, match=r"Panic\(0x12\)"):
            divide()


@pytest.mark.parametrize(
    ("check", "value"),
    [(uint256, -1), (uint256, 2**256), (int256, 2**255), (int256, -(2**255) - 1)],
)
def test_what_no_word_can_hold_panics(check, value):
    with pytest.raises(Revert, match=r"Panic\(0x11\)"):
        check(value)


def test_keys_hash_the_abi_encoding_of_names():
    name = keccak(encode(["string"], ["POSITION_FEE_FACTOR"]))
    assert key("POSITION_FEE_FACTOR") == name
    assert key("POSITION_FEE_FACTOR", ADDRESS, True) == keccak(
        encode(["bytes32", "address", "bool"], [name, ADDRESS, True])
    )
    long = "CUMULATIVE_BORROWING_FACTOR_UPDATED_AT"
    assert key(long) == keccak(encode(["string"], [long]))
    owner = keccak(b"position")
    size = keccak(encode(["string"], ["SIZE_IN_USD"]))
    assert field_key(owner, "SIZE_IN_USD") == keccak(owner + size)
    assert position_key(ADDRESS, OTHER, ADDRESS, False) == keccak(
        encode(["address", "address", "address", "bool"], [ADDRESS, OTHER, ADDRESS, False])
    )


def test_releases_go_by_several_names():
    for name in ("2.2b", "v2.2b", "2b", "V2.2B"):
        assert release_named(name) is RELEASES["2.2b"]
    with pytest.raises(AnalyzerError, match=r"'2\.2' is not known"):
        release_named("2.2")


def test_releases_ask_for_their_own_words():
    market = cases("2b")[0].state.market
    names = {name: {word for word, _ in market_words(release, market)}
             for name, release in RELEASES.items()}  # fmt: skip
    assert "POSITION_IMPACT_EXPONENT_FACTOR" in names["2.1"]
    assert "POSITION_IMPACT_EXPONENT_FACTOR" not in names["2.2b"]
    assert "MIN_COLLATERAL_FACTOR_FOR_LIQUIDATION" not in names["2.1"]
    assert "MAX_FUNDING_FACTOR_PER_SECOND" in names["2.2b"]
    assert "MAX_FUNDING_FACTOR_PER_SECOND:short" in names["2.2c"]


@given(st.integers(-(10**30), 10**30), st.integers(1, 10**36), st.integers(0, 10**36))
@settings(deadline=None)
def test_pending_impact_is_taken_out_in_shares_rounded_against_the_account(pending, size, left):
    before = size + left
    share = proportional_pending_impact(pending, size, before)
    assert abs(share * before - pending * size) < before
    assert share * before <= pending * size
    assert proportional_pending_impact(pending, before, before) == pending
