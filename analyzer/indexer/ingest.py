"""From a chain's logs to rows: range by range, linked to each other, a transaction at a time.

The chain fetches what comes next while a range is decoded and written. What logs mean to positions
is replayed later, from the stored rows.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import Final

from duckdb import DuckDBPyConnection

from analyzer.arrays import TURN
from analyzer.chain.interface import Chain
from analyzer.errors import AnalyzerError
from analyzer.event_columns import decode, shortened
from analyzer.evm import Block, LogBatch, LogFilter
from analyzer.indexer.ahead import ahead
from analyzer.indexer.plan import Progress
from analyzer.indexer.reorgs import check_link
from analyzer.log_columns import NO_TIME, LogColumns
from analyzer.payloads import Templates
from analyzer.protocol import Deployment
from analyzer.protocols import protocols
from analyzer.store import checkpoints, event_rows, event_tables, raw_logs
from analyzer.store.checkpoints import Checkpoint, Stream
from analyzer.store.database import transaction
from analyzer.store.digest import Digest

FULL: Final = 120_000
"""Logs of one transaction at most: the last group of rows of each is written anew by the next."""
ENOUGH: Final = 1 << 27
"""Bytes of logs beyond which a transaction does not grow."""
AT_ONCE: Final = 1 << 23
"""Bytes of raw logs that are handed to DuckDB together, about: each time costs the same again."""
MOST_AHEAD: Final = 8
"""Decoded batches that wait to be stored."""
PATIENCE: Final = 5.0
"""Seconds after which what was fetched is stored, however little it is."""


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A batch that is ready to be stored.

    ``done`` is the checkpoint of its transaction if that ends behind it, as it must if ``is_last``.
    """

    batch: LogBatch
    raw: raw_logs.Rows
    told: list[event_rows.Told]
    done: Checkpoint
    is_last: bool


def ingest(
    chain: Chain,
    connection: DuckDBPyConnection,
    deployment: Deployment,
    stream: Stream,
    filters: Sequence[LogFilter],
    from_block: int,
    to_block: int,
    head: Block,
    progress: Progress,
) -> int:
    """Store the logs of a range of blocks that follows what is stored; how many there were.

    Where the chain ends the run early, what was fetched before is stored; an interrupt while
    something is written leaves what earlier transactions hold.
    """
    prepared = _prepared(
        chain,
        deployment,
        filters,
        from_block,
        to_block,
        head,
        _before(connection, stream, from_block),
    )
    asked, total, count = chain.requests, to_block - from_block + 1, 0

    def report(batch: LogBatch) -> None:
        nonlocal count
        count += len(batch.logs)
        done = batch.to_block - from_block + 1
        progress.blocks(deployment, done, total, count, chain.requests - asked)

    catalog = event_tables.catalog(connection, deployment.protocol)
    stopped: BaseException | None = None
    with ahead(prepared, MOST_AHEAD) as batches:
        while stopped is None:
            with transaction(connection):
                stopped = _store_some(connection, deployment, stream, batches, catalog, report)
    if not isinstance(stopped, StopIteration):
        raise stopped
    return count


def _before(connection: DuckDBPyConnection, stream: Stream, from_block: int) -> str | None:
    """The hash of the block before a range, where it is the last one stored."""
    last = checkpoints.newest(connection, stream)
    return last.to_hash if last and last.to_block == from_block - 1 else None


def _prepared(
    chain: Chain,
    deployment: Deployment,
    filters: Sequence[LogFilter],
    from_block: int,
    to_block: int,
    head: Block,
    before: str | None,
) -> Iterator[_Prepared]:
    """Batches, each linked to the one before it, decoded, and counted for a checkpoint."""
    events = protocols()[deployment.protocol].events(deployment)
    templates = Templates()
    span = _Span(from_block)
    for batch in chain.logs(filters, from_block, to_block, templates):
        check_link(batch, before, head)
        before = _hash_at_end(batch, head)
        with TURN:
            decoded = decode(events, complete(batch))
            logs = shortened(decoded)
            templates.learn(logs.payloads.templates)
            raw, told = raw_logs.prepare(logs), event_rows.prepare(deployment, decoded)
        span.add(logs)
        is_last = span.is_full()
        yield _Prepared(batch, raw, told, span.until(batch.to_block, before), is_last)
        span = _Span(batch.to_block + 1) if is_last else span


@dataclass(slots=True)
class _Span:
    """The logs of one transaction so far, which begins at a block and a time."""

    from_block: int
    logs: int = 0
    size: int = 0
    digest: Digest = field(default_factory=Digest)
    since: float = field(default_factory=monotonic)

    def add(self, logs: LogColumns) -> None:
        self.logs += len(logs)
        self.size += logs.nbytes
        self.digest.add(logs)

    def is_full(self) -> bool:
        return self.logs >= FULL or self.size >= ENOUGH or monotonic() - self.since >= PATIENCE

    def until(self, to_block: int, to_hash: str | None) -> Checkpoint:
        return Checkpoint(self.from_block, to_block, to_hash, self.logs, self.digest.hexdigest())


def _store_some(
    connection: DuckDBPyConnection,
    deployment: Deployment,
    stream: Stream,
    batches: Iterator[_Prepared],
    catalog: event_tables.Catalog,
    report: Callable[[LogBatch], None],
) -> BaseException | None:
    """Store batches with one checkpoint; what ended them, if anything did."""
    headers, waiting = list[Block](), _Waiting()
    one: _Prepared | None = None
    stopped: BaseException | None = None
    while one is None or not one.is_last:
        try:
            one = next(batches)
        except (StopIteration, AnalyzerError, KeyboardInterrupt) as reason:
            stopped = reason
            break
        headers += one.batch.blocks
        report(one.batch)
        waiting.add(one)
        if waiting.size >= AT_ONCE:
            waiting.store(connection, deployment, stream, catalog)
    if one is not None:
        waiting.store(connection, deployment, stream, catalog)
        checkpoints.finish(connection, stream, one.done, headers)
    return stopped


@dataclass(slots=True)
class _Waiting:
    """Rows that are stored together; the logs that they were made of are let go."""

    raw: list[raw_logs.Rows] = field(default_factory=list)
    told: list[event_rows.Told] = field(default_factory=list)
    size: int = 0

    def add(self, one: _Prepared) -> None:
        self.raw.append(one.raw)
        self.told += one.told
        self.size += one.raw.logs.nbytes

    def store(
        self,
        connection: DuckDBPyConnection,
        deployment: Deployment,
        stream: Stream,
        catalog: event_tables.Catalog,
    ) -> None:
        raw_logs.append(connection, stream, self.raw)
        event_tables.append(connection, deployment, self.told, catalog)
        self.raw, self.told, self.size = [], [], 0


def complete(batch: LogBatch) -> LogColumns:
    """The batch's logs, of all of which the block's time is known."""
    logs = LogColumns.of(batch.logs)
    timeless = logs.block_number[logs.block_time == NO_TIME]
    if timeless.size:
        raise AnalyzerError(f"block {timeless[0]} has logs but its time was not read")
    return logs


def _hash_at_end(batch: LogBatch, head: Block) -> str | None:
    if batch.to_block == head.number:
        return head.hash
    return next((b.hash for b in batch.blocks if b.number == batch.to_block), None)
