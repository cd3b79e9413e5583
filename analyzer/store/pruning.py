"""Dropping what a database holds of a chain."""

from typing import Final

from duckdb import DuckDBPyConnection

INTERNED: Final = (
    "delete from raw_reads where call_id not in (select call_id from raw_calls)",
    "delete from raw_results where result_id not in (select result_id from raw_reads)",
    "delete from raw_templates where not exists (from raw_logs where template = key)",
)
"""What rows of a chain shared with those of others: it goes with the last that rested on it."""


def forget_chain(connection: DuckDBPyConnection, chain_id: int) -> int:
    """Drop every row of a chain, raw ones and the history of findings included; how many.

    Call it inside a transaction.
    """
    tables = connection.execute(
        "select table_name from duckdb_columns() where column_name = 'chain_id'"
        " and database_name = current_database() and schema_name = 'main'"
        " and table_name in (select table_name from duckdb_tables())"
        " order by table_name"
    ).fetchall()
    count = 0
    for (table,) in tables:
        rows = connection.execute(f"delete from {table} where chain_id = ?", [chain_id]).fetchall()
        count += int(rows[0][0])
    for statement in INTERNED:
        connection.execute(statement)
    return count
