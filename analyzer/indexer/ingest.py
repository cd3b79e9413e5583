"""From a chain's logs to rows: range by range, linked to each other, a transaction at a time.

The chain fetches what comes next while a range is decoded and written. What logs mean to positions
is replayed later, from the stored rows.
"""

from collections.abc import Sequence
from dataclasses import replace
from time import monotonic
from typing import Final

import numpy as np
from duckdb import DuckDBPyConnection

from analyzer.chain.interface import Chain
from analyzer.errors import AnalyzerError
from analyzer.evm import Block, LogBatch, LogFilter
from analyzer.indexer.plan import Progress
from analyzer.indexer.reorgs import check_link
from analyzer.log_columns import NO_TIME, LogColumns
from analyzer.protocol import Deployment
from analyzer.protocols import protocols
from analyzer.store import event_tables, raw_logs
from analyzer.store.database import transaction

FULL: Final = 122_880
"""Logs that are worth a transaction: a whole row group goes into the file without a detour."""
ENOUGH: Final = 1 << 26
"""Bytes of logs beyond which a transaction does not grow."""
PATIENCE: Final = 2.0
"""Seconds after which what was fetched is stored, however little it is."""


def ingest(
    chain: Chain,
    connection: DuckDBPyConnection,
    deployment: Deployment,
    stream: raw_logs.Stream,
    filters: Sequence[LogFilter],
    from_block: int,
    to_block: int,
    head: Block,
    progress: Progress,
) -> int:
    """Store the logs of a range of blocks that follows what is stored; how many there were.

    Whatever ends the run early, what was fetched before is stored.
    """
    last = raw_logs.newest(connection, stream)
    before = last.to_hash if last and last.to_block == from_block - 1 else None
    held: list[LogBatch] = []
    count, stored, size, since = 0, 0, 0, monotonic()
    asked, total = chain.requests, to_block - from_block + 1
    try:
        for batch in chain.logs(filters, from_block, to_block):
            check_link(batch, before, head)
            before = _hash_at_end(batch, head)
            logs = timed(batch)
            held.append(replace(batch, logs=logs))
            count += len(logs)
            size += logs.nbytes
            if count - stored >= FULL or size >= ENOUGH or monotonic() - since >= PATIENCE:
                _store(connection, deployment, stream, held, head)
                held, stored, size, since = [], count, 0, monotonic()
            done = batch.to_block - from_block + 1
            progress.blocks(deployment, done, total, count, chain.requests - asked)
    finally:
        if held:
            _store(connection, deployment, stream, held, head)
    return count


def timed(batch: LogBatch) -> LogColumns:
    """The batch's logs, each with its block's time, from the log itself or from its header."""
    logs = LogColumns.of(batch.logs)
    timeless = np.flatnonzero(logs.block_time == NO_TIME)
    if not timeless.size:
        return logs
    times = {block.number: block.time for block in batch.blocks}
    known = logs.block_time.copy()
    for place in timeless:
        number = int(logs.block_number[place])
        if number not in times:
            raise AnalyzerError(f"block {number} has logs but its time was not read")
        known[place] = times[number]
    return replace(logs, block_time=known)


def _store(
    connection: DuckDBPyConnection,
    deployment: Deployment,
    stream: raw_logs.Stream,
    held: Sequence[LogBatch],
    head: Block,
) -> None:
    logs = LogColumns.join([LogColumns.of(batch.logs) for batch in held])
    events = protocols()[deployment.protocol].events(deployment)
    whole = LogBatch(
        from_block=held[0].from_block,
        to_block=held[-1].to_block,
        logs=logs,
        blocks=[block for batch in held for block in batch.blocks],
    )
    with transaction(connection):
        raw_logs.append(connection, stream, whole, _hash_at_end(whole, head))
        event_tables.append(connection, deployment, events, logs)


def _hash_at_end(batch: LogBatch, head: Block) -> str | None:
    if batch.to_block == head.number:
        return head.hash
    return next((b.hash for b in batch.blocks if b.number == batch.to_block), None)
