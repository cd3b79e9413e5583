"""Raw logs: what was fetched, as it came.

A range that no checkpoint covers holds no rows, so storing one only ever appends.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final

import numpy as np
import pyarrow as pa
from duckdb import DuckDBPyConnection

from analyzer.arrays import Bytes, Numbers
from analyzer.errors import AnalyzerError
from analyzer.evm import LogBatch
from analyzer.log_columns import MAX_TOPICS, LogColumns
from analyzer.payloads import WHOLE, Payloads, Template
from analyzer.store import arrow, checkpoints, templates
from analyzer.store.checkpoints import MINE, STREAM_TABLES, Checkpoint, Stream
from analyzer.store.digest import Digest
from analyzer.store.writing import insert

NEVER_NULL: Final = (
    "block_number", "tx_index", "log_index", "block_time", "block_hash", "tx_hash", "address",
    "data",
)  # fmt: skip
REPLAY_BATCH: Final = 10_000
READ_AT_ONCE: Final = 50_000
"""Logs that are held when stored ones are read, about."""


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Logs as the columns of ``raw_logs`` that differ from log to log, and what they rest on."""

    logs: pa.Table
    templates: Sequence[Template]


def prepare(logs: LogColumns) -> Rows:
    """Logs as rows; nothing is stored yet."""
    payloads = logs.payloads
    columns = {
        "block_number": arrow.whole_numbers(logs.block_number),
        "log_index": arrow.whole_numbers(logs.log_index),
        "tx_index": arrow.whole_numbers(logs.tx_index),
        "block_time": arrow.whole_numbers(logs.block_time),
        "block_hash": arrow.blobs(logs.block_hash),
        "tx_hash": arrow.blobs(logs.tx_hash),
        "address": arrow.blobs(logs.address),
        "template": arrow.blobs(payloads.keys, payloads.which != WHOLE),
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
        templates.store(connection, [template for one in rows for template in one.templates])
        named: dict[str, int | str] = {"chain_id": stream.chain_id, "filter": stream.filter}
        insert(connection, "raw_logs", pa.concat_tables(one.logs for one in rows), named)


def forget(connection: DuckDBPyConnection, stream: Stream) -> None:
    """Drop a whole stream."""
    _delete_logs(connection, stream, -1)
    for table in STREAM_TABLES:
        connection.execute(f"delete from {table} where {MINE}", stream.key)


def forget_after(connection: DuckDBPyConnection, stream: Stream, block: int, hash_: str) -> None:
    """Drop everything of a stream above a block, whose hash is known, down to the very block."""
    above = checkpoints.finished(connection, stream, block)
    straddling = next((one for one in above if one.from_block <= block), None)
    _delete_logs(connection, stream, block)
    connection.execute(f"delete from raw_blocks where {MINE} and number > ?", [*stream.key, block])
    connection.execute(
        f"delete from checkpoints where {MINE} and to_block > ?", [*stream.key, block]
    )
    if straddling is not None:
        count, left = 0, Digest()
        for first, last in _spans(straddling.from_block, block, straddling.logs):
            logs = stored_logs(connection, stream, first, last)
            count += len(logs)
            left.add(logs)
        kept = Checkpoint(straddling.from_block, block, hash_, count, left.hexdigest())
        checkpoints.finish(connection, stream, kept, [])


def stored_batches(
    connection: DuckDBPyConnection, stream: Stream, after: int = -1
) -> Iterator[LogBatch]:
    """The stored logs above a block in chain order, whole blocks at a time, for replaying them."""
    start, held = None, 0
    ranges = checkpoints.finished(connection, stream, after)
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
    """The stored logs of a range of blocks, in chain order.

    ``AnalyzerError`` where rows are no logs. A template that a row no longer names goes unnoticed
    here: the range's digest tells.
    """
    selected = connection.sql(
        "select block_number, tx_index, log_index, block_time, block_hash, tx_hash, address,"
        " topic0, topic1, topic2, topic3, template, data from raw_logs"
        " where chain_id = ? and filter = ? and block_number between ? and ?"
        " order by block_number, log_index",
        params=[stream.chain_id, stream.filter, from_block, to_block],
    )
    columns = selected.to_arrow_table().combine_chunks()
    if any(columns[name].null_count for name in NEVER_NULL):
        raise _damaged("values are missing")
    topics = np.zeros((len(columns), MAX_TOPICS, 32), np.uint8)
    counts = np.zeros(len(columns), np.int64)
    for position in range(MAX_TOPICS):
        column = columns[f"topic{position}"].combine_chunks()
        present = column.is_valid().to_numpy(zero_copy_only=False)
        if (counts[present] < position).any():
            raise _damaged("topics are missing")
        topics[present, position] = _matrix(column.drop_null(), 32)
        counts += present
    payloads = _held(connection, Payloads.whole(*_pieces(columns["data"])), columns["template"])
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
        payloads=payloads,
    )


def _held(connection: DuckDBPyConnection, stored: Payloads, keys: pa.ChunkedArray) -> Payloads:
    """Stored payloads with the templates that they name; an error where it is not theirs."""
    rows_of = {bytes(key): rows for key, rows in arrow.places_of(keys).items()}
    intact = templates.stored(connection, rows_of)
    which, sizes = stored.which, stored.lengths
    for number, (key, rows) in enumerate(rows_of.items()):
        if key not in intact or (sizes[rows] != intact[key].width).any():
            raise _damaged("their template is not theirs")
        which[rows] = number
    return replace(stored, templates=tuple(intact[key] for key in rows_of))


def _damaged(how: str) -> AnalyzerError:
    return AnalyzerError(
        f"stored logs are damaged, as {how}: run `perpscope doctor --completeness`, which names "
        "the blocks"
    )


def _delete_logs(connection: DuckDBPyConnection, stream: Stream, after: int) -> None:
    connection.execute(
        "delete from raw_logs where chain_id = ? and filter = ? and block_number > ?",
        [stream.chain_id, stream.filter, after],
    )


def _matrix(column: pa.Array, width: int) -> Bytes:
    """Rows of so many bytes."""
    data, offsets = _pieces(column)
    if (np.diff(offsets) != width).any():
        raise _damaged("hashes are too short or too long")
    return data.reshape(len(column), width)


def _pieces(column: pa.Array) -> tuple[Bytes, Numbers]:
    """The bytes of a column of blobs end to end, and where each begins and the last one ends."""
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    column = column.cast(pa.large_binary())
    _, offsets_buffer, data_buffer = column.buffers()
    offsets = np.frombuffer(offsets_buffer, np.int64)[column.offset :][: len(column) + 1]
    data = np.frombuffer(data_buffer or b"", np.uint8)[offsets[0] : offsets[-1]]
    return data, offsets - offsets[0]
