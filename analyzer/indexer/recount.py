"""Finished ranges counted again: their logs, their digests and what their events came to."""

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
from duckdb import DuckDBPyConnection

from analyzer.indexer.checked import ANEW, MOST, REBUILD, Checked, blocks
from analyzer.indexer.ranges import Range
from analyzer.log_columns import LogColumns
from analyzer.protocol import Deployment
from analyzer.protocols import protocols
from analyzer.store import event_rows, event_tables, evidence, raw_logs
from analyzer.store.checkpoints import HIGHEST_BLOCK, Checkpoint, Stream
from analyzer.store.digest import digest


def recounted(
    connection: DuckDBPyConnection,
    deployment: Deployment,
    stream: Stream,
    ranges: Sequence[Checkpoint],
    told: Counter[str],
) -> Iterator[Checked]:
    """Count and digest of every finished range, as its rows give them, and its event rows.

    Ranges are read a few at a time. ``told`` takes up how many rows each event table must have;
    what damaged logs would give is not compared, as the cure for the one is none for the other.
    """
    if broken := evidence.misshapen(connection, stream):
        place = "an unknown block" if broken[0] is None else f"block {broken[0]:,}"
        yield Checked(
            f"{deployment.title} digests",
            f"not compared, as {broken[1]:,} rows are no logs, the first of {place}: {ANEW}",
            holds=False,
        )
        told.update(event_tables.counted(connection, deployment, *extent(ranges)))
        return
    events = protocols()[deployment.protocol].events(deployment)
    wrong, astray = 0, 0
    for group in _groups(ranges):
        span = extent(group)
        logs = raw_logs.stored_logs(connection, stream, *span)
        complaints = [complaint for one in group if (complaint := _complaint(one, logs))]
        for complaint in complaints[: max(0, MOST - wrong)]:
            yield Checked(f"{deployment.title} digest", complaint, holds=False)
        wrong += len(complaints)
        stored = event_tables.counted(connection, deployment, *span)
        rows = stored if complaints else event_rows.expected(deployment, events, logs)
        told.update(rows)
        if differing := _differing(rows, stored):
            astray += 1
            if astray <= MOST:
                table = differing[0]
                yield Checked(
                    f"{deployment.title} events",
                    f"{table} has {stored[table]:,} rows of {blocks(span)}, their logs give "
                    f"{rows[table]:,}: {REBUILD}",
                    holds=False,
                )
    yield Checked(
        f"{deployment.title} digests",
        f"{len(ranges) - wrong:,} of {len(ranges):,} finished ranges hold the logs of their count "
        "and digest",
        holds=not wrong,
    )


def strays(
    connection: DuckDBPyConnection, deployment: Deployment, told: Counter[str]
) -> Iterator[Checked]:
    """Event rows of all blocks together: within the ranges they are compared range by range."""
    stored = event_tables.counted(connection, deployment, 0, HIGHEST_BLOCK)
    tables = told.keys() | stored.keys()
    differing = _differing(told, stored)
    if not differing:
        yield Checked(
            f"{deployment.title} events",
            f"{sum(told.values()):,} rows in {len(tables):,} tables, one of each decoded log",
        )
    else:
        yield Checked(
            f"{deployment.title} events",
            f"{len(differing):,} of {len(tables):,} tables have more or fewer rows than logs give: "
            f"{REBUILD}",
            holds=False,
        )


def _groups(ranges: Sequence[Checkpoint]) -> Iterator[list[Checkpoint]]:
    """Ranges that are read together: many small ones, or a large one."""
    group: list[Checkpoint] = []
    held = 0
    for one in ranges:
        group.append(one)
        held += one.logs
        if held >= raw_logs.REPLAY_BATCH:
            yield group
            group, held = [], 0
    if group:
        yield group


def _differing(told: Counter[str], stored: Counter[str]) -> list[str]:
    return sorted(one for one in told.keys() | stored.keys() if told[one] != stored[one])


def extent(ranges: Sequence[Checkpoint]) -> Range:
    """All blocks from the beginning of the first range to the end of the one that ends last."""
    return ranges[0].from_block, max(one.to_block for one in ranges)


def _complaint(one: Checkpoint, logs: LogColumns) -> str | None:
    """What is wrong with a range, of which the logs may be a part."""
    place = blocks((one.from_block, one.to_block))
    low = int(np.searchsorted(logs.block_number, one.from_block))
    high = int(np.searchsorted(logs.block_number, one.to_block, side="right"))
    if high - low != one.logs:
        return f"{place}: {high - low:,} logs, not the {one.logs:,} that were read: {ANEW}"
    if digest(logs[low:high]) != one.digest:
        return f"{place}: not the logs that were read: {ANEW}"
    return None
