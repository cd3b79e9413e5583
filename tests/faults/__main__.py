"""Runs many seeds of faults, reorgs and kills, and prints what was met and what differed.

    python -m tests.faults --seeds 200
    python -m tests.faults --seed 17                       one seed again
    python -m tests.faults --without "stale fork,hang"     without some classes of faults
    python -m tests.faults --only "false empty"            with no others

It exits with 1 where a row differed or a run went wrong, and says which seed shows it again.
"""

import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from time import perf_counter

import click

from tests.faults.plan import CLASSES
from tests.faults.rig import Result, run
from tests.faults.tally import report


def _classes(_context: click.Context, _option: click.Option, text: str) -> tuple[str, ...]:
    found = tuple(name.strip() for name in text.split(",") if name.strip())
    for name in found:
        if name not in CLASSES:
            raise click.BadParameter(f"{name!r} is none of: {', '.join(CLASSES)}")
    return found


@click.command()
@click.option("--seeds", type=click.IntRange(1), default=200, show_default=True)
@click.option("--first-seed", type=int, default=0, show_default=True)
@click.option("--seed", type=int, help="Only this one.")
@click.option("--workers", type=click.IntRange(1), default=2, show_default=True)
@click.option("--without", callback=_classes, default="", metavar="CLASS,...")
@click.option("--only", callback=_classes, default="", metavar="CLASS,...")
def main(
    seeds: int,
    first_seed: int,
    seed: int | None,
    workers: int,
    without: tuple[str, ...],
    only: tuple[str, ...],
) -> None:
    """Run seeds, print the counts; exit 1 where a row differed or a run went wrong."""
    if only:
        without = tuple(name for name in CLASSES if name not in only)
    wanted = range(first_seed, first_seed + seeds) if seed is None else [seed]
    start = perf_counter()
    results: list[Result] = []
    for result in _run(wanted, workers, without):
        results.append(result)
        if not result.is_good:
            _say(f"seed {result.seed}: {result.differing} rows differ")
            for problem in result.problems:
                _say(f"  {problem}")
        if len(results) % 10 == 0:
            _say(f"{len(results)} seeds in {perf_counter() - start:.0f} s")
    for line in report(results, without):
        click.echo(line)
    click.echo(f"{perf_counter() - start:.0f} s")
    sys.exit(0 if all(result.is_good for result in results) else 1)


def _run(seeds: Iterable[int], workers: int, without: tuple[str, ...]) -> Iterator[Result]:
    """Results as they come, each from a process that runs many seeds."""
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        for future in as_completed([pool.submit(run, seed, without) for seed in seeds]):
            yield future.result()


def _say(text: str) -> None:
    click.echo(text, err=True)


if __name__ == "__main__":
    main()
