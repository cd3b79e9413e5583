"""What a database holds, in a shape in which two of them can be compared."""

from pathlib import Path

import duckdb

from analyzer.rows import TABLES
from analyzer.store import event_tables

RAW_TABLES = ("raw_logs",)
STATE = """
with answered as (
    select s.deployment, s.block_number, read.call_id, arg_max(read.result_id, read.sequence) as id
    from raw_snapshots as s, unnest(s.call_ids) as wanted(call_id)
    inner join raw_reads as read
        on read.call_id = wanted.call_id and read.sequence <= s.sequence
    group by s.deployment, s.block_number, s.sequence, read.call_id
)
select c.kind, c.address, c.data, c.sender, r.data, r.error, a.deployment, a.block_number
from answered as a
inner join raw_calls as c using (call_id)
inner join raw_results as r on r.result_id = a.id
"""
"""What every stored snapshot read: an interned result that none of them rests on is not listed."""


def contents(path: Path, *, raw: bool = True) -> dict[str, list]:
    """Every row of every table whose contents do not depend on how they were fetched."""
    with duckdb.connect(str(path), read_only=True) as connection:
        tables = [*TABLES.values(), *(RAW_TABLES if raw else ()), *event_tables.tables(connection)]
        found = {
            table: sorted(connection.execute(f"select * from {table}").fetchall(), key=repr)
            for table in tables
        }
        if raw:
            found["state"] = sorted(connection.execute(STATE).fetchall(), key=repr)
    return found


def counts(path: Path) -> dict[str, int]:
    """How many rows each normalised table holds."""
    return {table: len(rows) for table, rows in contents(path, raw=False).items()}
