"""The counts of many seeds, for people."""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence

from tests.faults.plan import CHAIN, CLASSES
from tests.faults.rig import Result
from tests.faults.wordings import WORDINGS

LIMITS = ("range limit", "result limit", "address limit")
DEPTHS = ((1, 1), (2, 4), (5, 8), (9, 16), (17, 32), (33, 64))


def report(results: Sequence[Result], without: Collection[str] = ()) -> Iterator[str]:
    """Lines: faults by class, reorgs by depth, kills, and rows compared and differing."""
    faults = sum((result.faults for result in results), Counter())
    counts = sum((result.counts for result in results), Counter())
    depths = sum((result.depths for result in results), Counter())
    worded = sum((result.wordings for result in results), Counter())
    failed = [str(result.seed) for result in results if not result.is_good]
    met = {name: faults[name] for name in (*CLASSES, *LIMITS) if name not in CHAIN}
    yield (
        f"{len(results)} seeds, {counts['runs']} runs of the process, "
        f"{counts['runs with a process']} of them with another that reads logs"
    )
    yield f"{sum(met.values())} faults and refusals:"
    for name, count in met.items():
        yield f"  {name:<26} {'left out' if name in without else count}"
    yield f"in {len(worded)} of {len(WORDINGS)} wordings"
    yield (
        f"{depths.total()} reorgs ({', '.join(f'{counts[name]} {name}' for name in CHAIN)}), "
        f"by depth: {', '.join(_histogram(depths))}; {counts['growths']} growths"
    )
    yield (
        f"{counts['kills']} kills, {counts['interrupts']} interrupts, "
        f"{counts['given up']} restarts after an error"
    )
    yield (
        f"{sum(result.rows for result in results)} rows compared, "
        f"{sum(result.differing for result in results)} differing rows"
    )
    yield f"failed: {', '.join(failed) or 'none'}"


def _histogram(depths: Counter[int]) -> Iterator[str]:
    for first, last in DEPTHS:
        count = sum(times for depth, times in depths.items() if first <= depth <= last)
        yield f"{first if first == last else f'{first} to {last}'}: {count}"
