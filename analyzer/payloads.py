"""The data of logs: of those that are alike in most of it, only what differs.

The data of a nested event is mostly the names of its items and the offsets between them: the same
in all logs of one layout. These bytes are held once, as a template; of a log only the words are
held in which it may differ. Nothing is lost: template and words are the data, byte for byte.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final

import numpy as np

from analyzer.arrays import Bytes, Mask, Numbers, by_value, offsets_of, parts, windows

WORD: Final = 32
CACHED: Final = 1 << 20
"""Bytes that are read or written at a time, to stay in the processor's cache."""
KEY: Final = 32
"""Bytes of a template's key."""
NO_KEY: Final = bytes(KEY)
WHOLE: Final = -1
"""In the place of a template's number: a log that has none."""
MOST_ALIKE: Final = 32
"""Templates of one length of data that are looked for: each costs a comparison with every log."""
MOST_LENGTHS: Final = 64
"""Lengths of data for which templates are looked for."""
LONGEST: Final = 1 << 14
"""Bytes of the longest templates that are looked for, as hostile ones would take up memory."""


@dataclass(frozen=True, slots=True, eq=False)
class Template:
    """Data of some logs, whole words of it: zero in the words, by number, that a log brings.

    ``key``, by which a log names its template, is the SHA-256 of the number of these words, their
    numbers, each as eight bytes, little-endian, and the data.
    """

    data: Bytes
    words: Numbers
    key: bytes = field(init=False)

    def __post_init__(self) -> None:
        """Compute the key."""
        numbers = np.append(len(self.words), self.words).astype("<i8")
        key = sha256(numbers.tobytes() + self.data.tobytes()).digest()
        object.__setattr__(self, "key", key)

    @property
    def width(self) -> int:
        """The bytes that a log brings."""
        return WORD * len(self.words)


@dataclass(frozen=True, slots=True, eq=False)
class Templates:
    """Templates that logs have had, for who reads logs that come: by their data's length."""

    by_length: dict[int, tuple[Template, ...]] = field(default_factory=dict)

    def __iter__(self) -> Iterator[Template]:
        return (one for alike in list(self.by_length.values()) for one in alike)

    def of(self, length: int) -> tuple[Template, ...]:
        """Those of data of this length, the newest first."""
        return self.by_length.get(length, ())

    def learn(self, templates: Iterable[Template]) -> None:
        """Look for these too, from now on; where they become too many, only for the newest."""
        for one in templates:
            length = len(one.data)
            known = self.of(length)
            if length <= LONGEST and all(one.key != other.key for other in known):
                if length not in self.by_length and len(self.by_length) >= MOST_LENGTHS:
                    self.by_length.clear()
                self.by_length[length] = (one, *known)[:MOST_ALIKE]


@dataclass(frozen=True, slots=True, eq=False)
class Payloads:
    """The data of logs, as pieces that lie end to end: piece ``i`` begins at ``offsets[i]``.

    A piece holds the words that ``templates[which[i]]`` lacks, or the data itself where ``which``
    is ``WHOLE``.
    """

    data: Bytes
    offsets: Numbers
    which: Numbers
    templates: tuple[Template, ...] = ()

    @classmethod
    def whole(cls, data: Bytes, offsets: Numbers) -> "Payloads":
        """Data of which nothing is held by a template."""
        return cls(data, offsets, np.full(len(offsets) - 1, WHOLE, np.int64))

    def __len__(self) -> int:
        return len(self.which)

    @property
    def lengths(self) -> Numbers:
        """The size of each log's data in bytes."""
        sizes = np.diff(self.offsets)
        if not self.templates:
            return sizes
        held = np.array([*(len(one.data) for one in self.templates), 0])
        return np.where(self.which == WHOLE, sizes, held[self.which])

    @property
    def nbytes(self) -> int:
        """Bytes that are held in memory."""
        return self.data.nbytes + self.offsets.nbytes + self.which.nbytes

    @property
    def keys(self) -> Bytes:
        """A row of bytes for each log: its template's key, or zeros."""
        keys = np.frombuffer(b"".join([*(one.key for one in self.templates), NO_KEY]), f"V{KEY}")
        return keys[self.which].view(np.uint8).reshape(-1, KEY)

    def held_by(self, template: Template) -> Mask:
        """Which pieces hold the words that the template lacks."""
        for number, one in enumerate(self.templates):
            if one.key == template.key:
                held: Mask = self.which == number
                return held
        return np.zeros(len(self), np.bool_)

    def pieces(self, rows: Numbers, width: int) -> Bytes:
        """A row of bytes for each of the pieces, all of which have this width."""
        return windows(self.data, width)[self.offsets[rows]]

    def texts(self, rows: Numbers, length: int) -> Bytes:
        """A row of bytes for the data of each of the logs, all of which have this length."""
        which = self.which[rows]
        if (which == WHOLE).all():
            return self.pieces(rows, length)
        made = np.empty((len(rows), length), np.uint8)
        for number in np.unique(which).tolist():
            at = np.flatnonzero(which == number)
            if number == WHOLE:
                made[at] = self.pieces(rows[at], length)
            else:
                made[at] = self._filled(self.templates[number], rows[at])
        return made

    def unpacked(self) -> tuple[Bytes, Numbers]:
        """All data end to end, and where each log's begins and the last one's ends."""
        if not self.templates:
            return self.data, self.offsets
        lengths = self.lengths
        offsets = offsets_of(lengths)
        made = np.empty(offsets[-1], np.uint8)
        for alike in by_value(lengths):
            length = int(lengths[alike[0]])
            target = windows(made, length)
            for rows in parts(alike, length, CACHED):
                target[offsets[rows]] = self.texts(rows, length)
        return made, offsets

    def take(self, rows: Numbers) -> "Payloads":
        """The data of the logs at these places."""
        starts = self.offsets[rows]
        sizes = self.offsets[rows + 1] - starts
        offsets = offsets_of(sizes)
        if len(rows) and np.array_equal(starts[1:], starts[:-1] + sizes[:-1]):
            data = self.data[starts[0] : starts[-1] + sizes[-1]]
        else:
            data = self.data[np.repeat(starts - offsets[:-1], sizes) + np.arange(offsets[-1])]
        return Payloads(data, offsets, self.which[rows], self.templates)

    @staticmethod
    def join(several: "Sequence[Payloads]") -> "Payloads":
        """The data of all their logs, one after the other."""
        templates = {one.key: one for part in several for one in part.templates}
        numbers = {key: number for number, key in enumerate(templates)}
        which = [
            np.array([*(numbers[one.key] for one in part.templates), WHOLE])[part.which]
            for part in several
        ]
        return Payloads(
            data=np.concatenate([part.data for part in several]),
            offsets=offsets_of(np.concatenate([np.diff(part.offsets) for part in several])),
            which=np.concatenate(which),
            templates=tuple(templates.values()),
        )

    def shortened(self, rows_of: Iterable[tuple[Template, Numbers]]) -> "Payloads":
        """The same data, of which these rows are held by these templates.

        What a template holds must be what the rows' data has; no row may be named twice.
        """
        wanted = [
            (template, rows[self.which[rows] == WHOLE]) for template, rows in rows_of if len(rows)
        ]
        wanted = [(template, rows) for template, rows in wanted if len(rows)]
        if not wanted:
            return self
        templates = {one.key: one for one in (*self.templates, *(one for one, _ in wanted))}
        numbers = {key: number for number, key in enumerate(templates)}
        sizes, which = np.diff(self.offsets), self.which.copy()
        untouched = np.ones(len(self), np.bool_)
        for template, rows in wanted:
            sizes[rows], which[rows] = template.width, numbers[template.key]
            untouched[rows] = False
        offsets = offsets_of(sizes)
        data = np.empty(offsets[-1], np.uint8)
        for template, rows in wanted:
            target = windows(data, template.width)
            for part in parts(rows, len(template.data), CACHED):
                words = self.pieces(part, len(template.data)).reshape(len(part), -1, WORD)
                target[offsets[part]] = words[:, template.words].reshape(len(part), -1)
        left = np.flatnonzero(untouched)
        for alike in by_value(sizes[left]):
            rows, size = left[alike], int(sizes[left[alike[0]]])
            windows(data, size)[offsets[rows]] = self.pieces(rows, size)
        return Payloads(data, offsets, which, tuple(templates.values()))

    def _filled(self, template: Template, rows: Numbers) -> Bytes:
        """The data of logs of one template."""
        words = np.tile(template.data.reshape(1, -1, WORD), (len(rows), 1, 1))
        words[:, template.words] = self.pieces(rows, template.width).reshape(len(rows), -1, WORD)
        return words.reshape(len(rows), -1)
