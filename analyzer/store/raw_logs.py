"""Raw logs with their checkpoints: what was fetched, under which filter, and its digest.

A range that no checkpoint covers holds no rows, so storing one only ever appends.
"""

import json
from collections import ChainMap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import pairwise
from typing import Any, Final

import numpy as np
import pyarrow as pa
from duckdb import DuckDBPyConnection

from analyzer.event_columns import DecodedLogs
from analyzer.evm import Block, LogBatch, LogFilter
from analyzer.log_columns import MAX_TOPICS, Bytes, LogColumns, Numbers
from analyzer.protocol import Deployment
from analyzer.store import arrow, templates
from analyzer.store.database import first
from analyzer.store.templates import Template
from analyzer.store.writing import insert

REPLAY_BATCH: Final = 10_000
READ_AT_ONCE: Final = 50_000
"""Logs that are held when stored ones are read, about."""
HIGHEST_BLOCK: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Stream:
    """The logs of one deployment under one filter; another filter is another stream."""

    chain_id: int
    protocol: str
    deployment: str
    filter: str

    @property
    def key(self) -> list[Any]:
        """The values that select this stream's rows."""
        return [self.chain_id, self.protocol, self.deployment, self.filter]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A finished range of blocks: how many logs it holds, and their digest."""

    from_block: int
    to_block: int
    to_hash: str | None
    logs: int
    digest: str


MINE: Final = "chain_id = ? and protocol = ? and deployment = ? and filter = ?"
STREAM_TABLES: Final = ("checkpoints", "raw_blocks")
"""Tables whose rows belong to a stream; ``raw_logs`` names its filter only, to save space."""


def stream_of(deployment: Deployment, filters: Sequence[LogFilter], from_block: int) -> Stream:
    """The stream that a deployment's filters and first block define."""
    described = json.dumps(
        [
            deployment.protocol,
            deployment.name,
            from_block,
            sorted([sorted(f.addresses), [sorted(topic) for topic in f.topics]] for f in filters),
        ]
    )
    digest = sha256(described.encode()).hexdigest()[:16]
    return Stream(deployment.chain_id, deployment.protocol, deployment.name, digest)


def stored_streams(
    connection: DuckDBPyConnection, deployment: Deployment
) -> list[tuple[Stream, int, int]]:
    """Every stored stream of a deployment, whatever its filters, with its first and last block."""
    rows = connection.execute(
        "select filter, min(from_block), max(to_block) from checkpoints"
        " where chain_id = ? and protocol = ? and deployment = ? group by filter order by 2, 1",
        [deployment.chain_id, deployment.protocol, deployment.name],
    ).fetchall()
    names = (deployment.chain_id, deployment.protocol, deployment.name)
    return [(Stream(*names, name), start, end) for name, start, end in rows]


def streams(
    connection: DuckDBPyConnection, deployment: Deployment, filters: Sequence[LogFilter]
) -> list[tuple[Stream, int, int]]:
    """The stored streams of a deployment under its present filters."""
    return [
        (stream, start, end)
        for stream, start, end in stored_streams(connection, deployment)
        if stream == stream_of(deployment, filters, start)
    ]


def checkpoints(
    connection: DuckDBPyConnection, stream: Stream, after: int = -1
) -> list[Checkpoint]:
    """The finished ranges that end after a block, in chain order."""
    rows = connection.execute(
        f"select from_block, to_block, to_hash, logs, digest from checkpoints where {MINE}"
        " and to_block > ? order by from_block",
        [*stream.key, after],
    ).fetchall()
    return [Checkpoint(*row) for row in rows]


def newest(connection: DuckDBPyConnection, stream: Stream) -> Checkpoint | None:
    """The last finished range, if there is any; each range follows the one before it."""
    row = first(
        connection,
        f"select from_block, to_block, to_hash, logs, digest from checkpoints where {MINE}"
        " order by to_block desc limit 1",
        stream.key,
    )
    return Checkpoint(*row) if row else None


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Logs as the columns of ``raw_logs`` that differ from log to log, and what they rest on."""

    logs: pa.Table
    templates: Mapping[bytes, Template]


def prepare(decoded: DecodedLogs) -> Rows:
    """Logs as rows; nothing is stored yet."""
    logs, payloads = decoded.columns, templates.shorten(decoded)
    columns = {
        "block_number": arrow.whole_numbers(logs.block_number),
        "log_index": arrow.whole_numbers(logs.log_index),
        "tx_index": arrow.whole_numbers(logs.tx_index),
        "block_time": arrow.whole_numbers(logs.block_time),
        "block_hash": arrow.blobs(logs.block_hash),
        "tx_hash": arrow.blobs(logs.tx_hash),
        "address": arrow.blobs(logs.address),
        "template": arrow.blobs(payloads.keys, payloads.present),
        "data": arrow.payloads(payloads.data, payloads.offsets),
    }
    for position in range(MAX_TOPICS):
        present = logs.topic_count > position
        columns[f"topic{position}"] = arrow.blobs(logs.topics[:, position], present)
    table = pa.Table.from_arrays(list(columns.values()), names=list(columns))
    return Rows(table, payloads.templates)


def append(connection: DuckDBPyConnection, stream: Stream, rows: Sequence[Rows]) -> None:
    """Store logs, which count once the transaction has its checkpoint."""
    if rows:
        templates.store(connection, dict(ChainMap(*(dict(one.templates) for one in rows))))
        named: dict[str, int | str] = {"chain_id": stream.chain_id, "filter": stream.filter}
        insert(connection, "raw_logs", pa.concat_tables(one.logs for one in rows), named)


def finish(
    connection: DuckDBPyConnection, stream: Stream, done: Checkpoint, headers: Sequence[Block]
) -> None:
    """Vouch for a range whose logs have been stored in the same transaction."""
    connection.execute(
        "insert into raw_blocks select ?, ?, ?, ?, unnest(?), unnest(?), unnest(?), unnest(?)",
        [
            *stream.key,
            [block.number for block in headers],
            [block.hash for block in headers],
            [block.parent_hash for block in headers],
            [block.time for block in headers],
        ],
    )
    connection.execute(
        "insert into checkpoints values (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [*stream.key, done.from_block, done.to_block, done.to_hash, done.logs, done.digest],
    )


def forget(connection: DuckDBPyConnection, stream: Stream) -> None:
    """Drop a whole stream."""
    _delete_logs(connection, stream, -1)
    for table in STREAM_TABLES:
        connection.execute(f"delete from {table} where {MINE}", stream.key)


def forget_after(connection: DuckDBPyConnection, stream: Stream, block: int, hash_: str) -> None:
    """Drop everything of a stream above a block, whose hash is known, down to the very block."""
    straddling = next(
        (one for one in checkpoints(connection, stream, block) if one.from_block <= block), None
    )
    _delete_logs(connection, stream, block)
    connection.execute(f"delete from raw_blocks where {MINE} and number > ?", [*stream.key, block])
    connection.execute(
        f"delete from checkpoints where {MINE} and to_block > ?", [*stream.key, block]
    )
    if straddling is not None:
        left = stored_logs(connection, stream, straddling.from_block, block)
        kept = Checkpoint(straddling.from_block, block, hash_, len(left), digest(left))
        finish(connection, stream, kept, [])


def stored_batches(
    connection: DuckDBPyConnection, stream: Stream, after: int = -1
) -> Iterator[LogBatch]:
    """The stored logs above a block in chain order, whole blocks at a time, for replaying them."""
    start, held = None, 0
    ranges = checkpoints(connection, stream, after)
    for place, one in enumerate(ranges):
        start = max(one.from_block, after + 1) if start is None else start
        held += one.logs
        if held >= REPLAY_BATCH or place + 1 == len(ranges):
            for first, last in _spans(start, one.to_block, held):
                yield from _cut(LogBatch(first, last, stored_logs(connection, stream, first, last)))
            start, held = None, 0


def _spans(first: int, last: int, logs: int) -> Iterator[tuple[int, int]]:
    """A range of blocks in as many equal parts as its logs are too many to be held at once."""
    blocks = last - first + 1
    parts = max(1, min(blocks, -(-logs // READ_AT_ONCE)))
    ends = [first - 1 + blocks * part // parts for part in range(parts + 1)]
    return ((before + 1, end) for before, end in pairwise(ends))


def _cut(batch: LogBatch) -> Iterator[LogBatch]:
    """A batch as consecutive ones of about ``REPLAY_BATCH`` logs, cut between blocks."""
    logs = LogColumns.of(batch.logs)
    numbers, start, first = logs.block_number, 0, batch.from_block
    while len(logs) - start > REPLAY_BATCH:
        last = int(numbers[start + REPLAY_BATCH])
        end = int(np.searchsorted(numbers, last, side="right"))
        yield LogBatch(first, last, logs[start:end])
        start, first = end, last + 1
    if first <= batch.to_block:
        yield LogBatch(first, batch.to_block, logs[start:])


def stored_logs(
    connection: DuckDBPyConnection, stream: Stream, from_block: int, to_block: int
) -> LogColumns:
    """The stored logs of a range of blocks, in chain order."""
    selected = connection.sql(
        "select block_number, tx_index, log_index, block_time, block_hash, tx_hash, address,"
        " topic0, topic1, topic2, topic3, template, data from raw_logs"
        " where chain_id = ? and filter = ? and block_number between ? and ?"
        " order by block_number, log_index",
        params=[stream.chain_id, stream.filter, from_block, to_block],
    )
    columns = selected.to_arrow_table().combine_chunks()
    topics = np.zeros((len(columns), MAX_TOPICS, 32), np.uint8)
    counts = np.zeros(len(columns), np.int64)
    for position in range(MAX_TOPICS):
        column = columns[f"topic{position}"].combine_chunks()
        present = column.is_valid().to_numpy(zero_copy_only=False)
        topics[present, position] = _matrix(column.drop_null(), 32)
        counts += present
    short, places = _payloads(columns["data"])
    rows_of = {bytes(key): rows for key, rows in arrow.places_of(columns["template"]).items()}
    data, offsets = templates.lengthen(
        short, places, rows_of, templates.stored(connection, rows_of)
    )
    return LogColumns(
        block_number=columns["block_number"].to_numpy(),
        tx_index=columns["tx_index"].to_numpy(),
        log_index=columns["log_index"].to_numpy(),
        block_time=columns["block_time"].to_numpy(),
        block_hash=_matrix(columns["block_hash"], 32),
        tx_hash=_matrix(columns["tx_hash"], 32),
        address=_matrix(columns["address"], 20),
        topics=topics,
        topic_count=counts,
        data=data,
        offsets=offsets,
    )


class Digest:
    """A digest of a range's logs, which two independent runs can compare.

    Each column has a SHA-256 of its own, so that logs can be added as they come: block numbers,
    places in the block, places of the transactions, numbers of topics and sizes of payloads, each
    as eight bytes, little-endian; then hashes of blocks and transactions, addresses, topics (four
    of each log) and payloads. The digest is the SHA-256 of these ten.
    """

    def __init__(self) -> None:
        self._columns = [sha256() for _ in range(10)]

    def add(self, logs: LogColumns) -> None:
        """Take up the logs that follow in chain order."""
        numbers = (
            logs.block_number, logs.log_index, logs.tx_index, logs.topic_count, logs.lengths,
        )  # fmt: skip
        rows = (logs.block_hash, logs.tx_hash, logs.address, logs.topics, logs.data)
        values = [
            *(column.astype("<i8") for column in numbers),
            *(np.ascontiguousarray(column) for column in rows),
        ]
        for running, column in zip(self._columns, values, strict=True):
            running.update(column.data)

    def hexdigest(self) -> str:
        """The digest of all logs so far."""
        return sha256(b"".join(column.digest() for column in self._columns)).hexdigest()


def digest(logs: LogColumns) -> str:
    """The digest of logs that are at hand as a whole."""
    whole = Digest()
    whole.add(logs)
    return whole.hexdigest()


def _delete_logs(connection: DuckDBPyConnection, stream: Stream, after: int) -> None:
    connection.execute(
        "delete from raw_logs where chain_id = ? and filter = ? and block_number > ?",
        [stream.chain_id, stream.filter, after],
    )


def _matrix(column: pa.Array, width: int) -> Bytes:
    data, _ = _payloads(column)
    return data.reshape(len(column), width)


def _payloads(column: pa.Array) -> tuple[Bytes, Numbers]:
    """The bytes of a column of blobs end to end, and where each begins and the last one ends."""
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    column = column.cast(pa.large_binary())
    _, offsets_buffer, data_buffer = column.buffers()
    offsets = np.frombuffer(offsets_buffer, np.int64)[column.offset :][: len(column) + 1]
    data = np.frombuffer(data_buffer or b"", np.uint8)[offsets[0] : offsets[-1]]
    return data, offsets - offsets[0]
