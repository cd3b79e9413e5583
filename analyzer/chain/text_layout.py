"""Where the digits of a log lie in the text of an answer, and what all its other bytes are."""

from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from analyzer.arrays import Bytes, Mask, Numbers, windows
from analyzer.chain import wire
from analyzer.reads import MalformedError

WORDS: Final = {"blockHash": 32, "transactionHash": 32, "address": 20}
"""Values of a fixed number of bytes."""
QUANTITIES: Final = ("blockNumber", "transactionIndex", "logIndex", "blockTimestamp")
MOST_DIGITS: Final = 15
"""Digits of a quantity that surely fits a signed 64-bit integer."""
MOST_KEPT: Final = 128
"""Layouts that are kept of one node's answers: who looks for one compares with each of them."""
MOST_BYTES: Final = 1 << 24
"""Bytes of them: a layout is twice as large as what a log has besides its data."""
MOST_SIZES: Final = 4_096
"""Sizes of logs for which it is kept which layouts they had."""
SPACE: Final = b" \t\n\r"
"""What JSON takes for white space; Python takes more."""

Span = tuple[int, int]
"""Where the digits of a value begin and end in the text of a log."""


@dataclass(frozen=True, slots=True, eq=False)
class TextLayout:
    """Where the digits of a log lie in its envelope: its text without the digits of its data.

    The data's digits begin behind ``before`` bytes of the text and end before the last ``after``
    ones. Places are those in the envelope, ``mask`` and ``fixed`` all its bytes that are no digits.
    """

    before: int
    after: int
    words: dict[str, Span]
    quantities: dict[str, Span]
    topics: tuple[Span, ...]
    mask: NDArray[np.uint64]
    fixed: NDArray[np.uint64]

    @property
    def nbytes(self) -> int:
        """Bytes that it takes up."""
        return self.mask.nbytes + self.fixed.nbytes

    def envelopes(self, text: Bytes, starts: Numbers, ends: Numbers) -> Bytes:
        """A row of bytes for each of the logs that begin and end there, filled up with zeros."""
        made = np.zeros((len(starts), 8 * len(self.mask)), np.uint8)
        made[:, : self.before] = windows(text, self.before)[starts]
        tails = made[:, self.before : self.before + self.after]
        tails[:] = windows(text, self.after)[ends - self.after]
        return made

    def fits(self, envelopes: Bytes) -> Mask:
        """Which of them have this layout."""
        fits: Mask = ((envelopes.view(np.uint64) & self.mask) == self.fixed).all(axis=1)
        return fits


@dataclass(frozen=True, slots=True)
class TextLayouts:
    """The layouts that a node's answers had, and those that logs of one size had."""

    every: list[TextLayout] = field(default_factory=list)
    by_size: dict[int, list[TextLayout]] = field(default_factory=dict)

    def usual(self, size: int) -> TextLayout | None:
        """The first layout that a log of this size had."""
        return next(iter(self.by_size.get(size, [])), None)

    def met(self, text: Bytes) -> TextLayout | None:
        """The layout of a log's text, if an earlier one had it."""
        of_size = self.by_size.get(len(text), [])
        for layout in of_size:
            if _has(text, layout):
                return layout
        for layout in self.every:
            if layout not in of_size and _has(text, layout):
                self._keep(len(text), layout)
                return layout
        return None

    def learn(self, text: Bytes) -> TextLayout:
        """The layout of a log's text, kept for those that come unless it is vast.

        Raises ``ValueError``.
        """
        layout = learn(text.tobytes())
        if layout.nbytes > MOST_BYTES:
            return layout
        size = sum(one.nbytes for one in self.every)
        if len(self.every) >= MOST_KEPT or size + layout.nbytes > MOST_BYTES:
            self.every.clear()
            self.by_size.clear()
        self.every.append(layout)
        self._keep(len(text), layout)
        return layout

    def _keep(self, size: int, layout: TextLayout) -> None:
        if len(self.by_size) >= MOST_SIZES:
            self.by_size.clear()
        self.by_size.setdefault(size, []).append(layout)


def _has(text: Bytes, layout: TextLayout) -> bool:
    if len(text) < layout.before + layout.after:
        return False
    one = layout.envelopes(text, np.array([0]), np.array([len(text)]))
    return bool(layout.fits(one)[0])


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
    begin, stop = _value(text, log, "data")
    envelope = text[:begin] + text[stop:]
    mask = np.zeros(-(-len(envelope) // 8) * 8, np.uint8)
    mask[: len(envelope)] = 0xFF

    def within(span: Span) -> Span:
        """Where a value lies in the envelope, whose digits are no other's."""
        if span[0] >= stop:
            span = span[0] - (stop - begin), span[1] - (stop - begin)
        elif span[1] > begin:
            raise ValueError("values that overlap")
        if not mask[slice(*span)].all():
            raise ValueError("values that overlap")
        mask[slice(*span)] = 0
        return span

    placed = {key: within(span) for key, span in words.items()}
    counted = {key: within(span) for key, span in quantities.items()}
    topics = tuple(map(within, spans))
    bits = mask.view(np.uint64)
    fixed = np.frombuffer(envelope.ljust(len(mask), b"\0"), np.uint64) & bits
    return TextLayout(begin, len(text) - stop, placed, counted, topics, bits, fixed)


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
