"""Raw logs with their checkpoints: what was fetched, under which filter, and its digest."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

import pyarrow as pa
from duckdb import DuckDBPyConnection

from analyzer.evm import Block, Log, LogBatch, LogFilter
from analyzer.protocol import Deployment
from analyzer.store.writing import insert

REPLAY_BATCH: Final = 50_000
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
        """The values that select this stream's checkpoints."""
        return [self.chain_id, self.protocol, self.deployment, self.filter]


MINE: Final = "chain_id = ? and protocol = ? and deployment = ? and filter = ?"


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


def streams(
    connection: DuckDBPyConnection, deployment: Deployment, filters: Sequence[LogFilter]
) -> list[tuple[Stream, int]]:
    """The stored streams of a deployment under its present filters, with their first blocks."""
    starts = connection.execute(
        "select distinct filter, min(from_block) from checkpoints"
        " where chain_id = ? and protocol = ? and deployment = ? group by filter order by filter",
        [deployment.chain_id, deployment.protocol, deployment.name],
    ).fetchall()
    return [
        (stream, start)
        for name, start in starts
        if (stream := stream_of(deployment, filters, start)).filter == name
    ]


def covered_to(connection: DuckDBPyConnection, stream: Stream, from_block: int) -> int:
    """The last block up to which this stream is complete; ``from_block - 1`` if nothing is."""
    last = from_block - 1
    rows = connection.execute(
        f"select from_block, to_block from checkpoints where {MINE} order by from_block",
        stream.key,
    ).fetchall()
    for start, end in rows:
        if start > last + 1:
            break
        last = max(last, end)
    return last


def hashes(connection: DuckDBPyConnection, stream: Stream) -> list[tuple[int, str]]:
    """The checkpoints whose last block's hash is known, newest first."""
    return connection.execute(
        f"select to_block, to_hash from checkpoints where {MINE} and to_hash is not null"
        " order by to_block desc",
        stream.key,
    ).fetchall()


def append(
    connection: DuckDBPyConnection, stream: Stream, batch: LogBatch, to_hash: str | None
) -> None:
    """Store a complete range with its checkpoint; call it inside the step's transaction."""
    forget(connection, stream, batch.from_block, batch.to_block)
    if batch.logs:
        insert(connection, "raw_logs", _arrow(stream, batch.logs))
    if batch.blocks:
        append_blocks(connection, stream.chain_id, batch.blocks)
    connection.execute(
        "insert into checkpoints values (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            *stream.key,
            batch.from_block,
            batch.to_block,
            to_hash,
            len(batch.logs),
            digest(batch.logs),
        ],
    )


def append_blocks(connection: DuckDBPyConnection, chain_id: int, blocks: Sequence[Block]) -> None:
    """Store headers, in place of older headers of the same numbers."""
    numbers = [block.number for block in blocks]
    connection.execute(
        "delete from raw_blocks where chain_id = ? and number in (select unnest(?))",
        [chain_id, numbers],
    )
    insert(
        connection,
        "raw_blocks",
        pa.table(
            {
                "chain_id": pa.array([chain_id] * len(blocks), pa.int64()),
                "number": pa.array(numbers, pa.int64()),
                "hash": [block.hash for block in blocks],
                "parent_hash": [block.parent_hash for block in blocks],
                "time": pa.array([block.time for block in blocks], pa.int64()),
            }
        ),
    )


def forget(connection: DuckDBPyConnection, stream: Stream, from_block: int, to_block: int) -> None:
    """Drop a range of a stream: its logs and every checkpoint that touches it."""
    connection.execute(
        "delete from raw_logs where chain_id = ? and filter = ? and block_number between ? and ?",
        [stream.chain_id, stream.filter, from_block, to_block],
    )
    connection.execute(
        f"delete from checkpoints where {MINE} and to_block >= ? and from_block <= ?",
        [*stream.key, from_block, to_block],
    )


def forget_after(connection: DuckDBPyConnection, stream: Stream, block: int) -> None:
    """Drop everything of a stream above a block."""
    forget(connection, stream, block + 1, HIGHEST_BLOCK)
    connection.execute(
        "delete from raw_blocks where chain_id = ? and number > ?", [stream.chain_id, block]
    )


def stored_batches(connection: DuckDBPyConnection, stream: Stream) -> Iterator[list[Log]]:
    """The stored logs in chain order, in block-aligned batches, for replaying without a network."""
    cursor = connection.cursor()
    cursor.execute(
        "select block_number, block_hash, tx_hash, tx_index, log_index, address,"
        " topic0, topic1, topic2, topic3, data, block_time"
        " from raw_logs where chain_id = ? and filter = ? order by block_number, log_index",
        [stream.chain_id, stream.filter],
    )
    held: list[Log] = []
    while rows := cursor.fetchmany(REPLAY_BATCH):
        logs = [_log(row) for row in rows]
        last = logs[-1].block_number
        ready = held + [log for log in logs if log.block_number < last]
        if ready and ready[-1].block_number < last:
            yield ready
            held = [log for log in logs if log.block_number == last]
        else:
            held = ready + [log for log in logs if log.block_number == last]
    if held:
        yield held


def digest(logs: Sequence[Log]) -> str:
    """A digest of logs that two independent runs can compare."""
    running = sha256()
    for log in logs:
        running.update(
            f"{log.block_number}:{log.log_index}:{log.block_hash}:{log.tx_hash}:{log.address}:"
            f"{','.join(log.topics)}:{log.data.hex()};".encode()
        )
    return running.hexdigest()


def _arrow(stream: Stream, logs: Sequence[Log]) -> pa.Table:
    def binary(values: list[str | None]) -> pa.Array:
        return pa.array([v if v is None else bytes.fromhex(v[2:]) for v in values], pa.binary())

    def topic(position: int) -> pa.Array:
        return binary(
            [log.topics[position] if position < len(log.topics) else None for log in logs]
        )

    return pa.table(
        {
            "chain_id": pa.array([stream.chain_id] * len(logs), pa.int64()),
            "filter": [stream.filter] * len(logs),
            "block_number": pa.array([log.block_number for log in logs], pa.int64()),
            "log_index": pa.array([log.log_index for log in logs], pa.int64()),
            "tx_index": pa.array([log.tx_index for log in logs], pa.int64()),
            "block_hash": binary([log.block_hash for log in logs]),
            "tx_hash": binary([log.tx_hash for log in logs]),
            "address": binary([log.address for log in logs]),
            "topic0": topic(0),
            "topic1": topic(1),
            "topic2": topic(2),
            "topic3": topic(3),
            "data": pa.array([log.data for log in logs], pa.binary()),
            "block_time": pa.array([log.block_time for log in logs], pa.int64()),
        }
    )


def _log(row: tuple[Any, ...]) -> Log:
    number, block_hash, tx_hash, tx_index, log_index, address, *topics, data, time = row
    return Log(
        block_number=number,
        block_hash="0x" + block_hash.hex(),
        tx_hash="0x" + tx_hash.hex(),
        tx_index=tx_index,
        log_index=log_index,
        address="0x" + address.hex(),
        topics=tuple("0x" + topic.hex() for topic in topics if topic is not None),
        data=data,
        block_time=time,
    )
