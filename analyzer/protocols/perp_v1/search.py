"""Searches over integers for the place where a predicate changes.

A result rests on what was evaluated on both of its sides, never on the predicate being monotone.
"""

from collections.abc import Callable
from typing import Final

from analyzer.errors import Revert

GALLOPS: Final = 256


def holds(predicate: Callable[[int], bool], reserve: int) -> bool:
    """A predicate of the contract; where the contract reverts, nothing is liquidated."""
    try:
        return predicate(reserve)
    except Revert:
        return False


def gallop(predicate: Callable[[int], bool], start: int, towards: int) -> int | None:
    """The first point with the predicate in steps that double, or None if there is none."""
    step, point = 1, start
    for _ in range(GALLOPS):
        if point >= 1 and holds(predicate, point):
            return point
        point = start + towards * step
        if point < 1:
            return 1 if holds(predicate, 1) else None
        step *= 2
    return None


def boundary(predicate: Callable[[int], bool], guess: int, true: int, false: int) -> int:
    """What ``bisect`` finds, sooner: outwards from a guess in steps that double."""
    start, step = min(max(guess, min(true, false)), max(true, false)), 1
    is_true = predicate(start)
    true, false = (start, false) if is_true else (true, start)
    while abs(true - false) > step:
        towards = 1 if (false > true) is is_true else -1
        point = (true if is_true else false) + towards * step
        if predicate(point):
            true, is_over = point, not is_true
        else:
            false, is_over = point, is_true
        if is_over:
            break
        step *= 2
    return bisect(predicate, true, false)


def bisect(predicate: Callable[[int], bool], true: int, false: int) -> int:
    """The point with the predicate whose neighbour towards ``false`` lacks it."""
    while abs(true - false) > 1:
        middle = (true + false) // 2
        if predicate(middle):
            true = middle
        else:
            false = middle
    return true
