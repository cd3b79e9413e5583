"""Events of a batch of logs: by layout where one fits, one by one through eth-abi where none does.

Results are those of eth-abi, always: the values, and which logs are malformed and why.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np

from analyzer.abi import Event
from analyzer.arrays import Bytes, Numbers, by_value
from analyzer.evm import Log
from analyzer.layout import Field, Layout, layout_of, size_of
from analyzer.log_columns import LogColumns
from analyzer.reads import MalformedError

Values = Mapping[str, Any]
"""Addresses are lower-case text, numbers integers, booleans ``bool``, fixed bytes ``bytes``."""

MOST_LAYOUTS: Final = 16
"""Layouts that are learned of one event and data length; more would be an attack on memory."""
MOST_SHAPES: Final = 64
"""Numbers of topics and lengths of data for which layouts are kept, for the same reason."""


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """An event that is to be decoded: how a log is known for it, and how it is decoded.

    A log is known by ``topic`` at ``position``, and by its emitter unless ``addresses`` is empty.
    ``slowly`` raises ``MalformedError``; ``learn`` may find the layout of a log that it accepted.
    """

    name: str
    topic: str
    slowly: Callable[[Log], Values]
    addresses: tuple[str, ...] = ()
    position: int = 0
    layout: Layout | None = None
    learn: Callable[[Log], Layout | None] | None = None
    learned: dict[tuple[int, int], list[Layout]] = field(default_factory=dict)
    """By number of topics and length of data: for the next batch that is decoded with this."""

    @classmethod
    def of(cls, event: Event, *addresses: str) -> "Known":
        """An event of an ABI, from these contracts or from anywhere."""
        return cls(event.name, event.topic, event.decode, addresses, layout=layout_of(event))


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """Logs of one event and one layout.

    ``rows`` are their places in the batch, ascending. ``words[i]`` holds the values of the
    layout's field ``i``: one row of 32 bytes a log, as they are in the log.
    """

    known: Known
    layout: Layout
    rows: Numbers
    words: Bytes

    def values(self) -> Iterator[Values]:
        """Each log's values by name."""
        return _named(self.layout.fields, self.words)


@dataclass(frozen=True, slots=True, eq=False)
class DecodedLogs:
    """What a batch of logs says. Places are indices into ``logs``.

    ``groups`` were decoded by layout, ``singly`` are place, event and values of logs that no layout
    fits, ``malformed`` are place, event and reason. Logs of no known event are in none of them.
    """

    logs: Sequence[Log]
    columns: LogColumns
    groups: list[Group] = field(default_factory=list)
    singly: list[tuple[int, Known, Values]] = field(default_factory=list)
    malformed: list[tuple[int, Known, str]] = field(default_factory=list)

    def __iter__(self) -> Iterator[tuple[Log, Known | None, Values | MalformedError]]:
        """All logs in their order; without an event where it is not known."""
        found: list[tuple[Known | None, Values | MalformedError]] = [(None, {})] * len(self.logs)
        for group in self.groups:
            for row, values in zip(group.rows.tolist(), group.values(), strict=True):
                found[row] = (group.known, values)
        for row, known, values in self.singly:
            found[row] = (known, values)
        for row, known, reason in self.malformed:
            found[row] = (known, MalformedError(reason))
        for log, (known_one, said) in zip(self.logs, found, strict=True):
            yield log, known_one, said


def decode(known: Sequence[Known], logs: Sequence[Log]) -> DecodedLogs:
    """Decode a batch; no log may be known for two events."""
    decoded = DecodedLogs(logs, LogColumns.of(logs))
    lengths = decoded.columns.lengths
    for event in known:
        for rows in _shapes(decoded.columns, lengths, _rows_of(event, decoded.columns)):
            _decode_shape(decoded, event, int(lengths[rows[0]]), rows)
    return decoded


def shortened(decoded: DecodedLogs) -> LogColumns:
    """The logs, of which a template holds what all of one layout have in common."""
    rows_of = [(one.layout.template, one.rows) for one in decoded.groups if one.layout.template]
    logs = decoded.columns
    return replace(logs, payloads=logs.payloads.shortened(rows_of))


def _rows_of(known: Known, logs: LogColumns) -> Numbers:
    topic = np.frombuffer(bytes.fromhex(known.topic[2:]), "S32")
    is_known = logs.topics[:, known.position].view("S32")[:, 0] == topic
    rows = np.flatnonzero(is_known & (logs.topic_count > known.position))
    if known.addresses and len(rows):
        wanted = bytes.fromhex("".join(address[2:] for address in known.addresses))
        emitters = logs.address[rows].view("S20")[:, 0]
        rows = rows[np.isin(emitters, np.frombuffer(wanted, "S20"))]
    return rows


def _shapes(logs: LogColumns, lengths: Numbers, rows: Numbers) -> Iterator[Numbers]:
    """The rows, by number of topics and length of data."""
    if len(rows) == 0:
        return
    counts = logs.topic_count[rows]
    for same in by_value(lengths[rows] * (counts.max() + 1) + counts):
        yield rows[same]


def _decode_shape(decoded: DecodedLogs, known: Known, length: int, rows: Numbers) -> None:
    """Decode logs of one event, number of topics and length of data."""
    columns = decoded.columns
    shape = int(columns.topic_count[rows[0]]), length
    if known.layout and (known.layout.topic_count, known.layout.data_length) == shape:
        rows = _read(decoded, known, known.layout, rows)
    learned = known.learned.get(shape, [])
    for one in learned:
        rows = _read(decoded, known, one, rows) if len(rows) else rows
    while len(rows):
        row, rows = int(rows[0]), rows[1:]
        log = decoded.logs[row]
        try:
            values = known.slowly(log)
        except MalformedError as error:
            decoded.malformed.append((row, known, str(error)))
            continue
        may_learn = known.learn is not None and len(learned) < MOST_LAYOUTS
        layout = known.learn(log) if known.learn and may_learn else None
        if layout is not None and _reads(layout, columns, row, values):
            if len(known.learned) < MOST_SHAPES:
                learned = known.learned.setdefault(shape, learned)
            learned.append(layout)
            rows = _read(decoded, known, layout, np.concatenate([[row], rows]))
        else:
            decoded.singly.append((row, known, values))


def _read(decoded: DecodedLogs, known: Known, layout: Layout, rows: Numbers) -> Numbers:
    """Add the rows that fit a layout as a group; the rows that do not."""
    fits, words = layout.read(decoded.columns, rows)
    if fits.any():
        decoded.groups.append(Group(known, layout, rows[fits], words))
    return rows[~fits]


def _reads(layout: Layout, logs: LogColumns, row: int, values: Values) -> bool:
    """Whether the layout gives for one log what eth-abi gave."""
    fits, words = layout.read(logs, np.array([row]))
    return bool(fits.all()) and next(_named(layout.fields, words)) == values


def _named(fields: Sequence[Field], words: Bytes) -> Iterator[Values]:
    """Each log's values by name."""
    if not fields:
        return iter([{} for _ in range(words.shape[1])])
    names = [field.name for field in fields]
    columns = [
        python_values(field.kind, column) for field, column in zip(fields, words, strict=True)
    ]
    return (dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True))


def python_values(kind: str, words: Bytes) -> list[Any]:
    """A column of words of a static type as eth-abi gives their values."""
    size = size_of(kind)
    if kind == "bool":
        truths: list[bool] = (words[:, 31] != 0).tolist()
        return truths
    if kind == "address":
        digits = words[:, 12:].tobytes().hex()
        return ["0x" + digits[at : at + 40] for at in range(0, len(digits), 40)]
    if kind.startswith("bytes"):
        return _cut(words[:, :size])
    if kind.startswith("uint"):
        return list(map(int.from_bytes, _cut(words[:, 32 - size :])))
    return [int.from_bytes(value, signed=True) for value in _cut(words[:, 32 - size :])]


def _cut(parts: Bytes) -> list[bytes]:
    whole = np.ascontiguousarray(parts)
    cut: list[bytes] = whole.view(f"V{whole.shape[1]}")[:, 0].tolist()
    return cut
