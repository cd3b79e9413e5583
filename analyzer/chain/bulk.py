"""eth_getLogs answers in bulk: the digits of all logs are cut out of the text of the answer.

A node writes all logs of an answer alike: the same keys in the same order, so that two logs of one
size differ in the hexadecimal digits of their values only. The first log of a size is read as JSON,
which says where its digits are; the others are compared with all its other bytes in one step, and
are then the same JSON with other digits. An answer that is written otherwise is read log by log.
"""

from binascii import unhexlify
from typing import Any, Final

import msgspec
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from analyzer.chain import wire
from analyzer.chain.text_layout import (
    QUANTITIES,
    SPACE,
    WORDS,
    Span,
    TextLayout,
    TextLayouts,
)
from analyzer.log_columns import MAX_TOPICS, NO_TIME, Bytes, LogColumns, Numbers, offsets_of
from analyzer.reads import MalformedError

BRACE: Final = ord("{")
WINDOW: Final = 8
"""Bytes that are compared at a time: a log's last ones with some of what follows it."""
CACHED: Final = 1 << 21
"""Bytes of text that are read at a time, to stay in the processor's cache."""
MOST_NEW: Final = 64
"""Layouts that are learned of one answer: those of a chain are met in a few of them."""

NIBBLES: Final = np.full(256, 255, np.uint8)
NIBBLES[np.frombuffer(b"0123456789abcdef", np.uint8)] = range(16)
NIBBLES[np.frombuffer(b"ABCDEF", np.uint8)] = range(10, 16)


def log_columns(raw: bytes | msgspec.Raw, known: TextLayouts | None = None) -> LogColumns:
    """The logs of an answer, in the order they came; raises ``MalformedError`` as ``wire`` does."""
    known = known or TextLayouts()
    try:
        with known.lock:
            return scan(raw, known)
    except (ValueError, RecursionError):  # binascii's and msgspec's errors are such
        return LogColumns.of(wire.logs(_decoded(raw)))


def scan(raw: bytes | msgspec.Raw, known: TextLayouts) -> LogColumns:
    """The logs of an answer whose logs are written alike; else ``ValueError``."""
    text = np.frombuffer(raw, np.uint8)
    first, close = _ends(text)
    starts = _braces(text, first, close)
    if not len(starts) or starts[0] != first:
        raise ValueError("no log at the beginning")
    if close - starts[-1] < WINDOW:
        raise ValueError("no log at the end")
    columns = _Columns(len(starts))
    ends = np.append(starts[1:], close)
    _read(text, starts[:-1], ends[:-1] - starts[:-1], np.arange(len(starts) - 1), columns, known)
    # Behind the last log there is no comma as behind the others: it is given one.
    last = text[starts[-1] : close].tobytes().rstrip(SPACE) + b","
    alone = np.frombuffer(last + bytes(WINDOW), np.uint8)
    _read(alone, np.array([0]), np.array([len(last)]), np.array([len(starts) - 1]), columns, known)
    return columns.logs()


def _braces(text: Bytes, first: int, close: int) -> Numbers:
    found = [
        np.flatnonzero(text[begin : min(begin + CACHED, close)] == BRACE) + begin
        for begin in range(first, close, CACHED)
    ]
    return np.concatenate(found) if found else np.empty(0, np.int64)


def _decoded(raw: bytes | msgspec.Raw) -> Any:
    try:
        return msgspec.json.decode(raw)
    except (ValueError, RecursionError) as error:
        raise MalformedError("JSON that is damaged") from error


def _ends(text: Bytes) -> tuple[int, int]:
    """Where the first log of a list begins, and where the list ends."""
    head, tail = text[:64].tobytes(), text[-64:].tobytes()
    opened, closed = head.lstrip(SPACE), tail.rstrip(SPACE)
    if opened[:1] != b"[" or closed[-1:] != b"]":
        raise ValueError("no list of logs")
    first = len(head) - len(opened) + 1
    first += len(opened) - 1 - len(opened[1:].lstrip(SPACE))
    return first, len(text) - len(tail) + len(closed) - 1


def _read(
    text: Bytes,
    starts: Numbers,
    sizes: Numbers,
    numbers: Numbers,
    columns: "_Columns",
    known: TextLayouts,
) -> None:
    """Read the logs that begin at ``starts``; ``numbers`` are their places in the answer."""
    count = 0
    for size in np.unique(sizes).tolist():
        places = np.flatnonzero(sizes == size)
        windows = sliding_window_view(text, -(-size // WINDOW) * WINDOW)
        while len(places):
            first = int(starts[places[0]])
            one = text[first : first + size]
            layout = known.met(one)
            if layout is None:
                count += 1
                if count > MOST_NEW:
                    raise ValueError("too many layouts")
                layout = known.learn(one)
            other: list[Numbers] = []
            step = max(1, CACHED // size)
            for begin in range(0, len(places), step):
                part = places[begin : begin + step]
                texts = windows[starts[part]]
                fits = ((texts.view(np.uint64) & layout.mask) == layout.fixed).all(axis=1)
                if fits.all():
                    columns.put(numbers[part], layout, texts)
                else:
                    columns.put(numbers[part[fits]], layout, texts[fits])
                    other.append(part[~fits])
            places = np.concatenate(other) if other else places[:0]


class _Columns:
    """The columns of so many logs, filled in by layout."""

    def __init__(self, count: int) -> None:
        self._words = {key: np.empty((count, size), np.uint8) for key, size in WORDS.items()}
        self._numbers = {key: np.full(count, NO_TIME, np.int64) for key in QUANTITIES}
        self._topics = np.zeros((count, MAX_TOPICS, 32), np.uint8)
        self._topic_count = np.empty(count, np.int64)
        self._payloads: list[tuple[Numbers, Bytes]] = []

    def put(self, places: Numbers, layout: TextLayout, texts: Bytes) -> None:
        """Fill in the logs of one layout."""
        for key, column in self._words.items():
            column[places] = _bytes(texts, layout.words[key])
        for key, span in layout.quantities.items():
            self._numbers[key][places] = _quantities(texts, span)
        for position, span in enumerate(layout.topics):
            self._topics[places, position] = _bytes(texts, span)
        self._topic_count[places] = len(layout.topics)
        self._payloads.append((places, _bytes(texts, layout.data)))

    def logs(self) -> LogColumns:
        """All of them."""
        lengths = np.empty(len(self._topic_count), np.int64)
        for places, part in self._payloads:
            lengths[places] = part.shape[1]
        offsets = offsets_of(lengths)
        data = np.empty(offsets[-1], np.uint8)
        for places, part in self._payloads:
            if part.size:
                end_to_end = sliding_window_view(data, part.shape[1], writeable=True)
                end_to_end[offsets[places]] = part
        times = self._numbers["blockTimestamp"]
        return LogColumns(
            block_number=self._numbers["blockNumber"],
            tx_index=self._numbers["transactionIndex"],
            log_index=self._numbers["logIndex"],
            block_time=np.where(times == 0, NO_TIME, times),
            block_hash=self._words["blockHash"],
            tx_hash=self._words["transactionHash"],
            address=self._words["address"],
            topics=self._topics,
            topic_count=self._topic_count,
            data=data,
            offsets=offsets,
        )


def _bytes(texts: Bytes, span: Span) -> Bytes:
    """What the digits of a span stand for: a row of bytes for each log."""
    start, end = span
    raw = unhexlify(texts[:, start:end].tobytes())
    return np.frombuffer(raw, np.uint8).reshape(len(texts), (end - start) // 2)


def _quantities(texts: Bytes, span: Span) -> Numbers:
    nibbles = NIBBLES[texts[:, slice(*span)]]
    if nibbles.max(initial=0) > 15:
        raise ValueError("no digit")
    total = np.zeros(len(texts), np.int64)
    for position in range(nibbles.shape[1]):
        total = total * 16 + nibbles[:, position]
    return total
