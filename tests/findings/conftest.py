"""A database in memory, filled with a few rows as a test gives them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import duckdb
import pytest

from analyzer.rows import TABLES, columns
from analyzer.store.schema import create

TYPES = {table: columns(row_type) for row_type, table in TABLES.items()}
DEFAULTS = {
    "chain_id": 31337,
    "protocol": "gmx_v1",
    "deployment": "local",
    "block_number": 200,
    "log_index": -1,
    "scope": "all",
}
Given = Mapping[str, Sequence[Mapping[str, Any]]]


def fill(connection: duckdb.DuckDBPyConnection, given: Given) -> None:
    """Insert rows by column name; what is not given is the usual place, ``{}`` or null."""
    for table, rows in given.items():
        types = TYPES[table]
        for row in rows:
            assert row.keys() <= types.keys(), f"{table} has no {row.keys() - types.keys()}"
            blank = {name: "{}" for name, kind in types.items() if kind == "JSON"}
            usual = {name: value for name, value in DEFAULTS.items() if name in types}
            values = blank | usual | row
            names = ", ".join(values)
            casts = ", ".join(f"cast(? as {types[name]})" for name in values)
            connection.execute(
                f"insert into {table} ({names}) values ({casts})", list(values.values())
            )


@pytest.fixture
def database() -> Callable[[Given], duckdb.DuckDBPyConnection]:
    """Makes a database that holds the given rows and has no access to anything outside."""
    opened = []

    def make(given: Given) -> duckdb.DuckDBPyConnection:
        connection = duckdb.connect()
        opened.append(connection)
        connection.execute("set timezone = 'UTC'")
        create(connection)
        fill(connection, given)
        connection.execute("set enable_external_access = false")
        return connection

    yield make
    for connection in opened:
        connection.close()
