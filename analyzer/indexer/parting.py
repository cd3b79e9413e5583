"""Where two stores of the same logs part: digests of ranges, halved down to one block."""

from collections import Counter
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

import numpy as np
from duckdb import DuckDBPyConnection

from analyzer.indexer.ranges import Range, first_difference
from analyzer.log_columns import LogColumns
from analyzer.store import evidence, raw_logs
from analyzer.store.checkpoints import Stream
from analyzer.store.digest import digest

PARTS: Final = {
    "block_hash": "block hash, so one follows another fork",
    "block_time": "block time",
    "tx_hash": "transaction hash",
    "tx_index": "transaction index",
    "address": "address",
    "topic_count": "number of topics",
    "topics": "topic",
    "lengths": "length of data",
    "data": "payload",
}
"""What a log is made of, apart from its place, in words."""


@dataclass(frozen=True, slots=True)
class Logs:
    """The logs of one stream in one database."""

    connection: DuckDBPyConnection
    stream: Stream

    def of(self, start: int, end: int) -> LogColumns:
        """The logs of a range of blocks, which must fit into memory."""
        return raw_logs.stored_logs(self.connection, self.stream, start, end)

    def count(self, start: int, end: int) -> int:
        """How many logs a range of blocks holds."""
        rows = evidence.rows_of(self.connection, self.stream, start, end)
        return rows.count if rows else 0

    def digest(self, start: int, end: int) -> str:
        """One digest of a range of any size, from the digests of chunks that fit into memory."""
        running = sha256()
        size = raw_logs.REPLAY_BATCH
        for last in evidence.chunk_ends(self.connection, self.stream, start, end, size):
            logs = self.of(start, last)
            running.update(f"{last} {digest(logs.unpacked())}".encode())
            running.update(logs.block_time.astype("<i8").data)
            start = last + 1
        return running.hexdigest()


def first_parting(ours: Logs, theirs: Logs, common: Range) -> int | None:
    """The first block of a range whose logs differ, or ``None``; counts first, then digests."""

    def same(start: int, end: int) -> bool:
        return ours.count(start, end) == theirs.count(start, end) and (
            ours.digest(start, end) == theirs.digest(start, end)
        )

    return first_difference(same, *common)


def difference(ours: LogColumns, theirs: LogColumns) -> str:
    """What differs between the logs of one block, which do differ."""
    here, there = ours.log_index.tolist(), theirs.log_index.tolist()
    for places, where in ((here, "here"), (there, "there")):
        if twice := [place for place, count in Counter(places).items() if count > 1]:
            return f"log {twice[0]:,} is stored twice {where}"
    if missing := sorted({*here} ^ {*there}):
        where = "there" if missing[0] in here else "here"
        counts = f"{len(here):,} logs here, {len(there):,} there"
        return f"{counts}, log {missing[0]:,} is missing {where}"
    for row, place in enumerate(here):
        mine, other = ours[row : row + 1], theirs[row : row + 1]
        for part, words in PARTS.items():
            if not np.array_equal(getattr(mine, part), getattr(other, part)):
                return f"log {place:,} has another {words}"
    raise AssertionError("logs with different digests are the same")
