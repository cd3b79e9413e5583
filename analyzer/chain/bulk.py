"""eth_getLogs answers in bulk: typed JSON, then the hex of a whole batch to bytes at once.

What does not fit here is read again one log at a time (``wire.logs``), which says what is wrong
with it, or takes what only looks unusual.
"""

from binascii import unhexlify
from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np

from analyzer.chain import wire
from analyzer.log_columns import MAX_TOPICS, NO_TIME, Bytes, LogColumns, Numbers

ZERO, X = b"0x"
HASH_TEXT: Final = 66
ADDRESS_TEXT: Final = 42
WIDTHS: Final = (HASH_TEXT, HASH_TEXT, ADDRESS_TEXT)


class _WireLog(msgspec.Struct, gc=False, rename="camel"):
    address: str
    topics: list[str]
    data: str
    block_number: str
    block_hash: str
    transaction_hash: str
    transaction_index: str
    log_index: str
    block_timestamp: str | None = None
    removed: bool = False


_LOGS: Final = msgspec.json.Decoder(list[_WireLog])


def log_columns(raw: bytes | msgspec.Raw) -> LogColumns:
    """The logs of an answer, in the order they came; raises ``MalformedError`` as ``wire`` does."""
    try:
        return _columns(_LOGS.decode(raw))
    except ValueError:  # msgspec's and binascii's errors are ones as well
        return LogColumns.of(wire.logs(msgspec.json.decode(raw)))


def _columns(logs: Sequence[_WireLog]) -> LogColumns:
    if any(log.removed for log in logs):
        raise ValueError("removed")
    hashes = "".join(
        [text for log in logs for text in (log.block_hash, log.transaction_hash, log.address)]
    )
    block_hash, tx_hash, address = _fixed(hashes, len(logs), WIDTHS)
    counts = np.array([len(log.topics) for log in logs], np.int64)
    if len(logs) and counts.max() > MAX_TOPICS:
        raise ValueError("topics")
    topics = np.zeros((len(logs), MAX_TOPICS, 32), np.uint8)
    flat = "".join([topic for log in logs for topic in log.topics])
    (topics[np.arange(MAX_TOPICS) < counts[:, None]],) = _fixed(
        flat, int(counts.sum()), (HASH_TEXT,)
    )
    data, offsets = _payloads([log.data for log in logs])
    return LogColumns(
        block_number=_quantities([log.block_number for log in logs], "a log's block"),
        tx_index=_quantities([log.transaction_index for log in logs], "a transaction's index"),
        log_index=_quantities([log.log_index for log in logs], "a log's index"),
        block_time=_times([log.block_timestamp for log in logs]),
        block_hash=block_hash,
        tx_hash=tx_hash,
        address=address,
        topics=topics,
        topic_count=counts,
        data=data,
        offsets=offsets,
    )


def _fixed(text: str, count: int, widths: Sequence[int]) -> list[Bytes]:
    """Rows of ``0x`` texts of known widths, end to end, as one matrix of bytes for each width."""
    matrix = np.frombuffer(text.encode("ascii"), np.uint8).reshape(count, sum(widths))
    columns: list[Bytes] = []
    start = 0
    for width in widths:
        column = matrix[:, start : start + width]
        if not ((column[:, 0] == ZERO) & (column[:, 1] == X)).all():
            raise ValueError("prefix")
        raw = unhexlify(column[:, 2:].tobytes())
        columns.append(np.frombuffer(raw, np.uint8).reshape(count, width // 2 - 1))
        start += width
    return columns


def _payloads(texts: Sequence[str]) -> tuple[Bytes, Numbers]:
    """All data end to end, and where each begins and the last one ends."""
    digits = [text[2:] for text in texts if text.startswith("0x")]
    lengths = np.array([len(text) for text in digits], np.int64)
    if len(digits) < len(texts) or (lengths % 2).any():
        raise ValueError("data")
    offsets = np.zeros(len(texts) + 1, np.int64)
    np.cumsum(lengths // 2, out=offsets[1:])
    return np.frombuffer(unhexlify("".join(digits)), np.uint8), offsets


def _quantities(texts: Sequence[str], name: str) -> Numbers:
    """Quantities; neighbouring logs have the same ones, so each is read and checked once."""
    known = {text: wire.quantity(text, name) for text in set(texts)}
    return np.array([known[text] for text in texts], np.int64)


def _times(texts: Sequence[str | None]) -> Numbers:
    known = {
        text: (wire.quantity(text, "a log's time") or NO_TIME) if text else NO_TIME
        for text in set(texts)
    }
    return np.array([known[text] for text in texts], np.int64)
