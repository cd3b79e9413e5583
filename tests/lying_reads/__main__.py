"""Tells lies about every state read that `index` makes, and prints what `verify` finds of them.

    python -m tests.lying_reads               one lie about each read
    python -m tests.lying_reads --all         every lie about each read: hours
    python -m tests.lying_reads --write       its rows go into docs/verify.md as well

It exits with 1 where a lie changed something and `verify` did not see it.
"""

import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from time import perf_counter

import click

from tests.lying_reads.sweep import MISSED, RECORDINGS, Told, deployments, tell_part
from tests.lying_reads.table import PAGE, counted, page_with, table

PARTS = 8
"""Pieces of work that the reads of a deployment are cut into."""


@click.command()
@click.option("--protocol", multiple=True, type=click.Choice(sorted(RECORDINGS)))
@click.option("--all", "every", is_flag=True, help="Every lie about each read, not one.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--workers", type=click.IntRange(1), default=2, show_default=True)
@click.option("--write", is_flag=True, help="Put the table into docs/verify.md.")
def main(protocol: tuple[str, ...], every: bool, seed: int, workers: int, write: bool) -> None:
    """Tell the lies, print the table; exit 1 where one was not seen."""
    start = perf_counter()
    results: list[Told] = []
    work = [
        (name, deployment, part, PARTS, None if every else seed)
        for name in protocol or sorted(RECORDINGS)
        for deployment in deployments(name)
        for part in range(PARTS)
    ]
    for count, told in enumerate(_run(work, workers), 1):
        results += told
        for one in told:
            if one.outcome == MISSED:
                click.echo(f"missed: {one}", err=True)
        click.echo(f"{count} of {len(work)} parts, {perf_counter() - start:.0f} s", err=True)
    counts = counted(results)
    for line in table(counts):
        click.echo(line)
    if write:
        PAGE.write_text(page_with(PAGE.read_text(), counts))
    sys.exit(1 if any(one.outcome == MISSED for one in results) else 0)


def _run(work: list[tuple[str, str, int, int, int | None]], workers: int) -> Iterator[list[Told]]:
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        for future in as_completed([pool.submit(tell_part, *one) for one in work]):
            yield future.result()


if __name__ == "__main__":
    main()
