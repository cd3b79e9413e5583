"""The rows of a stored snapshot by their keys, in a shape in which two snapshots are compared."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import duckdb
from duckdb import DuckDBPyConnection

from analyzer.protocol import Deployment
from analyzer.rows import TABLES, At, Tokens, columns
from analyzer.store.derived import READ_TABLES
from analyzer.store.keys import MINE, key
from analyzer.store.schema import SNAPSHOT_TABLES, create_normalised

Cells = Mapping[str, Any]
"""A row's values by column; JSON as its text."""
Rows = Mapping[tuple[Any, ...], Cells]
"""A table's rows by what tells them apart within a snapshot."""

SNAPSHOT_TYPES: Final = tuple(
    row_type for row_type, table in TABLES.items() if table in (*SNAPSHOT_TABLES, *READ_TABLES)
)
"""The tables that a snapshot writes rows of its own block to."""
PLACE: Final = frozenset(columns(At)) | {"log_index"}
"""What all rows of a snapshot have in common."""


@contextmanager
def scratch() -> Iterator[DuckDBPyConnection]:
    """Empty normalised tables in memory: what is put there is compared, and leaves no trace."""
    connection = duckdb.connect(":memory:", config={"temp_directory": "", "threads": 1})
    try:
        connection.execute("set timezone = 'UTC'")
        create_normalised(connection)
        yield connection
    finally:
        connection.close()


def rows_at(connection: DuckDBPyConnection, deployment: Deployment, block: int) -> dict[type, Rows]:
    """What a deployment's snapshot at a block says, table by table; rows of logs are not its."""
    return {row_type: _rows(connection, row_type, deployment, block) for row_type in SNAPSHOT_TYPES}


def tokens(connection: DuckDBPyConnection, chain_id: int) -> Rows:
    """Every token of a chain, by address: a token has one row, whatever block described it last."""
    cursor = connection.execute(
        f"select {', '.join(columns(Tokens))} from {TABLES[Tokens]} where chain_id = ?", [chain_id]
    )
    rows = [dict(zip(columns(Tokens), values, strict=True)) for values in cursor.fetchall()]
    return {(row["token"],): row for row in rows}


def _rows(
    connection: DuckDBPyConnection, row_type: Any, deployment: Deployment, block: int
) -> Rows:
    table = TABLES[row_type]
    named = [name for name in columns(row_type) if name not in PLACE]
    of_logs = " and log_index = -1" if table in READ_TABLES else ""
    cursor = connection.execute(
        f"select {', '.join(named)} from {table} where {MINE} and block_number = ?{of_logs}",
        [*key(deployment), block],
    )
    by = [name for name in row_type.KEY if name not in PLACE]
    rows = [dict(zip(named, values, strict=True)) for values in cursor.fetchall()]
    return {tuple(row[name] for name in by): row for row in rows}
