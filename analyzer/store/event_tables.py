"""Event tables in the database: one for each event of a protocol, a column for each value.

A table is named after its event (``event_perp_v2_position_changed``) and comes into being with the
event's first log.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import Any, Final

import pyarrow as pa
from duckdb import DuckDBPyConnection

from analyzer.protocol import Deployment
from analyzer.store.checkpoints import HIGHEST_BLOCK
from analyzer.store.event_rows import PLACE, PREFIX, Columns, Told
from analyzer.store.writing import insert

MOST_COLUMNS: Final = 120
"""Columns of one table; a contract that names more values than that is not one that we know."""

NUMBERS: Final = {"BIGINT", "DECIMAL(38,0)"}
"""Types of one value, by its layout and by itself: what it is of decides how large it can be."""

Catalog = dict[str, dict[str, str]]
"""Types by column name in lower case, by table."""


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
