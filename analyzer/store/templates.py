"""Payloads without what all logs of one layout have in common.

The data of a nested event is mostly the names of its items and the offsets between them: the same
in all logs of one layout. These bytes are stored once, as a template; of a log only the words are
kept in which it may differ. Nothing is lost: template and words are the data, byte for byte.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from typing import Final

import numpy as np
from duckdb import DuckDBPyConnection
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from analyzer.errors import AnalyzerError
from analyzer.event_columns import DecodedLogs
from analyzer.layout import CACHED, TOPICS, WORD, Layout
from analyzer.log_columns import Bytes, Numbers, offsets_of

KEY: Final = 32
"""Bytes of a template's key, the SHA-256 of its contents."""
WORTH_IT: Final = 2
"""A template serves where it makes payloads at least so many times shorter."""


@dataclass(frozen=True, slots=True, eq=False)
class Template:
    """Data of some logs, whole words of it: zero in the words, by number, that a log brings."""

    data: Bytes
    words: Numbers

    @property
    def key(self) -> bytes:
        """What a log names its template by."""
        return sha256(self.words.astype("<i8").tobytes() + self.data.tobytes()).digest()


@dataclass(frozen=True, slots=True, eq=False)
class Shortened:
    """Payloads as they are stored: end to end, and where each begins and the last one ends.

    ``keys`` are rows of bytes, for payloads that are ``present`` in it.
    """

    data: Bytes
    offsets: Numbers
    keys: Bytes
    present: NDArray[np.bool_]
    templates: dict[bytes, Template]


def shorten(decoded: DecodedLogs) -> Shortened:
    """The logs' payloads, shortened where they were decoded by a layout that is worth it."""
    logs = decoded.columns
    lengths = logs.lengths.copy()
    keys = np.zeros((len(logs), KEY), np.uint8)
    present = np.zeros(len(logs), np.bool_)
    templates: dict[bytes, Template] = {}
    rows_of: list[tuple[Template, Numbers]] = []
    for group in decoded.groups:
        template = template_of(group.layout)
        if template is not None:
            key = template.key
            templates[key] = template
            rows_of.append((template, group.rows))
            lengths[group.rows] = WORD * len(template.words)
            keys[group.rows] = np.frombuffer(key, np.uint8)
            present[group.rows] = True
    if not templates:
        return Shortened(logs.data, logs.offsets, keys, present, templates)
    offsets = offsets_of(lengths)
    data = np.empty(offsets[-1], np.uint8)
    for template, rows in rows_of:
        whole = _payloads(logs.data, len(template.data))
        short = _payloads(data, WORD * len(template.words))
        for part in _parts(rows, len(template.data)):
            words = whole[logs.offsets[part]].reshape(len(part), -1, WORD)
            short[offsets[part]] = words[:, template.words].reshape(len(part), -1)
    _copy(logs.data, logs.offsets, data, offsets, ~present)
    return Shortened(data, offsets, keys, present, templates)


def lengthen(
    data: Bytes,
    offsets: Numbers,
    rows_of: Mapping[bytes, Numbers],
    templates: Mapping[bytes, Template],
) -> tuple[Bytes, Numbers]:
    """Stored payloads as they were in the logs; ``rows_of`` are those of each template's key."""
    if not rows_of:
        return data, offsets
    lengths = np.diff(offsets)
    plain = np.ones(len(lengths), np.bool_)
    for key, rows in rows_of.items():
        if key not in templates or (lengths[rows] != WORD * len(templates[key].words)).any():
            raise AnalyzerError(
                "stored logs are damaged, as their template is not theirs: run `perpscope doctor "
                "--completeness`, which names the blocks"
            )
        lengths[rows] = len(templates[key].data)
        plain[rows] = False
    ends = offsets_of(lengths)
    made = np.empty(ends[-1], np.uint8)
    for key, rows in rows_of.items():
        template = templates[key]
        short = _payloads(data, WORD * len(template.words))
        whole = _payloads(made, len(template.data))
        parts = list(_parts(rows, len(template.data)))
        texts = np.tile(template.data.reshape(1, -1, WORD), (len(parts[0]), 1, 1))
        for part in parts:
            texts[: len(part), template.words] = short[offsets[part]].reshape(len(part), -1, WORD)
            whole[ends[part]] = texts[: len(part)].reshape(len(part), -1)
    _copy(data, offsets, made, ends, plain)
    return made, ends


@lru_cache(maxsize=1024)
def template_of(layout: Layout) -> Template | None:
    """The template of a layout's logs; ``None`` where it is not worth it."""
    whole = layout.data_length // WORD
    mask = layout.mask.view(np.uint8)[TOPICS:].reshape(whole, WORD)
    words = np.flatnonzero((mask != 0xFF).any(axis=1))
    if not len(words) or whole < WORTH_IT * len(words):
        return None
    data = layout.fixed.view(np.uint8)[TOPICS:].copy()
    data.reshape(whole, WORD)[words] = 0
    return Template(data, words)


def store(connection: DuckDBPyConnection, templates: Mapping[bytes, Template]) -> None:
    """Add templates to those that are stored, within the transaction of the logs that need them."""
    for key in templates.keys() - stored(connection, templates).keys():
        template = templates[key]
        connection.execute(
            "insert into raw_templates values (?, ?, ?)",
            [key, template.data.tobytes(), template.words.tolist()],
        )


def stored(
    connection: DuckDBPyConnection, keys: Iterable[bytes] | None = None
) -> dict[bytes, Template]:
    """The stored templates, all or those of these keys, as far as they are what they were."""
    wanted = None if keys is None else list(keys)
    if wanted == []:
        return {}
    rows = connection.execute(
        "select key, data, words from raw_templates"
        " where ($keys is null or list_contains($keys, key))"
        " and data is not null and list_count(words) = len(words)",
        {"keys": wanted},
    ).fetchall()
    found = {
        key: Template(np.frombuffer(data, np.uint8), np.array(words, np.int64))
        for key, data, words in rows
    }
    return {key: template for key, template in found.items() if template.key == key}


def _payloads(data: Bytes, length: int) -> Bytes:
    """What ``length`` bytes begin at each place of the data; writing to it writes there."""
    return sliding_window_view(data, length, writeable=data.flags.writeable)


def _parts(rows: Numbers, length: int) -> Iterator[Numbers]:
    """The rows, as many at a time as fit into the processor's cache."""
    step = max(1, CACHED // length)
    return (rows[begin : begin + step] for begin in range(0, len(rows), step))


def _copy(
    source: Bytes, begins: Numbers, target: Bytes, places: Numbers, wanted: NDArray[np.bool_]
) -> None:
    """Copy whole payloads."""
    lengths = np.diff(begins)
    for length in np.unique(lengths[wanted & (lengths > 0)]).tolist():
        rows = np.flatnonzero(wanted & (lengths == length))
        _payloads(target, length)[places[rows]] = _payloads(source, length)[begins[rows]]
