"""The window of blocks finds a node's limits quickly and never leaves them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.chain.failure import Kind, RpcFailure
from analyzer.chain.windows import Window


def failure(kind=Kind.RANGE_TOO_LARGE, **hints):
    return RpcFailure(kind, "eth_getLogs", **hints)


def walk(window, limit, steps, **hints):
    """Requests that fail, of so many, at a node with a limit on the range."""
    failed = 0
    for _ in range(steps):
        size = window.size
        if size > limit:
            failed += 1
            window.too_large(0, size - 1, failure(**hints))
        else:
            window.fits(size)
    return failed


@pytest.mark.parametrize("limit", [1, 2, 7, 100, 1_024, 99_999])
def test_a_silent_limit_is_found_in_few_failures(limit):
    window = Window(2_000, 100_000)
    assert walk(window, limit, 300) <= 25
    assert 0.7 * limit <= window.size <= limit


@pytest.mark.parametrize("limit", [1, 100, 1_024])
def test_a_named_limit_is_taken_at_once_and_for_good(limit):
    window = Window(2_000, 100_000)
    assert walk(window, limit, 300, limits=(limit,)) == 1
    assert window.size == limit


def test_a_limit_that_means_one_less_costs_one_more_failure():
    window = Window(2_000, 100_000)
    assert walk(window, 799, 300, limits=(800,)) == 2
    assert window.size == 799


def test_a_suggestion_is_taken_only_if_it_starts_where_we_do_and_is_smaller():
    for suggestion, size in [
        ((100, 149), 50), ((100, 199), 50), ((100, 250), 50), ((99, 120), 50), ((149, 100), 50),
        ((100, 100), 1), ((100, 198), 99),
    ]:  # fmt: skip
        window = Window(100, 1_000)
        window.too_large(100, 199, failure(Kind.TOO_MANY_RESULTS, suggestion=suggestion))
        assert window.size == size, suggestion


def test_a_limit_on_results_is_not_for_good():
    window = Window(1_000, 2_000)
    window.too_large(0, 999, failure(Kind.TOO_MANY_RESULTS))
    assert window.size == 500
    for _ in range(40):
        before = window.size
        window.fits(window.size)
        assert window.size <= before + before // 8 + 1
    assert window.size == 2_000


def test_a_small_range_at_the_end_does_not_grow_the_window():
    window = Window(1_000, 2_000)
    window.fits(3)
    assert window.size == 1_000


@given(
    st.lists(
        st.tuples(
            st.sampled_from([Kind.RANGE_TOO_LARGE, Kind.TOO_MANY_RESULTS, Kind.TIMEOUT]),
            st.one_of(st.none(), st.tuples(st.integers(-9, 9_999), st.integers(-9, 9_999))),
            st.lists(st.integers(0, 10**15), max_size=3).map(tuple),
            st.booleans(),
        ),
        max_size=60,
    )
)
def test_whatever_a_node_says_the_window_shrinks_and_stays_in_bounds(script):
    window = Window(2_000, 10_000)
    for kind, suggestion, limits, fits in script:
        size = window.size
        if fits:
            window.fits(size)
        elif size > 1:
            window.too_large(7, 6 + size, failure(kind, suggestion=suggestion, limits=limits))
            assert window.size < size
        assert 1 <= window.size <= 10_000
