"""What must be true of logs before they are believed: each check refuses with ``MalformedError``.

What a node sends without being asked would be stored as if it were true.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from analyzer.arrays import Bytes
from analyzer.evm import Block, LogFilter
from analyzer.log_columns import NO_TIME, LogColumns
from analyzer.reads import MalformedError


def check_answer(logs: LogColumns, wanted: LogFilter, first: int, last: int) -> None:
    """Refuse logs of other blocks, logs that the filter does not match, and repeated ones."""
    numbers = logs.block_number
    outside = (numbers < first) | (numbers > last)
    if outside.any():
        raise MalformedError(f"a log of block {numbers[outside][0]}, outside {first} to {last}")
    foreign = ~matching(logs, wanted)
    if foreign.any():
        raise MalformedError(f"a log of block {numbers[foreign][0]} that does not match the filter")
    if (twice := _twice(logs, np.lexsort((logs.log_index, numbers)))) is not None:
        raise MalformedError(f"log {logs.log_index[twice]} of block {numbers[twice]} twice")


def matching(logs: LogColumns, wanted: LogFilter) -> NDArray[np.bool_]:
    """Which of the logs a node would return for the filter."""
    fits = logs.topic_count >= len(wanted.topics)
    if wanted.addresses:
        fits &= _one_of(logs.address, wanted.addresses)
    for position, accepted in enumerate(wanted.topics):
        if accepted:
            fits &= _one_of(logs.topics[:, position], accepted)
    return fits


def in_chain_order(parts: Sequence[LogColumns]) -> LogColumns:
    """The logs of several filters in one order, each once, whichever filters it matched."""
    logs = LogColumns.join(parts)
    order = np.lexsort((logs.log_index, logs.block_number))
    if (order[1:] < order[:-1]).any():
        logs = logs.take(order)
    first_of = np.ones(len(logs), np.bool_)
    first_of[1:] = ~_same_place(logs)
    if first_of.all():
        return logs
    repeated = np.flatnonzero(~first_of)
    if logs.take(repeated) != logs.take(repeated - 1):
        number, index = logs.block_number[repeated[0]], logs.log_index[repeated[0]]
        raise MalformedError(f"two different logs {index} of block {number}")
    return logs.take(first_of)


def check_blocks(logs: LogColumns, blocks: Mapping[int, Block]) -> None:
    """Refuse logs and headers that speak of different blocks; the logs are in chain order.

    Logs of one block have its hash and its time, logs of one transaction its hash, and a header's
    parent is the header before it where both are known.
    """
    numbers = logs.block_number
    same = np.flatnonzero(numbers[1:] == numbers[:-1])
    split = same[(logs.block_hash[same] != logs.block_hash[same + 1]).any(axis=1)]
    if split.size:
        raise MalformedError(f"two hashes for block {numbers[split[0]]}")
    apart = same[logs.block_time[same] != logs.block_time[same + 1]]
    if apart.size:
        raise MalformedError(f"two times for block {numbers[apart[0]]}")
    together = same[logs.tx_index[same] == logs.tx_index[same + 1]]
    torn = together[(logs.tx_hash[together] != logs.tx_hash[together + 1]).any(axis=1)]
    if torn.size:
        raise MalformedError(f"two hashes for one transaction of block {numbers[torn[0]]}")
    for number, place in zip(*np.unique(numbers, return_index=True), strict=True):
        header = blocks.get(int(number))
        if header and header.hash != "0x" + logs.block_hash[place].tobytes().hex():
            raise MalformedError(f"logs and a header with two hashes for block {number}")
        if header and header.time != logs.block_time[place]:
            raise MalformedError(f"logs and a header with two times for block {number}")
    for number, header in blocks.items():
        before = blocks.get(number - 1)
        if before and before.hash != header.parent_hash:
            raise MalformedError(f"a block {number} that does not follow block {number - 1}")


def timed(logs: LogColumns, blocks: Mapping[int, Block]) -> LogColumns:
    """The logs, each with its block's time; the headers of those without one are known."""
    timeless = logs.block_time == NO_TIME
    if timeless.any():
        numbers, places = np.unique(logs.block_number[timeless], return_inverse=True)
        times = np.array([blocks[int(number)].time for number in numbers], np.int64)
        known = logs.block_time.copy()
        known[timeless] = times[places]
        return replace(logs, block_time=known)
    return logs


def _same_place(logs: LogColumns) -> NDArray[np.bool_]:
    numbers, indices = logs.block_number, logs.log_index
    same: NDArray[np.bool_] = (numbers[1:] == numbers[:-1]) & (indices[1:] == indices[:-1])
    return same


def _twice(logs: LogColumns, order: NDArray[np.intp]) -> int | None:
    numbers, indices = logs.block_number[order], logs.log_index[order]
    again = np.flatnonzero((numbers[1:] == numbers[:-1]) & (indices[1:] == indices[:-1]))
    return int(order[again[0]]) if again.size else None


def _one_of(column: Bytes, accepted: Sequence[str]) -> NDArray[np.bool_]:
    """For each row of bytes whether it is one of the accepted hexadecimal values."""
    values = np.frombuffer(bytes.fromhex("".join(value[2:] for value in accepted)), np.uint8)
    return np.isin(_whole(column), _whole(values.reshape(len(accepted), -1)))


def _whole(rows: Bytes) -> NDArray[np.void]:
    """Each row of bytes as one value."""
    return np.ascontiguousarray(rows).view(f"V{rows.shape[1]}").ravel()
