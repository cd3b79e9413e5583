"""Streams of logs and their finished ranges: what was fetched, under which filter and digest."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

from duckdb import DuckDBPyConnection

from analyzer.evm import Block, LogFilter
from analyzer.protocol import Deployment
from analyzer.store import keys
from analyzer.store.database import first

HIGHEST_BLOCK: Final = 2**63 - 1
MINE: Final = f"{keys.MINE} and filter = ?"
STREAM_TABLES: Final = ("checkpoints", "raw_blocks")
"""Tables whose rows belong to a stream; ``raw_logs`` names its filter only, to save space."""


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
        f"select filter, min(from_block), max(to_block) from checkpoints where {keys.MINE}"
        " group by filter order by 2, 1",
        keys.key(deployment),
    ).fetchall()
    chain_id, protocol, name = keys.key(deployment)
    return [(Stream(chain_id, protocol, name, of), start, end) for of, start, end in rows]


def streams(
    connection: DuckDBPyConnection, deployment: Deployment, filters: Sequence[LogFilter]
) -> list[tuple[Stream, int, int]]:
    """The stored streams of a deployment under its present filters."""
    return [
        (stream, start, end)
        for stream, start, end in stored_streams(connection, deployment)
        if stream == stream_of(deployment, filters, start)
    ]


def finished(connection: DuckDBPyConnection, stream: Stream, after: int = -1) -> list[Checkpoint]:
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
