"""How benchmarks measure, and what a measurement is."""

from collections.abc import Callable
from dataclasses import dataclass
from time import process_time


@dataclass(frozen=True, slots=True)
class Line:
    """One measurement: what was done, how fast, and against what measured in the same run."""

    what: str
    figure: str
    ratio: str


def seconds(
    work: Callable[[], object], times: int = 3, clock: Callable[[], float] = process_time
) -> float:
    """The least time of a few runs; by default what this process had of the processor."""
    best = float("inf")
    for _ in range(times):
        start = clock()
        work()
        best = min(best, clock() - start)
    return best
