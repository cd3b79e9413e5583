"""Logs whose JSON differs in hexadecimal digits only, cut out of the text of a whole answer.

A node writes all logs of an answer alike: the same keys in the same order, so that two logs of one
size differ in the digits of their values. The first log of a size is read as JSON, which says where
its digits are; another one is compared with all its other bytes in one step, and is then the same
JSON with other digits. Whatever is written otherwise raises ``ValueError``: it is for a reader of
JSON to say what it is.
"""

from binascii import unhexlify
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from analyzer.log_columns import MAX_TOPICS, NO_TIME, Bytes, LogColumns, Numbers

BRACE, COMMA = b"{,"
HASH, ADDRESS = 64, 40
WORDS: Final = {"blockHash": HASH, "transactionHash": HASH, "address": ADDRESS}
"""Values of a fixed number of digits."""
QUANTITIES: Final = ("blockNumber", "transactionIndex", "logIndex", "blockTimestamp")
MOST_DIGITS: Final = 15
"""Digits of a quantity that surely fits a signed 64-bit integer."""
MOST_LAYOUTS: Final = 64
"""Layouts of one answer; one with more is not written by a machine that means well."""

NIBBLES: Final = np.full(256, 255, np.uint8)
NIBBLES[np.frombuffer(b"0123456789abcdef", np.uint8)] = range(16)
NIBBLES[np.frombuffer(b"ABCDEF", np.uint8)] = range(10, 16)

Span = tuple[int, int]
"""Where the digits of a value begin and end in the text of a log."""


@dataclass(frozen=True, slots=True)
class TextLayout:
    """Where the digits of a log of one size lie; ``mask`` and ``fixed`` are all its other bytes."""

    size: int
    words: dict[str, Span]
    quantities: dict[str, Span]
    topics: tuple[Span, ...]
    data: Span
    mask: NDArray[np.uint64]
    fixed: NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class _Part:
    """Logs of one layout: their places in the answer and their values."""

    places: Numbers
    layout: TextLayout
    texts: Bytes


def scan(raw: bytes | memoryview) -> LogColumns:
    """The logs of an answer, in the order they came; raises ``ValueError`` if it is not one."""
    body = bytes(raw).strip()
    if body[:1] != b"[" or body[-1:] != b"]" or b"\\" in body:
        raise ValueError("not a list of logs")
    # Each log ends with the comma after it, the last one with one of ours; then room to compare.
    text = np.frombuffer(body[1:-1] + b"," + bytes(8), np.uint8)
    starts = np.flatnonzero(text == BRACE)
    if not len(starts) or starts[0] != 0:
        raise ValueError("no log at the beginning")
    parts = list(_parts(text, starts, np.diff(starts, append=len(text) - 8)))
    return _columns(parts, len(starts))


def _parts(text: Bytes, starts: Numbers, sizes: Numbers) -> Iterator[_Part]:
    count = 0
    for size in np.unique(sizes).tolist():
        places = np.flatnonzero(sizes == size)
        width = -(-size // 8) * 8
        windows = sliding_window_view(text, width)
        while len(places):
            count += 1
            if count > MOST_LAYOUTS:
                raise ValueError("too many layouts")
            first = int(starts[places[0]])
            layout = learn(text[first : first + size].tobytes())
            texts = windows[starts[places]]
            fits = ((texts.view(np.uint64) & layout.mask) == layout.fixed).all(axis=1)
            yield _Part(places[fits], layout, texts if fits.all() else texts[fits])
            places = places[~fits]


def learn(text: bytes) -> TextLayout:
    """The layout of a log's JSON with the comma that follows it."""
    if not text.endswith(b"},"):
        raise ValueError("something behind a log")
    log = msgspec.json.decode(text[:-1])
    if log.get("removed"):
        raise ValueError("a removed log")
    topics = log["topics"]
    if len(topics) > MAX_TOPICS:
        raise ValueError("too many topics")
    spans: list[Span] = []
    end = _after_key(text, "topics", b"[")
    for topic in topics:
        start = text.index(b'"', end)
        spans.append(_span(text, start + 1, topic, HASH))
        end = spans[-1][1] + 1
    words = {key: _value(text, log, key, digits) for key, digits in WORDS.items()}
    quantities = {key: _value(text, log, key) for key in QUANTITIES if key in log}
    if any(end - start > MOST_DIGITS or end == start for start, end in quantities.values()):
        raise ValueError("a quantity of another size")
    data = _value(text, log, "data")
    if (data[1] - data[0]) % 2:
        raise ValueError("half a byte")
    width = -(-len(text) // 8) * 8
    mask = np.zeros(width, np.uint8)
    mask[: len(text)] = 0xFF
    for start, stop in (*words.values(), *quantities.values(), *spans, data):
        if not mask[start:stop].all():
            raise ValueError("values that overlap")
        mask[start:stop] = 0
    bits = mask.view(np.uint64)
    fixed = np.frombuffer(text.ljust(width, b"\0"), np.uint64) & bits
    return TextLayout(len(text), words, quantities, tuple(spans), data, bits, fixed)


def _value(text: bytes, log: dict[str, Any], key: str, digits: int | None = None) -> Span:
    return _span(text, _after_key(text, key, b'"'), log[key], digits)


def _after_key(text: bytes, key: str, opening: bytes) -> int:
    """Where the value of a key begins behind its opening character; the key occurs once."""
    name = b'"' + key.encode() + b'"'
    if text.count(name) != 1:
        raise ValueError("a key that is not there once")
    colon = text.index(b":", text.index(name) + len(name))
    start = text.index(opening, colon)
    if text[text.index(name) + len(name) : colon].strip() or text[colon + 1 : start].strip():
        raise ValueError("another kind of value")
    return start + len(opening)


def _span(text: bytes, start: int, value: Any, digits: int | None) -> Span:
    """The digits of a value that begins at a place, as the reader of JSON read it there."""
    if not isinstance(value, str) or value[:2] != "0x":
        raise ValueError("no hexadecimal text")
    end = start + len(value)
    if text[start : end + 1] != value.encode() + b'"':
        raise ValueError("a value that is not where it seems")
    if digits is not None and end - start - 2 != digits:
        raise ValueError("a value of another size")
    return start + 2, end


def _columns(parts: Sequence[_Part], count: int) -> LogColumns:
    columns: dict[str, NDArray[Any]] = {
        "block_hash": np.empty((count, 32), np.uint8),
        "tx_hash": np.empty((count, 32), np.uint8),
        "address": np.empty((count, 20), np.uint8),
    }
    numbers = {key: np.full(count, NO_TIME, np.int64) for key in QUANTITIES}
    topics = np.zeros((count, MAX_TOPICS, 32), np.uint8)
    topic_count = np.empty(count, np.int64)
    payloads: list[bytes] = [b""] * count
    for part in parts:
        places, layout, texts = part.places, part.layout, part.texts
        for name, key in zip(columns, ("blockHash", "transactionHash", "address"), strict=True):
            columns[name][places] = _bytes(texts, layout.words[key])
        for key, span in layout.quantities.items():
            numbers[key][places] = _numbers(texts, span)
        for position, span in enumerate(layout.topics):
            topics[places, position] = _bytes(texts, span)
        topic_count[places] = len(layout.topics)
        _put(payloads, places, _bytes(texts, layout.data))
    offsets = np.zeros(count + 1, np.int64)
    np.cumsum([len(payload) for payload in payloads], out=offsets[1:])
    times = numbers["blockTimestamp"]
    return LogColumns(
        block_number=numbers["blockNumber"],
        tx_index=numbers["transactionIndex"],
        log_index=numbers["logIndex"],
        block_time=np.where(times == 0, NO_TIME, times),
        topics=topics,
        topic_count=topic_count,
        data=np.frombuffer(b"".join(payloads), np.uint8),
        offsets=offsets,
        **columns,
    )


def _bytes(texts: Bytes, span: Span) -> Bytes:
    """What the digits of a span stand for: a row of bytes for each log."""
    start, end = span
    raw = unhexlify(texts[:, start:end].tobytes())
    return np.frombuffer(raw, np.uint8).reshape(len(texts), (end - start) // 2)


def _numbers(texts: Bytes, span: Span) -> Numbers:
    nibbles = NIBBLES[texts[:, slice(*span)]]
    if nibbles.max(initial=0) > 15:
        raise ValueError("no digit")
    total = np.zeros(len(texts), np.int64)
    for position in range(nibbles.shape[1]):
        total = total * 16 + nibbles[:, position]
    return total


def _put(payloads: list[bytes], places: Numbers, rows: Bytes) -> None:
    size = rows.shape[1]
    if not size:
        return
    pieces: list[bytes] = np.ascontiguousarray(rows).view(f"V{size}")[:, 0].tolist()
    for place, piece in zip(places.tolist(), pieces, strict=True):
        payloads[place] = piece
