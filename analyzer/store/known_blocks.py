"""The blocks that a deployment's rows rest on: what a reorganisation is noticed by."""

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
