"""What logs say, as rows of a table for each event: nothing is stored here.

Columns are named as in the ABI, after those that say where the log stands; what is no plain name is
left out, and a number of more than 38 digits is null: the raw log has it.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa

from analyzer.arrays import Numbers
from analyzer.event_columns import DecodedLogs, Group, Known, decode
from analyzer.log_columns import LogColumns
from analyzer.payloads import WORD
from analyzer.protocol import Deployment
from analyzer.store.arrow import hex_texts, times, whole_numbers
from analyzer.store.event_arrow import arrow_column, column_type
from analyzer.store.writing import DECIMAL_LIMIT

PREFIX: Final = "event_"
PLACE: Final = {
    "chain_id": "BIGINT",
    "deployment": "VARCHAR",
    "block_number": "BIGINT",
    "log_index": "BIGINT",
    "block_time": "TIMESTAMP",
    "contract": "VARCHAR",
}
"""The columns with which every event table begins, and their types."""

PLAIN_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,62}")
WORD_START: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
Columns = dict[str, tuple[str, pa.Array | pa.ChunkedArray]]
"""Type and values by column name."""


@dataclass(frozen=True, slots=True)
class Told:
    """What some logs say, as rows of an event's table."""

    table: str
    columns: Columns


def prepare(deployment: Deployment, decoded: DecodedLogs) -> list[Told]:
    """What logs say, table by table; nothing is stored yet."""
    return [
        Told(
            table_of(deployment.protocol, known.name),
            _values(columns) | _places(decoded.columns, rows),
        )
        for known, rows, columns in _parts(decoded)
    ]


def expected(deployment: Deployment, events: Sequence[Known], logs: LogColumns) -> Counter[str]:
    """How many rows logs give each event table."""
    rows: Counter[str] = Counter()
    decoded = decode(events, logs)
    for group in decoded.groups:
        rows[table_of(deployment.protocol, group.known.name)] += len(group.rows)
    for _, known, _ in decoded.singly:
        rows[table_of(deployment.protocol, known.name)] += 1
    return rows


def table_of(protocol: str, event: str) -> str:
    """The name of an event's table."""
    return f"{PREFIX}{protocol}_{WORD_START.sub('_', event).lower()}"


def _parts(decoded: DecodedLogs) -> Iterator[tuple[Known, Numbers, Columns]]:
    """Rows of one event with their values as columns: whole groups, then single logs."""
    for group in decoded.groups:
        yield group.known, group.rows, _columns_of(group)
    for row, known, values in decoded.singly:
        yield known, np.array([row]), _single(values)


def _columns_of(group: Group) -> Columns:
    """A column for each value; those of one type are made together."""
    by_kind: dict[str, list[int]] = defaultdict(list)
    for number, field in enumerate(group.layout.fields):
        by_kind[field.kind].append(number)
    made: dict[int, tuple[str, pa.Array]] = {}
    count = len(group.rows)
    for kind, numbers in by_kind.items():
        together = arrow_column(kind, group.words[numbers].reshape(-1, WORD))
        for place, number in enumerate(numbers):
            made[number] = (column_type(kind), together.slice(place * count, count))
    return {field.name: made[number] for number, field in enumerate(group.layout.fields)}


def _single(values: Mapping[str, Any]) -> Columns:
    """The values of one log that eth-abi decoded, as far as they are plain ones."""
    return {
        name: (_TYPES[kind], _one(value))
        for name, value in values.items()
        if (kind := type(value)) in _TYPES
    }


_TYPES: Final[dict[type, str]] = {
    bool: "BOOLEAN", int: "DECIMAL(38,0)", str: "VARCHAR", bytes: "VARCHAR",
}  # fmt: skip


def _one(value: bool | int | str | bytes) -> pa.Array:
    match value:
        case bool():
            return pa.array([value])
        case int():
            fits = abs(value) < DECIMAL_LIMIT
            return pa.array([value if fits else None], pa.decimal128(38, 0))
        case bytes():
            return pa.array(["0x" + value.hex()], pa.large_string())
        case str():
            return pa.array([value], pa.large_string())


def _values(columns: Columns) -> Columns:
    """The values whose names are plain and not those of a place."""
    return {
        name: column
        for name, column in columns.items()
        if PLAIN_NAME.fullmatch(name) and name.lower() not in PLACE
    }


def _places(logs: LogColumns, rows: Numbers) -> Columns:
    return {
        "block_number": (PLACE["block_number"], whole_numbers(logs.block_number[rows])),
        "log_index": (PLACE["log_index"], whole_numbers(logs.log_index[rows])),
        "block_time": (PLACE["block_time"], times(logs.block_time[rows])),
        "contract": (PLACE["contract"], hex_texts(logs.address[rows])),
    }
