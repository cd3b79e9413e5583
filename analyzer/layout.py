"""Where the values of an event lie in a log, and what all its other bits are.

A log's *text* is its four topics, then its data. Logs of one event whose values have fixed sizes
differ in the bits of these values only, so a whole batch is compared with one text in one step and
its values are cut out as 32-byte words. What does not fit is for eth-abi to decode or to refuse: a
layout accepts nothing that eth-abi in its strict mode would not.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from analyzer.abi import Event, topic_kind
from analyzer.arrays import Bytes, Mask, Numbers
from analyzer.log_columns import MAX_TOPICS, LogColumns
from analyzer.payloads import CACHED, WORD, Template

TOPICS: Final = WORD * MAX_TOPICS
"""Where the data begins in a text."""

STATIC: Final = re.compile(r"(?P<name>address|bool|uint|int|bytes)(?P<size>[1-9][0-9]{0,2})?")
WORTH_IT: Final = 2
"""A template serves where it makes data at least so many times shorter."""


@dataclass(frozen=True, slots=True)
class Field:
    """A value of an event: its ABI type and where its word begins, in bytes of the text."""

    name: str
    kind: str
    place: int


@dataclass(frozen=True, slots=True, eq=False)
class _Form:
    """Words of a text: ``fixed`` where ``mask`` has bits, values elsewhere; the fields' places."""

    mask: NDArray[np.uint64]
    fixed: NDArray[np.uint64]
    places: list[int]

    def read(self, texts: Bytes) -> tuple[Mask, Bytes]:
        """Which texts fit, and the words of the fields: ``[fields, texts, 32]``."""
        fits: Mask = ((texts.view(np.uint64) & self.mask) == self.fixed).all(axis=1)
        return fits, texts.reshape(len(texts), -1, WORD)[:, self.places].swapaxes(0, 1)


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """How logs of an event look that have values of fixed sizes in fixed places.

    ``template`` is what their data has in common, where that is most of it. A log that is held by
    it is read in the ``short`` form, the topics and the words that it brings: its other words are
    the template's, and so this layout's.
    """

    topic_count: int
    data_length: int
    fields: tuple[Field, ...]
    whole: _Form
    template: Template | None
    short: _Form | None

    def read(self, logs: LogColumns, rows: Numbers) -> tuple[Mask, Bytes]:
        """Which of the rows fit, and the words of those that do: ``[fields, rows, 32]``.

        All rows must have this layout's number of topics and length of data.
        """
        fits = np.empty(len(rows), np.bool_)
        words = np.empty((len(self.fields), len(rows), WORD), np.uint8)
        is_short = np.zeros(len(rows), np.bool_)
        if self.template:
            is_short = logs.payloads.held_by(self.template)[rows]
        step = max(1, CACHED // (TOPICS + self.data_length))
        for start in range(0, len(rows), step):
            part = slice(start, start + step)
            self._read(logs, rows[part], is_short[part], fits[part], words[:, part])
        for number, field in enumerate(self.fields):
            if field.kind.startswith("int") and field.kind != "int256":
                fits &= _is_sign_extended(words[number], size_of(field.kind))
        return fits, words if fits.all() else words[:, fits]

    def _read(
        self, logs: LogColumns, rows: Numbers, is_short: Mask, fits: Mask, words: Bytes
    ) -> None:
        """Fill in what some rows say, by the form in which they are held."""
        if self.template and self.short and len(held := np.flatnonzero(is_short)):
            pieces = logs.payloads.pieces(rows[held], self.template.width)
            fits[held], words[:, held] = self.short.read(_texts(logs, rows[held], pieces))
        if len(other := np.flatnonzero(~is_short)):
            texts = logs.payloads.texts(rows[other], self.data_length)
            fits[other], words[:, other] = self.whole.read(_texts(logs, rows[other], texts))


def layout_of(event: Event) -> Layout | None:
    """The layout of an event; ``None`` if a value in its data has no fixed size."""
    indexed = [(name, kind) for name, kind, is_indexed in event.fields if is_indexed]
    plain = [(name, kind) for name, kind, is_indexed in event.fields if not is_indexed]
    fields = [
        Field(name, kind, TOPICS + WORD * place) for place, (name, kind) in enumerate(plain)
    ] + [
        Field(name, topic_kind(kind), WORD * place)
        for place, (name, kind) in enumerate(indexed, start=1)
    ]
    names = {field.name for field in fields}
    if len(names) < len(fields) or not all(is_static(field.kind) for field in fields):
        return None
    data = bytes(WORD * len(plain))
    return layout([event.topic, *["0x"] * len(indexed)], data, fields)


def layout(
    topics: Sequence[str], data: bytes, fields: Sequence[Field], unread: Sequence[Field] = ()
) -> Layout:
    """The layout of logs that differ from this one in the values of their fields only.

    ``unread`` are values that may differ likewise, but that nobody asks for. The padding of all of
    them must be as eth-abi accepts it. ``ValueError`` where the data or a value is not made of
    whole words, as contracts encode them.
    """
    if len(data) % WORD or any(field.place % WORD for field in (*fields, *unread)):
        raise ValueError("values that are no whole words")
    text = b"".join(bytes.fromhex(topic[2:]).rjust(WORD, b"\0") for topic in topics)
    text = text.ljust(TOPICS, b"\0") + data
    mask = bytearray(b"\xff" * len(text))
    for field in (*fields, *unread):
        mask[field.place : field.place + WORD] = fixed_bits(field.kind)
    bits = np.frombuffer(bytes(mask), np.uint8).reshape(-1, WORD)
    fixed = np.frombuffer(text, np.uint8).reshape(-1, WORD) & bits
    every = np.arange(len(text) // WORD)
    template = _template(bits[MAX_TOPICS:], fixed[MAX_TOPICS:])
    return Layout(
        topic_count=len(topics),
        data_length=len(data),
        fields=tuple(fields),
        whole=_form(bits, fixed, fields, every),
        template=template,
        short=_form(bits, fixed, fields, np.append(every[:MAX_TOPICS], MAX_TOPICS + template.words))
        if template
        else None,
    )


def _form(bits: Bytes, fixed: Bytes, fields: Sequence[Field], words: Numbers) -> _Form:
    """How a text looks of which there are these words."""
    places = np.searchsorted(words, [field.place // WORD for field in fields])
    return _Form(
        bits[words].reshape(-1).view(np.uint64),
        fixed[words].reshape(-1).view(np.uint64),
        places.tolist(),
    )


def _template(bits: Bytes, fixed: Bytes) -> Template | None:
    """What data has in common: words in which nothing may differ; ``None`` if they are too few."""
    words = np.flatnonzero((bits != 0xFF).any(axis=1))
    if not len(words) or len(bits) < WORTH_IT * len(words):
        return None
    data = fixed.copy()
    data[words] = 0
    return Template(data.reshape(-1), words)


def is_static(kind: str) -> bool:
    """Whether values of the type are one word: no string, array, tuple, fixed-point number."""
    parts = STATIC.fullmatch(kind)
    if parts is None:
        return False
    name, size = parts["name"], parts["size"]
    if name in ("address", "bool"):
        return size is None
    if size is None:
        return False
    return int(size) <= WORD if name == "bytes" else int(size) % 8 == 0 and int(size) <= 8 * WORD


@cache
def size_of(kind: str) -> int:
    """The bytes of its word that a value of a static type takes up."""
    parts = STATIC.fullmatch(kind)
    if parts is None:
        raise ValueError(kind)
    match parts["name"]:
        case "address":
            return 20
        case "bool":
            return 1
        case "bytes":
            return int(parts["size"])
        case _:
            return int(parts["size"]) // 8


def fixed_bits(kind: str) -> bytes:
    """The bits of a word that are no value's but padding, which is zero.

    A signed number's padding is its sign, so that none of its bits are fixed.
    """
    size = size_of(kind)
    if kind == "bool":
        return b"\xff" * (WORD - 1) + b"\xfe"
    if kind.startswith("int"):
        return bytes(WORD)
    if kind.startswith("bytes"):
        return bytes(size) + b"\xff" * (WORD - size)
    return b"\xff" * (WORD - size) + bytes(size)


def _is_sign_extended(words: Bytes, size: int) -> Mask:
    padding = words[:, : WORD - size]
    sign = np.where(words[:, WORD - size] >= 0x80, 0xFF, 0).astype(np.uint8)
    same: Mask = (padding == sign[:, np.newaxis]).all(axis=1)
    return same


def _texts(logs: LogColumns, rows: Numbers, data: Bytes) -> Bytes:
    """A row of bytes for each of the logs: its topics, then its data or what it has of it."""
    texts = np.empty((len(rows), TOPICS + data.shape[1]), np.uint8)
    texts[:, :TOPICS] = logs.topics[rows].reshape(-1, TOPICS)
    texts[:, TOPICS:] = data
    return texts
