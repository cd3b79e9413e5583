"""What stored rows say about one another: for those who check a database instead of reading it."""

from dataclasses import dataclass
from typing import Final

from duckdb import DuckDBPyConnection

from analyzer.payloads import WORD
from analyzer.protocol import Deployment
from analyzer.store import templates
from analyzer.store.checkpoints import MINE, Stream
from analyzer.store.database import first
from analyzer.store.keys import NAMED, named
from analyzer.store.schema import LOG_ROW_TABLES

OF_STREAM: Final = "chain_id = ? and filter = ? and block_number between ? and ?"

MISSHAPEN: Final = """
with intact as (
    select unnest($keys::blob[]) as template, unnest($sizes::bigint[]) as size
)
select min(block_number), count(*) from raw_logs left join intact using (template)
where chain_id = $chain_id and filter = $filter and (
    block_number is null or log_index is null or tx_index is null or block_time is null
    or data is null or template is not null and octet_length(data) is distinct from size
    or octet_length(block_hash) is distinct from 32
    or octet_length(tx_hash) is distinct from 32 or octet_length(address) is distinct from 20
    or octet_length(coalesce(topic0, block_hash)) <> 32
    or octet_length(coalesce(topic1, block_hash)) <> 32
    or octet_length(coalesce(topic2, block_hash)) <> 32
    or octet_length(coalesce(topic3, block_hash)) <> 32
    or topic0 is null and topic1 is not null or topic1 is null and topic2 is not null
    or topic2 is null and topic3 is not null
)
"""

STATEMENTS: Final = f"""
with of_logs as (
    select distinct block_number, block_hash, block_time from raw_logs
    where chain_id = $chain_id and filter in (select filter from checkpoints where {NAMED})
),
said as (
    select number, 'hash' as property, hash as value from raw_blocks where {NAMED}
    union all
    select number - 1, 'hash', parent_hash from raw_blocks where {NAMED}
    union all
    select number, 'time', time::varchar from raw_blocks where {NAMED}
    union all
    select to_block, 'hash', to_hash from checkpoints where {NAMED}
    union all
    select block_number, 'hash', block_hash from raw_snapshots where {NAMED}
    union all
    select block_number - 1, 'hash', parent_hash from raw_snapshots where {NAMED}
    union all
    select block_number, 'time', block_time::varchar from raw_snapshots where {NAMED}
    union all
    select block_number, 'hash', '0x' || lower(hex(block_hash)) from of_logs
    union all
    select block_number, 'time', block_time::varchar from of_logs
),
agreed as (
    select number, property, count(distinct value) as ways from said
    where value is not null and value <> '' and number >= 0
    group by number, property
)
"""
LINKS: Final = f"""
select count(*) from (select distinct number from raw_blocks where {NAMED}) as one
semi join (select number from raw_blocks where {NAMED}) as other on other.number = one.number + 1
"""
BREAK: Final = f"""
select before, from_block from (
    select from_block, lag(to_block) over (order by from_block, to_block) as before
    from checkpoints
    where {MINE}
)
where from_block <> before + 1 order by from_block limit 1
"""
BOUNDS: Final = f"""
select max(block_number) from (
    select block_number, sum(count(*)) over (order by block_number) as reached
    from raw_logs where {OF_STREAM} group by block_number
) group by reached // ? order by 1
"""


@dataclass(frozen=True, slots=True)
class Rows:
    """How many rows a range of blocks holds, and the first and last block that has any."""

    count: int
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Hashes:
    """How many blocks are known by hash, how many neighbours are linked, and what contradicts.

    ``contradictions`` holds block number and property (``hash`` or ``time``), in chain order.
    """

    known: int
    links: int
    contradictions: list[tuple[int, str]]


@dataclass(frozen=True, slots=True)
class SnapshotBlocks:
    """The newest block with a snapshot, and the newest whose positions rest on logs."""

    newest: int | None
    from_logs: int | None


def misshapen(connection: DuckDBPyConnection, stream: Stream) -> tuple[int | None, int] | None:
    """The first block and the number of rows that are no logs: values missing or of wrong size.

    Neither are rows whose template is missing or not what it was.
    """
    intact = templates.stored(connection)
    row = first(
        connection,
        MISSHAPEN,
        {
            "keys": list(intact),
            "sizes": [WORD * len(one.words) for one in intact.values()],
            "chain_id": stream.chain_id,
            "filter": stream.filter,
        },
    )
    return (row[0], row[1]) if row and row[1] else None


def rows_of(
    connection: DuckDBPyConnection, stream: Stream, from_block: int, to_block: int
) -> Rows | None:
    """The stream's logs within a range of blocks, counted."""
    row = first(
        connection,
        f"select count(*), min(block_number), max(block_number) from raw_logs where {OF_STREAM}",
        [stream.chain_id, stream.filter, from_block, to_block],
    )
    return Rows(*row) if row and row[0] else None


def break_in(connection: DuckDBPyConnection, stream: Stream) -> tuple[int, int] | None:
    """Where finished ranges first leave a gap or overlap: an end, and the next beginning."""
    row = first(connection, BREAK, stream.key)
    return (row[0], row[1]) if row else None


def chunk_ends(
    connection: DuckDBPyConnection, stream: Stream, from_block: int, to_block: int, size: int
) -> list[int]:
    """Last blocks of consecutive ranges of about ``size`` logs: the same for the same logs."""
    rows = connection.execute(
        BOUNDS, [stream.chain_id, stream.filter, from_block, to_block, size]
    ).fetchall()
    return [block for (block,) in rows]


def hashes(connection: DuckDBPyConnection, deployment: Deployment) -> Hashes:
    """Whether all that is stored of a block names the same hash and time.

    Witnesses of a hash: headers, parent hashes of the headers after them, ends of finished ranges,
    snapshots, logs.
    """
    mine = named(deployment)
    links = first(connection, LINKS, mine)
    found = first(
        connection,
        f"{STATEMENTS} select count(*) filter (where property = 'hash'),"
        " list((number, property) order by number, property) filter (where ways > 1) from agreed",
        mine,
    )
    assert links is not None
    assert found is not None
    return Hashes(found[0], links[0], found[1] or [])


def snapshot_blocks(connection: DuckDBPyConnection, deployment: Deployment) -> SnapshotBlocks:
    """How high a deployment's snapshots reach."""
    row = first(
        connection,
        "select max(block_number), max(block_number) filter (where source <> 'state')"
        f" from raw_snapshots where {NAMED}",
        named(deployment),
    )
    return SnapshotBlocks(*row) if row else SnapshotBlocks(None, None)


def derived_sums(
    connection: DuckDBPyConnection, deployment: Deployment, from_block: int, to_block: int
) -> dict[str, tuple[int, int]]:
    """How many normalised rows the logs of a range gave each table, and the sum of their hashes."""
    found: dict[str, tuple[int, int]] = {}
    for table in LOG_ROW_TABLES:
        row = first(
            connection,
            "select count(*), coalesce(sum(md5_number_lower(rows::varchar)::hugeint), 0)"
            f" from (select * exclude (deployment) from {table} where {NAMED}"
            " and log_index >= 0 and block_number between $from_block and $to_block) as rows",
            named(deployment) | {"from_block": from_block, "to_block": to_block},
        )
        assert row is not None
        found[table] = (row[0], row[1])
    return found


def unclaimed(connection: DuckDBPyConnection) -> list[tuple[int, str, int, int, int]]:
    """Logs of no known deployment's finished range: chain, filter, first and last block, count."""
    return connection.execute(
        "select chain_id, filter, min(block_number), max(block_number), count(*) from raw_logs"
        " anti join (checkpoints semi join raw_deployments using (chain_id, protocol, deployment))"
        " using (chain_id, filter) group by all order by all"
    ).fetchall()
