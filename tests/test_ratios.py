"""Distance and leverage mean the same wherever they stand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.ratios import distance_bps, leverage_bps

PRICES = st.integers(1, 10**40)
E18 = 10**18


@pytest.mark.parametrize(
    ("price", "below", "above", "expected"),
    [
        (2_000_000, 1_900_000, None, 500),
        (2_000_000, None, 2_100_000, 500),
        (2_000_000, 1_900_000, 2_010_000, 50),
        (2_000_000, 1_999_801, None, 0),  # 0.995 basis points: safe, and not shown as farther
        (2_000_000, 1_999_999, None, 0),
        (2_000_000, 2_000_000, None, -1),  # the bound itself is liquidatable
        (2_000_000, None, 2_000_000, -1),
        (2_000_000, 2_000_199, None, -1),  # the safe region begins one price over the bound
        (2_000_000, 2_000_200, None, -2),
        (2_000_000, 2_100_000, 2_200_000, -501),
        (2_000_000, 1_700_000, 1_900_000, -501),
        (2_000_000, 0, None, 10_000),
        (None, 1_900_000, None, None),
        (0, None, 1_900_000, None),
        (2_000_000, None, None, None),
    ],
)
def test_a_distance_is_signed_rounded_down_and_to_the_nearer_bound(price, below, above, expected):
    assert distance_bps(price, below, above) == expected


@given(PRICES, st.integers(0, 10**40), st.integers(2, 10**40), st.sampled_from("bam"))
def test_a_distance_is_negative_exactly_where_the_price_is_not_between_its_bounds(
    price, below, width, bounds
):
    """Moving by a whole distance never gets past the nearer bound from the safe side."""
    low = None if bounds == "a" else below
    high = None if bounds == "b" else below + width
    distance = distance_bps(price, low, high)
    is_past = (low is not None and price <= low) or (high is not None and price >= high)
    assert (distance < 0) == is_past
    if not is_past:
        move = distance * price // 10_000
        assert low is None or price - move >= low
        assert high is None or price + move <= high


@pytest.mark.parametrize(
    ("size", "equity", "expected"),
    [
        (10 * E18, E18, 100_000),
        (10 * E18, 3 * E18, 33_333),
        (0, E18, 0),
        (10 * E18, 0, None),
        (10 * E18, -1, None),
        (None, E18, None),
        (E18, None, None),
    ],
)
def test_leverage_is_size_over_equity_where_there_is_any(size, equity, expected):
    assert leverage_bps(size, equity) == expected
