"""Our own pipeline: what it stores of a chain's logs, as a process like those of the others."""

import sys
from functools import partial
from pathlib import Path
from typing import Final

from analyzer.store import event_tables
from analyzer.store.database import open_for_reading
from tests.benchmarks.pipeline.job import BLOCKS, CLIENTS, Done, Job, run
from tests.benchmarks.pipeline.pipeline import Pipeline


def ours(job: Job, *, replayed: bool) -> Done:
    """A file whose rows are counted afterwards: those that are stored both raw and decoded."""
    told = job.told(blocks=BLOCKS[job.event], replayed=replayed)
    taken, processor, _ = run([sys.executable, CLIENTS / "perpscope_client.py", told])
    with open_for_reading(Path(job.folder) / "ours.duckdb") as connection:

        def count(table: str) -> int:
            return int(connection.execute(f"select count(*) from {table}").fetchall()[0][0])

        decoded = sum(count(table) for table in event_tables.tables(connection))
        return Done(taken, processor, min(decoded, count("raw_logs")))


OURS: Final = (
    Pipeline(
        "perpscope, decoded rows", "DuckDB: raw and decoded rows, digests, headers",
        "checks block hashes, parents and blooms; goes on where it stopped; exact to 38 digits",
        partial(ours, replayed=False),
    ),
    Pipeline(
        "perpscope, replayed rows", "DuckDB: raw rows, digests, headers, exact position events",
        "the same, and replayed through the protocol's rules",
        partial(ours, replayed=True), simple=50_000, nested=5_000, rounds=1,
    ),
)  # fmt: skip
