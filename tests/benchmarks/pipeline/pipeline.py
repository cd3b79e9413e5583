"""What a line of the table is about."""

from collections.abc import Callable
from dataclasses import dataclass

from tests.benchmarks.pipeline.job import Done, Job


@dataclass(frozen=True, slots=True)
class Pipeline:
    """One pipeline: where its rows end, what it does not do, and how it is run.

    ``simple`` and ``nested`` are how many logs it gets where it is too slow for all of them.
    """

    name: str
    ends_in: str
    lacks: str
    work: Callable[[Job], Done]
    simple: int | None = None
    nested: int | None = None
    rounds: int = 3
