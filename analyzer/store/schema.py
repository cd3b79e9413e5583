"""The tables of a database file, derived from the row classes."""

from typing import Final

from duckdb import DuckDBPyConnection

from analyzer.rows import TABLES, columns
from analyzer.store.views import create_views

SCHEMA_VERSION: Final = 5
RAW_VERSION: Final = 4
"""The first schema with today's raw tables: a file of it or a later one can be rebuilt."""
STORAGE_VERSION: Final = "v1.2.0"
"""The oldest DuckDB whose files today's dashboard tools open; newer readers open it as well."""

LOG_ROW_TABLES: Final = ("position_events", "prices", "funding", "data_quality")
"""Tables that hold rows of logs; of these only ``log_index >= 0`` stems from logs."""

SNAPSHOT_TABLES: Final = (
    "snapshots", "markets", "positions", "margin_accounts", "margin_legs", "balances",
    "totals",
)  # fmt: skip

# A compression that is named costs no search for the best one, which took a quarter of all the time
# of writing logs; where it cannot be applied, DuckDB stores what it is given.
RAW: Final = """
create table meta (schema_version integer, written_by varchar);
create table raw_deployments (
    chain_id bigint, protocol varchar, deployment varchar, config json
);
create table raw_blocks (
    chain_id bigint, protocol varchar, deployment varchar, filter varchar,
    number bigint, hash varchar, parent_hash varchar, time bigint
);
create table raw_logs (
    chain_id bigint, filter varchar using compression dictionary,
    block_number bigint, log_index bigint, tx_index bigint, block_time bigint,
    block_hash blob using compression dictionary, tx_hash blob using compression dictionary,
    address blob using compression dictionary, topic0 blob using compression dictionary,
    topic1 blob using compression dictionary, topic2 blob using compression dictionary,
    topic3 blob using compression dictionary, template blob using compression dictionary,
    data blob using compression zstd
);
create table raw_templates (key blob, data blob, words bigint[]);
create table raw_calls (
    call_id integer, chain_id bigint, kind varchar, address varchar, data blob, sender varchar
);
create table raw_results (result_id integer, data blob, error varchar);
create table raw_reads (call_id integer, sequence bigint, result_id integer);
create table raw_snapshots (
    sequence bigint, chain_id bigint, protocol varchar, deployment varchar,
    block_number bigint, block_hash varchar, parent_hash varchar, block_time bigint,
    accounts json, source varchar, with_logs boolean, prices json, call_ids integer[],
    recent json, price_basis varchar
);
create table checkpoints (
    chain_id bigint, protocol varchar, deployment varchar, filter varchar,
    from_block bigint, to_block bigint, to_hash varchar, logs bigint, digest varchar
);
create table finding_history (
    finding_id varchar, query varchar, severity varchar, chain_id bigint, protocol varchar,
    deployment varchar, subject json, first_block bigint, last_block bigint, status varchar,
    cause varchar, measure json
);
"""

ADDED: Final = """
alter table finding_history add column if not exists cause varchar;
alter table finding_history add column if not exists measure json;
alter table raw_snapshots add column if not exists price_basis varchar default 'executed';
"""
"""What files of an earlier release lack; their snapshots rest on executed prices, however old."""

REPLAYS: Final = """
create or replace table replays (
    chain_id bigint, protocol varchar, deployment varchar, filter varchar, to_block bigint
);
create or replace table replay_state (
    chain_id bigint, protocol varchar, deployment varchar, filter varchar,
    state_key varchar, after json
);
"""


def create(connection: DuckDBPyConnection) -> None:
    """Create every table and view in an empty database."""
    connection.execute(RAW)
    create_normalised(connection)


def create_normalised(connection: DuckDBPyConnection) -> None:
    """Create (or empty) everything that can be rebuilt from raw rows."""
    for row_type, table in TABLES.items():
        spread = ", ".join(f"{name} {kind}" for name, kind in columns(row_type).items())
        connection.execute(f"create or replace table {table} ({spread})")
    connection.execute(REPLAYS)
    create_views(connection)


def add_columns(connection: DuckDBPyConnection) -> None:
    """Give a file of an earlier release the columns that it lacks."""
    connection.execute(ADDED)
