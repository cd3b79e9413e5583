"""Prints ratios that are measured in one run: read those, since figures are the machine's.

    python -m tests.benchmarks

It is no test: nothing here fails a build, and nothing asserts a time.
"""

import sys
from time import perf_counter

from tests.benchmarks import gmx_v1, gmx_v2, indexing, queries, startup

BENCHMARKS = {
    "Start": startup.lines,
    "GMX v1": gmx_v1.lines,
    "GMX v2": gmx_v2.lines,
    f"Indexing: {indexing.LOGS:,} logs; then a recorded chain with its state": indexing.lines,
    f"Findings and reports at {queries.POSITIONS:,} positions": queries.lines,
}
ENOUGH_SECONDS = 150


def main() -> None:
    """Print one line a measurement, as they come."""
    start = perf_counter()
    for title, lines in BENCHMARKS.items():
        if perf_counter() - start > ENOUGH_SECONDS:
            show(f"{title}: not measured, {ENOUGH_SECONDS} s have passed")
            continue
        show(f"\n{title}")
        try:
            for line in lines():
                show(f"  {line.what:<46} {line.figure:>19}   {line.ratio}")
        except Exception as error:  # noqa: BLE001
            show(f"  not measured: {error!r}")
    show(f"\n{perf_counter() - start:.0f} s")


def show(text: str) -> None:
    """To stdout at once."""
    sys.stdout.write(text.rstrip() + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
