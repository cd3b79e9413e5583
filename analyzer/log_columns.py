"""Logs as columns: what moves in bulk from a node's answer to the database.

Every column has one entry a log. A single log is made an object only where somebody looks at it,
so a batch of a million costs what its bytes cost.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Final, overload

import numpy as np

from analyzer.arrays import Bytes, Mask, Numbers, offsets_of
from analyzer.evm import Log
from analyzer.payloads import Payloads

MAX_TOPICS = 4
NO_TIME = -1
"""A block time that is not known."""


@dataclass(frozen=True, slots=True, eq=False)
class LogColumns(Sequence[Log]):
    """A sequence of logs, held column by column.

    Hashes, addresses and topics are rows of bytes; topics that a log does not have are zero.
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
    payloads: Payloads

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
            payloads=Payloads.whole(
                np.frombuffer(b"".join(log.data for log in logs), np.uint8),
                offsets_of([len(log.data) for log in logs]),
            ),
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
        unpacked, places = self.payloads.unpacked()
        payloads, offsets = unpacked.tobytes(), places.tolist()
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
            np.array_equal(getattr(self, name), getattr(other, name))
            for name in (*_COLUMNS, "lengths", "data")
        )

    __hash__ = None  # type: ignore[assignment]

    @property
    def lengths(self) -> Numbers:
        """The size of each log's data in bytes."""
        return self.payloads.lengths

    @property
    def data(self) -> Bytes:
        """The data of all logs end to end."""
        return self.payloads.unpacked()[0]

    @property
    def nbytes(self) -> int:
        """Bytes that the columns hold in memory."""
        columns = sum(int(getattr(self, name).nbytes) for name in _COLUMNS)
        return columns + self.payloads.nbytes

    @property
    def weight(self) -> int:
        """What they would hold without templates: as much as the answer was long, about."""
        return self.nbytes - self.payloads.data.nbytes + int(self.lengths.sum())

    def unpacked(self) -> "LogColumns":
        """The same logs, each of which holds its data as a whole."""
        return replace(self, payloads=Payloads.whole(*self.payloads.unpacked()))

    def take(self, rows: Numbers | Mask) -> "LogColumns":
        """The logs at these places, or those for which it is true."""
        places: Numbers = np.flatnonzero(rows) if rows.dtype == np.bool_ else rows.astype(np.int64)
        taken: dict[str, Any] = {name: getattr(self, name)[places] for name in _COLUMNS}
        return LogColumns(**taken, payloads=self.payloads.take(places))

    @staticmethod
    def join(parts: "Sequence[LogColumns]") -> "LogColumns":
        """All logs of the parts, one part after the other."""
        if len(parts) == 1:
            return parts[0]
        if not parts:
            return LogColumns.of([])
        joined: dict[str, Any] = {
            name: np.concatenate([getattr(part, name) for part in parts]) for name in _COLUMNS
        }
        return LogColumns(**joined, payloads=Payloads.join([part.payloads for part in parts]))


_COLUMNS: Final = tuple(one.name for one in fields(LogColumns) if one.name != "payloads")
"""All but the payloads: arrays with an entry a log."""


def _numbers(values: list[int]) -> Numbers:
    return np.array(values, np.int64)


def _rows(texts: list[str], size: int) -> Bytes:
    raw = bytes.fromhex("".join(text[2:] for text in texts))
    return np.frombuffer(raw, np.uint8).reshape(-1, size)
