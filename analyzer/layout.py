"""Where the values of an event lie in a log, and what all its other bits are.

A log's *text* is its four topics, then its data. Logs of one event whose values have fixed sizes
differ in the bits of these values only, so a whole batch is compared with one text in one step and
its values are cut out as 32-byte words. What does not fit is for eth-abi to decode or to refuse: a
layout accepts nothing that eth-abi in its strict mode would not.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from analyzer.abi import Event, topic_kind
from analyzer.log_columns import MAX_TOPICS, Bytes, LogColumns, Numbers

WORD: Final = 32
TOPICS: Final = WORD * MAX_TOPICS
"""Where the data begins in a text."""

STATIC: Final = re.compile(r"(?P<name>address|bool|uint|int|bytes)(?P<size>[1-9][0-9]{0,2})?")
CACHED: Final = 1 << 20
"""Bytes of text that are compared at a time, to stay in the processor's cache."""


@dataclass(frozen=True, slots=True)
class Field:
    """A value of an event: its ABI type and where its word begins, in bytes of the text."""

    name: str
    kind: str
    place: int


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """The text of an event's logs: ``fixed`` where ``mask`` has bits, values elsewhere."""

    topic_count: int
    data_length: int
    fields: tuple[Field, ...]
    mask: NDArray[np.uint64]
    fixed: NDArray[np.uint64]

    def read(self, logs: LogColumns, rows: Numbers) -> tuple[NDArray[np.bool_], Bytes]:
        """Which of the rows fit, and the words of those that do: ``[fields, rows, 32]``.

        All rows must have this layout's number of topics and length of data.
        """
        fits = np.empty(len(rows), np.bool_)
        words = np.empty((len(self.fields), len(rows), WORD), np.uint8)
        places = [field.place // WORD for field in self.fields]
        step = max(1, CACHED // (TOPICS + self.data_length))
        for start in range(0, len(rows), step):
            part = slice(start, start + step)
            texts = _texts(logs, rows[part], self.data_length)
            fits[part] = ((texts.view(np.uint64) & self.mask) == self.fixed).all(axis=1)
            words[:, part] = texts.reshape(len(texts), -1, WORD)[:, places].swapaxes(0, 1)
        for number, field in enumerate(self.fields):
            if field.kind.startswith("int") and field.kind != "int256":
                fits &= _is_sign_extended(words[number], size_of(field.kind))
        return fits, words if fits.all() else words[:, fits]


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

    ``unread`` are values that may differ likewise, but that nobody asks for. ``ValueError`` where
    the data or a value is not made of whole words, as contracts encode them.
    """
    if len(data) % WORD or any(field.place % WORD for field in (*fields, *unread)):
        raise ValueError("values that are no whole words")
    text = b"".join(bytes.fromhex(topic[2:]).rjust(WORD, b"\0") for topic in topics)
    text = text.ljust(TOPICS, b"\0") + data
    mask = bytearray(b"\xff" * len(text))
    for field in (*fields, *unread):
        mask[field.place : field.place + WORD] = fixed_bits(field.kind)
    bits = np.frombuffer(bytes(mask), np.uint64)
    return Layout(
        topic_count=len(topics),
        data_length=len(data),
        fields=tuple(fields),
        mask=bits,
        fixed=np.frombuffer(text, np.uint64) & bits,
    )


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


def _is_sign_extended(words: Bytes, size: int) -> NDArray[np.bool_]:
    padding = words[:, : WORD - size]
    sign = np.where(words[:, WORD - size] >= 0x80, 0xFF, 0).astype(np.uint8)
    same: NDArray[np.bool_] = (padding == sign[:, np.newaxis]).all(axis=1)
    return same


def _texts(logs: LogColumns, rows: Numbers, length: int) -> Bytes:
    """A row of bytes for each of the logs, whose data has this length: topics, then data."""
    texts = np.empty((len(rows), TOPICS + length), np.uint8)
    texts[:, :TOPICS] = logs.topics[rows].reshape(-1, TOPICS)
    if length:
        texts[:, TOPICS:] = sliding_window_view(logs.data, length)[logs.offsets[rows]]
    return texts
