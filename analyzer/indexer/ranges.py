"""Closed ranges of blocks: what they cover together, what lies between them, what two share."""

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise

Range = tuple[int, int]
"""First and last block, both included."""


def merged(ranges: Iterable[Range]) -> list[Range]:
    """The same blocks as ranges that neither touch nor overlap, in chain order."""
    joined: list[Range] = []
    for start, end in sorted(ranges):
        if joined and start <= joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((start, end))
    return joined


def between(covered: Sequence[Range]) -> list[Range]:
    """The gaps between merged ranges."""
    return [(before[1] + 1, after[0] - 1) for before, after in pairwise(covered)]


def doubled(ranges: Iterable[Range]) -> list[Range]:
    """The blocks that more than one range covers."""
    found: list[Range] = []
    reached = -1
    for start, end in sorted(ranges):
        if start <= reached:
            found.append((start, min(end, reached)))
        reached = max(reached, end)
    return merged(found)


def shared(one: Sequence[Range], other: Sequence[Range]) -> list[Range]:
    """The blocks that are in both of two sequences of merged ranges."""
    return [
        (max(a[0], b[0]), min(a[1], b[1]))
        for a in one
        for b in other
        if max(a[0], b[0]) <= min(a[1], b[1])
    ]


def without(ranges: Sequence[Range], taken: Sequence[Range]) -> list[Range]:
    """The blocks of merged ranges that other merged ranges, all of them within, leave over."""
    left: list[Range] = []
    for start, end in ranges:
        inside = [one for one in taken if start <= one[0] <= end]
        edges = [(start - 1, start - 1), *inside, (end + 1, end + 1)]
        left += [gap for gap in between(edges) if gap[0] <= gap[1]]
    return left


def first_difference(same: Callable[[int, int], bool], first: int, last: int) -> int | None:
    """The first block of a range at which two sides differ, or ``None`` where they agree.

    ``same`` compares all of a range at once. The whole comes first, then the lower half of what
    differs: 1 + log2(n) comparisons for n blocks, of which each looks at half of the one before.
    """
    if same(first, last):
        return None
    while first < last:
        middle = (first + last) // 2
        if same(first, middle):
            first = middle + 1
        else:
            last = middle
    return first
