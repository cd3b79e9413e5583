"""Finished ranges counted again: their logs, their digests and what their events came to."""

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
from duckdb import DuckDBPyConnection

from analyzer.indexer.checked import ANEW, MOST, REBUILD, Checked, blocks
from analyzer.protocol import Deployment
from analyzer.protocols import protocols
from analyzer.store import event_tables, evidence, raw_logs
from analyzer.store.raw_logs import HIGHEST_BLOCK, Checkpoint, Stream


def recounted(
    connection: DuckDBPyConnection,
    name: str,
    deployment: Deployment,
    stream: Stream,
    ranges: Sequence[Checkpoint],
    told: Counter[str],
) -> Iterator[Checked]:
    """Count and digest of every finished range, as its rows give them, and the event rows of it.

    Ranges are read a few at a time; ``told`` takes up how many rows each event table must have.
    """
    if broken := evidence.misshapen(connection, stream):
        place = "an unknown block" if broken[0] is None else f"block {broken[0]:,}"
        yield Checked(
            f"{name} digests",
            f"{broken[1]:,} rows are no logs (values missing or of wrong size), the first of "
            f"{place}; no digest was compared: {ANEW}",
            holds=False,
        )
        return
    events = protocols()[deployment.protocol].events(deployment)
    wrong, astray = 0, 0
    for group in _groups(ranges):
        extent = (group[0].from_block, max(one.to_block for one in group))
        logs = raw_logs.stored_logs(connection, stream, *extent)
        for one in group:
            low = int(np.searchsorted(logs.block_number, one.from_block))
            high = int(np.searchsorted(logs.block_number, one.to_block, side="right"))
            held = logs[low:high]
            if complaint := _complaint(one, len(held), raw_logs.digest(held)):
                wrong += 1
                if wrong <= MOST:
                    yield Checked(f"{name} digest", complaint, holds=False)
        rows = event_tables.told(deployment, events, logs)
        told.update(rows)
        stored = event_tables.counted(connection, deployment, *extent)
        if differing := sorted(t for t in rows.keys() | stored.keys() if rows[t] != stored[t]):
            astray += 1
            if astray <= MOST:
                table = differing[0]
                yield Checked(
                    f"{name} events",
                    f"{table} has {stored[table]:,} rows of {blocks(extent)}, their logs give "
                    f"{rows[table]:,}: {REBUILD}",
                    holds=False,
                )
    yield Checked(
        f"{name} digests",
        f"{len(ranges) - wrong:,} of {len(ranges):,} finished ranges hold the logs of their count "
        "and digest",
        holds=not wrong,
    )


def strays(
    connection: DuckDBPyConnection, name: str, deployment: Deployment, told: Counter[str]
) -> Iterator[Checked]:
    """Event rows where no log range is; those within are compared range by range."""
    stored = event_tables.counted(connection, deployment, 0, HIGHEST_BLOCK)
    tables = len(told.keys() | stored.keys())
    surplus = sum(stored.values()) - sum(told.values())
    if told == stored:
        yield Checked(
            f"{name} events",
            f"{sum(told.values()):,} rows in {tables:,} tables, one of each log that is decoded",
        )
    else:
        yield Checked(
            f"{name} events",
            f"{surplus:+,} rows in {tables:,} tables against what the logs give: {REBUILD}",
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


def _complaint(one: Checkpoint, count: int, digest: str) -> str | None:
    extent = blocks((one.from_block, one.to_block))
    if count != one.logs:
        return f"{extent} hold {count:,} logs, not the {one.logs:,} that were read: {ANEW}"
    if digest != one.digest:
        return f"{extent} do not hold the logs that were read, their digest differs: {ANEW}"
    return None
