"""Prints ratios that are measured in one run: read those, since figures are the machine's.

    python -m tests.benchmarks [PART ...] [--markdown FILE]

It is no test: nothing here fails a build, and nothing asserts a time.
"""

import argparse
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from time import perf_counter

from tests.benchmarks import gmx_v1, gmx_v2, indexing, queries, startup
from tests.benchmarks.measure import Line
from tests.benchmarks.pipeline import table

PIPELINE = "pipeline"
BENCHMARKS: dict[str, tuple[str, Callable[[], Iterator[Line]]]] = {
    "startup": ("Start", startup.lines),
    "gmx_v1": ("GMX v1", gmx_v1.lines),
    "gmx_v2": ("GMX v2", gmx_v2.lines),
    "indexing": (
        f"Indexing: {indexing.LOGS:,} logs; then a recorded chain with its state",
        indexing.lines,
    ),
    "queries": (f"Findings and reports at {queries.POSITIONS:,} positions", queries.lines),
}
ENOUGH_SECONDS = 150


def main() -> None:
    """Print one line a measurement, as they come; last the table of pipelines."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks")
    parser.add_argument("parts", nargs="*", metavar="PART", choices=[*BENCHMARKS, PIPELINE, []])
    parser.add_argument("--markdown", type=Path, help="also write the table of pipelines here")
    parser.add_argument("--chains", nargs="+", choices=table.CHAINS, default=table.CHAINS)
    parser.add_argument("--only", nargs="+", default=(), help="words of the pipelines' names")
    parser.add_argument("--logs", type=int, default=table.SIMPLE_LOGS, help="simple logs")
    parser.add_argument("--rounds", type=int, default=table.MOST_ROUNDS)
    chosen = parser.parse_args()
    parts = chosen.parts or [*BENCHMARKS, PIPELINE]
    start = perf_counter()
    for part, (title, lines) in BENCHMARKS.items():
        if part in parts:
            measure(title, lines, perf_counter() - start)
    if PIPELINE in parts:
        nested, on_anvil = chosen.logs // table.SIMPLE_TO_NESTED, table.MOST_ON_ANVIL
        show(f"\nFrom a node into a store: {chosen.logs:,} simple logs, {nested:,} nested ones,")
        show(f"up to {on_anvil:,} on anvil")
        measured = table.measure(say, chosen.only, chosen.chains, chosen.logs, chosen.rounds)
        for line in measured.text():
            show(line)
        if chosen.markdown:
            chosen.markdown.write_text(measured.markdown())
    show(f"\n{perf_counter() - start:.0f} s")


def measure(title: str, lines: Callable[[], Iterator[Line]], passed: float) -> None:
    """Print the measurements of one part, unless enough time has passed."""
    if passed > ENOUGH_SECONDS:
        show(f"{title}: not measured, {ENOUGH_SECONDS} s have passed")
        return
    show(f"\n{title}")
    try:
        for line in lines():
            show(f"  {line.what:<46} {line.figure:>19}   {line.ratio}")
    except Exception as error:  # noqa: BLE001
        show(f"  not measured: {error!r}")


def show(text: str) -> None:
    """To stdout at once."""
    sys.stdout.write(text.rstrip() + "\n")
    sys.stdout.flush()


def say(text: str) -> None:
    """How far it is, to stderr."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


if __name__ == "__main__":
    main()
