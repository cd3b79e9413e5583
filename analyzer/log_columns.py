"""Logs as columns: what moves in bulk from a node's answer to the database.

Every column has one entry a log. A single log is made an object only where somebody looks at it,
so a batch of a million costs what its bytes cost.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from analyzer.evm import Log

Bytes = NDArray[np.uint8]
Numbers = NDArray[np.int64]

MAX_TOPICS = 4
NO_TIME = -1
"""A block time that is not known."""


@dataclass(frozen=True, slots=True, eq=False)
class LogColumns(Sequence[Log]):
    """A sequence of logs, held column by column.

    Hashes, addresses and topics are rows of bytes; topics that a log does not have are zero.
    ``data`` is all payloads end to end, payload ``i`` is ``data[offsets[i]:offsets[i + 1]]``.
    """

    block_number: Numbers
    tx_index: Numbers
    log_index: Numbers
    block_time: Numbers
    block_hash: Bytes
    tx_hash: Bytes
    address: Bytes
    topics: Bytes
    topic_count: Numbers
    data: Bytes
    offsets: Numbers

    @classmethod
    def of(cls, logs: Sequence[Log]) -> "LogColumns":
        """The logs as columns."""
        if isinstance(logs, LogColumns):
            return logs
        topics = [topic for log in logs for topic in (*log.topics, *[""] * MAX_TOPICS)[:MAX_TOPICS]]
        padded = "".join(topic[2:].zfill(64) for topic in topics)
        return cls(
            block_number=_numbers([log.block_number for log in logs]),
            tx_index=_numbers([log.tx_index for log in logs]),
            log_index=_numbers([log.log_index for log in logs]),
            block_time=_numbers(
                [NO_TIME if log.block_time is None else log.block_time for log in logs]
            ),
            block_hash=_rows([log.block_hash for log in logs], 32),
            tx_hash=_rows([log.tx_hash for log in logs], 32),
            address=_rows([log.address for log in logs], 20),
            topics=np.frombuffer(bytes.fromhex(padded), np.uint8).reshape(-1, MAX_TOPICS, 32),
            topic_count=_numbers([len(log.topics) for log in logs]),
            data=np.frombuffer(b"".join(log.data for log in logs), np.uint8),
            offsets=offsets_of([len(log.data) for log in logs]),
        )

    def __len__(self) -> int:
        return len(self.block_number)

    @overload
    def __getitem__(self, index: int) -> Log: ...
    @overload
    def __getitem__(self, index: slice) -> "LogColumns": ...
    def __getitem__(self, index: int | slice) -> "Log | LogColumns":
        if isinstance(index, slice):
            return self.take(np.arange(*index.indices(len(self))))
        return next(iter(self.take(np.array([range(len(self))[index]]))))

    def __iter__(self) -> Iterator[Log]:
        hashes, transactions = self.block_hash.tobytes().hex(), self.tx_hash.tobytes().hex()
        addresses, topics = self.address.tobytes().hex(), self.topics.tobytes().hex()
        payloads, offsets = self.data.tobytes(), self.offsets.tolist()
        numbers = zip(
            self.block_number.tolist(),
            self.tx_index.tolist(),
            self.log_index.tolist(),
            self.block_time.tolist(),
            self.topic_count.tolist(),
            strict=True,
        )
        for i, (block, tx_index, log_index, time, count) in enumerate(numbers):
            first = 64 * MAX_TOPICS * i
            yield Log(
                block_number=block,
                block_hash="0x" + hashes[64 * i : 64 * i + 64],
                tx_hash="0x" + transactions[64 * i : 64 * i + 64],
                tx_index=tx_index,
                log_index=log_index,
                address="0x" + addresses[40 * i : 40 * i + 40],
                topics=tuple(
                    "0x" + topics[at : at + 64] for at in range(first, first + 64 * count, 64)
                ),
                data=payloads[offsets[i] : offsets[i + 1]],
                block_time=None if time == NO_TIME else time,
            )

    def __eq__(self, other: object) -> bool:
        """Whether the other sequence holds the same logs."""
        if not isinstance(other, LogColumns):
            return isinstance(other, Sequence) and list(self) == list(other)
        return all(
            np.array_equal(getattr(self, field.name), getattr(other, field.name))
            for field in fields(self)
        )

    __hash__ = None  # type: ignore[assignment]

    @property
    def lengths(self) -> Numbers:
        """The size of each log's data in bytes."""
        return np.diff(self.offsets)

    @property
    def nbytes(self) -> int:
        """Bytes that the columns hold in memory."""
        return sum(int(getattr(self, field.name).nbytes) for field in fields(self))

    def take(self, rows: Numbers | NDArray[np.bool_]) -> "LogColumns":
        """The logs at these places, or those for which it is true."""
        rows = np.flatnonzero(rows) if rows.dtype == np.bool_ else rows
        starts = self.offsets[rows]
        lengths = self.offsets[rows + 1] - starts
        offsets = offsets_of(lengths)
        whole = len(rows) and np.array_equal(starts[1:], starts[:-1] + lengths[:-1])
        if whole:
            data = self.data[starts[0] : starts[-1] + lengths[-1]]
        else:
            places = np.repeat(starts - offsets[:-1], lengths) + np.arange(offsets[-1])
            data = self.data[places]
        taken: dict[str, Any] = {
            field.name: getattr(self, field.name)[rows] for field in fields(self)[:-2]
        }
        return LogColumns(**taken, data=data, offsets=offsets)

    @staticmethod
    def join(parts: "Sequence[LogColumns]") -> "LogColumns":
        """All logs of the parts, one part after the other."""
        if len(parts) == 1:
            return parts[0]
        if not parts:
            return LogColumns.of([])
        joined: dict[str, Any] = {
            field.name: np.concatenate([getattr(part, field.name) for part in parts])
            for field in fields(LogColumns)[:-1]
        }
        lengths = np.concatenate([part.lengths for part in parts])
        return LogColumns(**joined, offsets=offsets_of(lengths))


def offsets_of(lengths: Sequence[int] | Numbers) -> Numbers:
    """Where pieces of these lengths begin that lie end to end, and where the last one ends."""
    offsets = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return offsets


def _numbers(values: list[int]) -> Numbers:
    return np.array(values, np.int64)


def _rows(texts: list[str], size: int) -> Bytes:
    raw = bytes.fromhex("".join(text[2:] for text in texts))
    return np.frombuffer(raw, np.uint8).reshape(-1, size)
