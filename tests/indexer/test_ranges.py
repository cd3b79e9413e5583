"""Ranges of blocks against sets of blocks, and how few comparisons find the first difference."""

import itertools
from math import ceil, log2

from hypothesis import given
from hypothesis import strategies as st

from analyzer.indexer.ranges import between, doubled, first_difference, merged, shared, without

LAST = 60
RANGES = st.lists(
    st.tuples(st.integers(0, LAST), st.integers(0, 12)).map(lambda one: (one[0], sum(one))),
    max_size=8,
)


def blocks_of(ranges):
    return {block for start, end in ranges for block in range(start, end + 1)}


def test_ranges_that_touch_become_one():
    assert merged([(5, 9), (1, 2), (3, 4)]) == [(1, 9)]


@given(RANGES)
def test_merged_ranges_hold_the_same_blocks_and_do_not_touch(ranges):
    joined = merged(ranges)
    assert blocks_of(joined) == blocks_of(ranges)
    assert all(a[1] + 1 < b[0] for a, b in itertools.pairwise(joined))


@given(RANGES)
def test_gaps_are_what_is_missing_in_between(ranges):
    covered = blocks_of(ranges)
    whole = set(range(min(covered), max(covered))) if covered else set()
    assert blocks_of(between(merged(ranges))) == whole - covered


@given(RANGES)
def test_doubled_blocks_are_in_two_ranges(ranges):
    twice = {
        block
        for block in blocks_of(ranges)
        if sum(start <= block <= end for start, end in ranges) > 1
    }
    assert blocks_of(doubled(ranges)) == twice


@given(RANGES, RANGES)
def test_shared_blocks_are_in_both(one, other):
    common = shared(merged(one), merged(other))
    assert blocks_of(common) == blocks_of(one) & blocks_of(other)
    assert blocks_of(without(merged(one), common)) == blocks_of(one) - blocks_of(other)


@given(
    st.integers(0, 2**40),
    st.integers(1, 2**48),
    st.lists(st.floats(0, 1, exclude_max=True), max_size=20),
)
def test_the_first_difference_is_found_in_few_comparisons(first, count, places):
    last = first + count - 1
    differing = {first + int(place * count) for place in places}
    asked = []

    def same(start, end):
        asked.append((start, end))
        return not any(start <= block <= end for block in differing)

    found = first_difference(same, first, last)
    assert found == min(differing, default=None)
    assert asked[0] == (first, last)
    assert len(asked) <= 1 + ceil(log2(count))
    looked_at = sum(end - start + 1 for start, end in asked)
    assert looked_at <= 2 * count + len(asked)
