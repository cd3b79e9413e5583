"""A database in memory with the rows that a test gives, and one of all the recorded chains."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pytest

from analyzer.chain.recording import RecordedChain
from analyzer.indexer.deployments import deployment_of
from analyzer.indexer.plan import Plan
from analyzer.indexer.run import index
from analyzer.protocols import protocols
from analyzer.rows import TABLES, columns, words
from analyzer.store.database import open_for_reading
from analyzer.store.schema import create

DEMO = Path(__file__).parents[2] / "fixtures" / "demo"

TYPES = {table: columns(row_type) for row_type, table in TABLES.items()}
WORDS = {table: words(row_type) for row_type, table in TABLES.items()}
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
            for name, allowed in WORDS[table].items():
                assert row.get(name) in (*allowed, None), f"{table}.{name} is never {row[name]}"
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


@pytest.fixture(scope="session")
def connection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    """All protocols' recorded chains in one database."""
    path = tmp_path_factory.mktemp("recorded") / "all.duckdb"
    for name in protocols():
        chain = RecordedChain(DEMO / f"{name}.json.gz")
        found = [deployment_of(entry, "the recording") for entry in chain.deployments]
        assert all(outcome.error is None for outcome in index(chain, path, Plan(deployments=found)))
    with open_for_reading(path) as connection:
        yield connection
