"""Where the digits of a log lie in the text of an answer, and what all its other bytes are."""

from dataclasses import dataclass, field
from threading import Lock
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from analyzer.chain import wire
from analyzer.log_columns import Bytes
from analyzer.reads import MalformedError

WORDS: Final = {"blockHash": 32, "transactionHash": 32, "address": 20}
"""Values of a fixed number of bytes."""
QUANTITIES: Final = ("blockNumber", "transactionIndex", "logIndex", "blockTimestamp")
MOST_DIGITS: Final = 15
"""Digits of a quantity that surely fits a signed 64-bit integer."""
MOST_KEPT: Final = 2_048
"""Layouts that are kept of one node's answers."""
MOST_BYTES: Final = 1 << 24
"""Bytes of the logs that they are the layouts of, as a layout is as large as its log."""
SPACE: Final = b" \t\n\r"
"""What JSON takes for white space; Python takes more."""

Span = tuple[int, int]
"""Where the digits of a value begin and end in the text of a log."""


@dataclass(frozen=True, slots=True)
class TextLayout:
    """Where the digits of a log of one size lie; ``mask`` and ``fixed`` are all its other bytes."""

    words: dict[str, Span]
    quantities: dict[str, Span]
    topics: tuple[Span, ...]
    data: Span
    mask: NDArray[np.uint64]
    fixed: NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class TextLayouts:
    """The layouts that a node's answers had, by the size of a log's text."""

    by_size: dict[int, list[TextLayout]] = field(default_factory=dict)
    lock: Lock = field(default_factory=Lock)
    """For who reads an answer: threads that read two at once would take turns at every step."""

    def met(self, text: Bytes) -> TextLayout | None:
        """The layout of a log's text, if an earlier one had it."""
        bits = _bits(text.tobytes())
        for layout in self.by_size.get(len(text), []):
            if ((bits & layout.mask) == layout.fixed).all():
                return layout
        return None

    def learn(self, text: Bytes) -> TextLayout:
        """The layout of a log's text, kept for those that come; raises ``ValueError``."""
        layout = learn(text.tobytes())
        kept = sum(map(len, self.by_size.values()))
        size = sum(size * len(layouts) for size, layouts in self.by_size.items())
        if kept >= MOST_KEPT or size + len(text) > MOST_BYTES:
            self.by_size.clear()
        self.by_size.setdefault(len(text), []).append(layout)
        return layout


def learn(text: bytes) -> TextLayout:
    """The layout of a log's JSON and of the comma that follows it; raises ``ValueError``."""
    end = text.rfind(b"}") + 1
    if text[end:].strip(SPACE) != b",":
        raise ValueError("something behind a log")
    if b"\\" in text:
        raise ValueError("a key or a value that may be written in another way")
    log = msgspec.json.decode(text[:end])
    try:
        wire.log(log)
    except MalformedError as error:
        raise ValueError(str(error)) from error
    spans: list[Span] = []
    place = _after_key(text, "topics", b"[")
    for topic in log["topics"]:
        spans.append(_span(text, text.index(b'"', place) + 1, topic))
        place = spans[-1][1] + 1
    words = {key: _value(text, log, key) for key in WORDS}
    quantities = {key: _value(text, log, key) for key in QUANTITIES if log.get(key)}
    if any(end - start > MOST_DIGITS for start, end in quantities.values()):
        raise ValueError("a long quantity")
    data = _value(text, log, "data")
    mask = np.zeros(-(-len(text) // 8) * 8, np.uint8)
    mask[: len(text)] = 0xFF
    for start, stop in (*words.values(), *quantities.values(), *spans, data):
        if not mask[start:stop].all():
            raise ValueError("values that overlap")
        mask[start:stop] = 0
    bits = mask.view(np.uint64)
    return TextLayout(words, quantities, tuple(spans), data, bits, _bits(text) & bits)


def _value(text: bytes, log: dict[str, Any], key: str) -> Span:
    return _span(text, _after_key(text, key, b'"'), log[key])


def _after_key(text: bytes, key: str, opening: bytes) -> int:
    """Where the value of a key begins, behind its opening character; the key occurs once."""
    name = b'"' + key.encode() + b'"'
    if text.count(name) != 1:
        raise ValueError("a key that is not there once")
    behind = text.index(name) + len(name)
    start = text.index(opening, behind)
    if text[behind:start].strip(SPACE) != b":":
        raise ValueError("another kind of value")
    return start + len(opening)


def _span(text: bytes, start: int, value: str) -> Span:
    """The digits of a value that begins at a place, as it was read there."""
    end = start + len(value)
    if text[start : end + 1] != value.encode() + b'"':
        raise ValueError("a value that is not where it seems")
    return start + 2, end


def _bits(text: bytes) -> NDArray[np.uint64]:
    """Eight bytes at a time, with zeros at the end."""
    return np.frombuffer(text.ljust(-(-len(text) // 8) * 8, b"\0"), np.uint64)
