"""What logs say, event by event: one table for each event of a protocol, a column for each value.

A table is named after its event (``event_perp_v2_position_changed``) and comes into being with the
event's first log. Its columns are named as in the ABI, after those that say where the log stands;
what is no plain name is left out, and a number of more than 38 digits is null: the raw log has it.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
from duckdb import DuckDBPyConnection

from analyzer.event_columns import DecodedLogs, Group, Known, decode
from analyzer.layout import WORD
from analyzer.log_columns import LogColumns, Numbers
from analyzer.protocol import Deployment
from analyzer.store.arrow import hex_texts, times, whole_numbers
from analyzer.store.checkpoints import HIGHEST_BLOCK
from analyzer.store.event_arrow import arrow_column, column_type
from analyzer.store.writing import DECIMAL_LIMIT, insert

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
MOST_COLUMNS: Final = 120
"""Columns of one table; a contract that names more values than that is not one that we know."""

NUMBERS: Final = {"BIGINT", "DECIMAL(38,0)"}
"""Types of one value, by its layout and by itself: what it is of decides how large it can be."""

Columns = dict[str, tuple[str, pa.Array | pa.ChunkedArray]]
"""Type and values by column name."""

Catalog = dict[str, dict[str, str]]
"""Types by column name in lower case, by table."""


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


def append(
    connection: DuckDBPyConnection,
    deployment: Deployment,
    told: Sequence[Told],
    catalog: Catalog,
) -> None:
    """Store what logs say; call it inside the step's transaction.

    ``catalog`` is kept up to date with the tables as long as no transaction is rolled back.
    """
    same: dict[str, int | str] = {
        "chain_id": deployment.chain_id, "deployment": deployment.name,
    }  # fmt: skip
    for table, columns in _joined(told):
        fitting = _fit(connection, table, catalog.setdefault(table, {}), columns)
        arrays = [columns[name][1] for name in fitting]
        insert(connection, table, pa.Table.from_arrays(arrays, names=fitting), same)


def expected(deployment: Deployment, events: Sequence[Known], logs: LogColumns) -> Counter[str]:
    """How many rows logs give each event table."""
    rows: Counter[str] = Counter()
    decoded = decode(events, logs)
    for group in decoded.groups:
        rows[table_of(deployment.protocol, group.known.name)] += len(group.rows)
    for _, known, _ in decoded.singly:
        rows[table_of(deployment.protocol, known.name)] += 1
    return rows


def counted(
    connection: DuckDBPyConnection, deployment: Deployment, from_block: int, to_block: int
) -> Counter[str]:
    """How many rows of a range of blocks each event table holds."""
    names = tables(connection, deployment.protocol)
    if not names:
        return Counter()
    one = (
        "select '{0}', count(*) from {0} where chain_id = $chain_id"
        " and deployment = $deployment and block_number between $from_block and $to_block"
    )
    rows = connection.execute(
        " union all ".join(one.format(name) for name in names),
        {
            "chain_id": deployment.chain_id,
            "deployment": deployment.name,
            "from_block": from_block,
            "to_block": to_block,
        },
    ).fetchall()
    return Counter({name: count for name, count in rows if count})


def forget_after(connection: DuckDBPyConnection, deployment: Deployment, block: int) -> None:
    """Drop what a deployment's logs above a block said."""
    forget(connection, deployment, block + 1, HIGHEST_BLOCK)


def forget(
    connection: DuckDBPyConnection, deployment: Deployment, from_block: int, to_block: int
) -> None:
    """Drop what a deployment's logs of a range of blocks said."""
    for table in tables(connection, deployment.protocol):
        connection.execute(
            f"delete from {table}"
            " where chain_id = ? and deployment = ? and block_number between ? and ?",
            [deployment.chain_id, deployment.name, from_block, to_block],
        )


def drop(connection: DuckDBPyConnection) -> None:
    """Drop every event table."""
    for table in tables(connection):
        connection.execute(f"drop table {table}")


def tables(connection: DuckDBPyConnection, protocol: str = "") -> list[str]:
    """The event tables that there are, of one protocol or of all."""
    rows = connection.execute(
        "select table_name from duckdb_tables()"
        " where schema_name = 'main' and starts_with(table_name, ?) order by 1",
        [f"{PREFIX}{protocol}_" if protocol else PREFIX],
    ).fetchall()
    return [name for (name,) in rows]


def catalog(connection: DuckDBPyConnection, protocol: str) -> Catalog:
    """The columns of a protocol's event tables."""
    found: Catalog = {}
    rows = connection.execute(
        "select table_name, column_name, data_type from duckdb_columns()"
        " where schema_name = 'main' and starts_with(table_name, ?)",
        [f"{PREFIX}{protocol}_"],
    ).fetchall()
    for table, column, kind in rows:
        found.setdefault(table, {})[column.lower()] = kind
    return found


def table_of(protocol: str, event: str) -> str:
    """The name of an event's table."""
    return f"{PREFIX}{protocol}_{WORD_START.sub('_', event).lower()}"


def _joined(told: Sequence[Told]) -> Iterator[tuple[str, Columns]]:
    """Rows of one table with the same columns as one, as each time of storing costs the same."""
    alike: dict[Any, list[Columns]] = defaultdict(list)
    for one in told:
        kinds = tuple((name, kind) for name, (kind, _) in one.columns.items())
        alike[one.table, kinds].append(one.columns)
    for (table, kinds), parts in alike.items():
        yield (
            table,
            {
                name: (kind, pa.chunked_array([part[name][1] for part in parts]))
                for name, kind in kinds
            },
        )


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


def _fit(
    connection: DuckDBPyConnection, table: str, known: dict[str, str], columns: Columns
) -> list[str]:
    """The columns that the table takes, after giving it those that it lacks."""
    if not known:
        spread = ", ".join(f"{name} {_stored_as(kind)}" for name, kind in PLACE.items())
        connection.execute(f"create table {table} ({spread})")
        known.update(PLACE)
    taken: dict[str, str] = {}
    for name, (kind, _) in columns.items():
        if name.lower() in taken:
            continue
        if name.lower() not in known and len(known) < MOST_COLUMNS:
            connection.execute(f'alter table {table} add column "{name}" {_stored_as(kind)}')
            known[name.lower()] = kind
        column = known.get(name.lower())
        if column == kind or {column, kind} == NUMBERS:
            taken[name.lower()] = name
    return list(taken.values())


def _stored_as(kind: str) -> str:
    """A column type with its compression, where naming it saves DuckDB the search for the best."""
    return f"{kind} using compression dictionary" if kind == "VARCHAR" else kind
