"""The blocks that a deployment's rows rest on: what a reorganisation is noticed by."""

from dataclasses import dataclass
from typing import Final

from duckdb import DuckDBPyConnection

from analyzer.protocol import Deployment
from analyzer.store.database import first
from analyzer.store.keys import NAMED, named

KNOWN: Final = f"""
select distinct number, hash from (
    select number, hash from raw_blocks
    where {NAMED}
    union all
    select block_number, block_hash from raw_snapshots
    where {NAMED}
    union all
    select to_block, to_hash from checkpoints
    where {NAMED}
)
where number <= $at_most and hash is not null
order by number desc, hash
limit 1 offset $skipped
"""


EVERY: Final = """
with known as (
    select chain_id, protocol, deployment, number, hash from raw_blocks
    union
    select chain_id, protocol, deployment, block_number, block_hash from raw_snapshots
    union
    select chain_id, protocol, deployment, to_block, to_hash from checkpoints
)
"""
OLDEST: Final = f"""{EVERY}
select protocol, deployment, number, hash
from known
where chain_id = $chain_id and number <= $at_most and hash is not null
qualify $all or row_number() over (partition by protocol, deployment order by number) = 1
order by protocol, deployment, number, hash
"""
CONTRADICTIONS: Final = f"""{EVERY}
select chain_id, min(number), list_sort(list(distinct protocol || ' ' || deployment))
from (
    from known
    where hash is not null
    qualify min(hash) over (partition by chain_id, number)
        <> max(hash) over (partition by chain_id, number)
)
group by chain_id
order by chain_id
"""


@dataclass(frozen=True, slots=True)
class StoredBlock:
    """A block that rows of a deployment rest on."""

    protocol: str
    deployment: str
    number: int
    hash: str


def oldest_blocks(
    connection: DuckDBPyConnection, chain_id: int, at_most: int, every: bool
) -> list[StoredBlock]:
    """The oldest block up to a number of each deployment of a chain id, or ``every`` one."""
    rows = connection.execute(
        OLDEST, {"chain_id": chain_id, "at_most": at_most, "all": every}
    ).fetchall()
    return [StoredBlock(*row) for row in rows]


@dataclass(frozen=True, slots=True)
class Contradiction:
    """A chain id under which two chains are stored: the first block with two hashes, and whose."""

    chain_id: int
    number: int
    deployments: list[str]


def contradictions(connection: DuckDBPyConnection) -> list[Contradiction]:
    """The chain ids under which blocks with two hashes are stored."""
    return [Contradiction(*row) for row in connection.execute(CONTRADICTIONS).fetchall()]


def known_block(
    connection: DuckDBPyConnection, deployment: Deployment, at_most: int, skipped: int = 0
) -> tuple[int, str] | None:
    """Number and hash of the newest known block up to a number, or of one so many before it."""
    row = first(
        connection,
        KNOWN,
        named(deployment) | {"at_most": at_most, "skipped": skipped},
    )
    return (row[0], row[1]) if row else None
