"""eth_getLogs answers in bulk: the digits of all logs are cut out of the text of the answer.

A node writes all logs of an answer alike: the same keys in the same order, so that two logs differ
in the hexadecimal digits of their values only. The first log of a layout is read as JSON, which
says where its digits are; the others are compared with all its other bytes in one step, and are
then the same JSON with other digits. Data is compared with the digits of templates that logs before
had, so that only the words that differ are read. An answer that is written otherwise is read log by
log.
"""

from binascii import hexlify, unhexlify
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from analyzer.arrays import TURN, Bytes, Mask, Numbers, by_value, offsets_of, parts, windows
from analyzer.chain import wire
from analyzer.chain.text_layout import QUANTITIES, SPACE, WORDS, TextLayout, TextLayouts
from analyzer.log_columns import MAX_TOPICS, NO_TIME, LogColumns
from analyzer.payloads import WHOLE, WORD, Payloads, Template, Templates
from analyzer.reads import MalformedError

BRACE: Final = ord("{")
EIGHT: Final = 8
"""Bytes that are looked at together, as one number."""
ALL_EIGHT: Final = np.uint64(0x0101010101010101)
"""Eight comparisons that all hold."""
DIGITS: Final = 2 * WORD
"""Hexadecimal digits of a word."""
CACHED: Final = 1 << 21
"""Bytes of text that are read at a time, to stay in the processor's cache."""
MOST_NEW: Final = 64
"""Layouts that are learned of one answer: those of a chain are met in a few of them."""
COMPARED: Final = 1 << 14
"""How often logs of one answer may be compared with a layout to find theirs, besides once each:
beyond that it takes less to read the answer log by log."""
SHORTEST: Final = 256
"""Bytes that every log takes up at least, with its hashes and keys: 310 of those that are read."""

NIBBLES: Final = np.full(256, 255, np.uint8)
NIBBLES[np.frombuffer(b"0123456789abcdef", np.uint8)] = range(16)
NIBBLES[np.frombuffer(b"ABCDEF", np.uint8)] = range(10, 16)


def log_columns(
    raw: bytes | msgspec.Raw,
    known: TextLayouts | None = None,
    templates: Templates | None = None,
) -> LogColumns:
    """The logs of an answer, in the order they came; raises ``MalformedError`` as ``wire`` does.

    Data that one of the templates fits is held by it.
    """
    known, templates = known or TextLayouts(), templates or Templates()
    try:
        with TURN:
            return scan(raw, known, templates)
    except (ValueError, RecursionError):  # binascii's and msgspec's errors are such
        return LogColumns.of(wire.logs(_decoded(raw)))


def scan(raw: bytes | msgspec.Raw, known: TextLayouts, templates: Templates) -> LogColumns:
    """The logs of an answer whose logs are written alike; else ``ValueError``."""
    text = np.frombuffer(raw, np.uint8)
    first, close = _ends(text)
    starts = _braces(text, first, close)
    if not len(starts) or starts[0] != first:
        raise ValueError("no log at the beginning")
    # Behind the last log there is no comma as behind the others: it is given one.
    alone = np.frombuffer(text[starts[-1] : close].tobytes().rstrip(SPACE) + b",", np.uint8)
    last = len(starts) - 1
    columns = _Columns(len(starts))
    for part in (
        _Logs(text, starts[:-1], starts[1:], np.arange(last)),
        _Logs(alone, np.array([0]), np.array([len(alone)]), np.array([last])),
    ):
        _read_envelopes(part, columns, known)
        _read_data(part, columns, templates)
    return columns.logs()


def _braces(text: Bytes, first: int, close: int) -> Numbers:
    """Where braces open. There are few: of eight bytes at a time it is asked whether one does.

    ``ValueError`` where there are too many for logs, as each would take up memory.
    """
    found: list[Numbers] = []
    left = 1 + (close - first) // SHORTEST
    for begin in range(first, close, CACHED):
        part = text[begin : min(begin + CACHED, close)]
        hits = np.zeros(-(-len(part) // EIGHT) * EIGHT, np.bool_)
        np.equal(part, BRACE, out=hits[: len(part)])
        left -= int(np.count_nonzero(hits))
        if left < 0:
            raise ValueError("more braces than logs")
        eights = np.flatnonzero(hits.view(np.uint64) != 0)
        which, place = np.nonzero(hits.reshape(-1, EIGHT)[eights])
        found.append(begin + EIGHT * eights[which] + place)
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


@dataclass(frozen=True, slots=True)
class _Logs:
    """Logs of a text: where each begins and ends, and its number in the answer."""

    text: Bytes
    starts: Numbers
    ends: Numbers
    numbers: Numbers

    def of(self, rows: Numbers | Mask) -> "_Logs":
        """Some of them."""
        return _Logs(self.text, self.starts[rows], self.ends[rows], self.numbers[rows])


def _read_envelopes(logs: _Logs, columns: "_Columns", known: TextLayouts) -> None:
    """Read all but the data.

    Logs of one size are read by the layout that this size had first; those that have another are
    left, and are read in another round by the layout of the first of them.
    """
    new, is_rest, left = 0, False, COMPARED + len(logs.numbers)
    while len(logs.numbers):
        alike: dict[TextLayout, list[Numbers]] = {}
        for rows in by_value(logs.ends - logs.starts):
            text = logs.text[logs.starts[rows[0]] : logs.ends[rows[0]]]
            layout = None if is_rest else known.usual(len(text))
            if layout is None:
                left -= 1 + len(known.every)
                if left < 0:
                    raise ValueError("too many layouts to compare with")
                layout = known.met(text)
            if layout is None:
                new += 1
                if new > MOST_NEW:
                    raise ValueError("too many layouts")
                layout = known.learn(text)
            alike.setdefault(layout, []).append(rows)
        other = [
            _read_alike(logs, np.concatenate(rows), one, columns) for one, rows in alike.items()
        ]
        logs, is_rest = logs.of(np.concatenate(other)), True


def _read_alike(logs: _Logs, rows: Numbers, layout: TextLayout, columns: "_Columns") -> Numbers:
    """Read the envelopes of rows that may have a layout; the rows that do not."""
    other = [rows[:0]]
    for some in parts(rows, layout.before + layout.after, CACHED):
        part = logs.of(some)
        envelopes = layout.envelopes(part.text, part.starts, part.ends)
        fits = layout.fits(envelopes)
        if not fits.all():
            other.append(some[~fits])
            part, envelopes = part.of(fits), envelopes[fits]
        columns.put(part, layout, envelopes)
    return np.concatenate(other)


def _read_data(logs: _Logs, columns: "_Columns", templates: Templates) -> None:
    """Read the digits of the data: those of one size together."""
    begins = columns.begins[logs.numbers]
    for same in by_value(columns.ends[logs.numbers] - begins):
        size = int(columns.ends[logs.numbers[same[0]]] - begins[same[0]])
        if size % 2:
            raise ValueError("half a byte")
        texts = windows(logs.text, size)
        left = same
        for template in templates.of(size // 2):
            other = [left[:0]]
            for rows in parts(left, size, CACHED):
                fits, words = _cut(texts[begins[rows]], template)
                columns.put_data(logs.numbers[rows[fits]], template, words)
                other.append(rows[~fits])
            left = np.concatenate(other)
        for rows in parts(left, size, CACHED):
            columns.put_data(logs.numbers[rows], None, _bytes(texts[begins[rows]]))


def _cut(texts: Bytes, template: Template) -> tuple[Mask, Bytes]:
    """Which digits have what the template has, and the words of those that do, as bytes."""
    fixed, brought = _digits(template)
    same = (texts.view(np.uint64) == fixed).view(np.uint64) == ALL_EIGHT
    fits: Mask = (same | brought).all(axis=1)
    words = texts.reshape(len(texts), -1, DIGITS)[:, template.words]
    return fits, _bytes((words if fits.all() else words[fits]).reshape(-1, 2 * template.width))


@lru_cache(maxsize=256)
def _digits(template: Template) -> tuple[NDArray[np.uint64], Mask]:
    """A template's digits, eight at a time, and which of its words a log brings."""
    brought = np.zeros(len(template.data) // WORD, np.bool_)
    brought[template.words] = True
    return np.frombuffer(hexlify(template.data.data), np.uint64), brought


class _Columns:
    """The columns of so many logs, filled in by layout."""

    def __init__(self, count: int) -> None:
        self._words = {key: np.empty((count, size), np.uint8) for key, size in WORDS.items()}
        self._numbers = {key: np.full(count, NO_TIME, np.int64) for key in QUANTITIES}
        self._topics = np.zeros((count, MAX_TOPICS, 32), np.uint8)
        self._topic_count = np.empty(count, np.int64)
        self.begins, self.ends = np.empty(count, np.int64), np.empty(count, np.int64)
        """Where in its text the digits of each log's data are."""
        self._data: list[tuple[Numbers, Template | None, Bytes]] = []

    def put(self, logs: _Logs, layout: TextLayout, envelopes: Bytes) -> None:
        """Fill in what logs of one layout have besides their data, and where that is."""
        places = logs.numbers
        for key, column in self._words.items():
            column[places] = _bytes(envelopes[:, slice(*layout.words[key])])
        for key, span in layout.quantities.items():
            self._numbers[key][places] = _quantities(envelopes[:, slice(*span)])
        for position, span in enumerate(layout.topics):
            self._topics[places, position] = _bytes(envelopes[:, slice(*span)])
        self._topic_count[places] = len(layout.topics)
        self.begins[places] = logs.starts + layout.before
        self.ends[places] = logs.ends - layout.after

    def put_data(self, places: Numbers, template: Template | None, pieces: Bytes) -> None:
        """Fill in data, whole or the words that a template lacks."""
        if len(places):
            self._data.append((places, template, pieces))

    def logs(self) -> LogColumns:
        """All of them."""
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
            payloads=self._payloads(),
        )

    def _payloads(self) -> Payloads:
        sizes = np.empty(len(self._topic_count), np.int64)
        which = np.empty(len(sizes), np.int64)
        numbers: dict[Template | None, int] = {None: WHOLE}
        for places, template, pieces in self._data:
            sizes[places] = pieces.shape[1]
            which[places] = numbers.setdefault(template, len(numbers) - 1)
        offsets = offsets_of(sizes)
        data = np.empty(offsets[-1], np.uint8)
        for places, _, pieces in self._data:
            windows(data, pieces.shape[1])[offsets[places]] = pieces
        return Payloads(data, offsets, which, tuple(one for one in numbers if one is not None))


def _bytes(digits: Bytes) -> Bytes:
    """What rows of digits stand for: a row of bytes for each."""
    raw = unhexlify(np.ascontiguousarray(digits).data)
    return np.frombuffer(raw, np.uint8).reshape(len(digits), digits.shape[1] // 2)


def _quantities(digits: Bytes) -> Numbers:
    nibbles = NIBBLES[digits]
    if nibbles.max(initial=0) > 15:
        raise ValueError("no digit")
    total = np.zeros(len(digits), np.int64)
    for position in range(nibbles.shape[1]):
        total = total * 16 + nibbles[:, position]
    return total
