"""The blocks that a deployment's rows rest on: what a reorganisation is noticed by."""

from typing import Final

from duckdb import DuckDBPyConnection

from analyzer.protocol import Deployment
from analyzer.store.database import first

KNOWN: Final = """
select distinct number, hash from (
    select number, hash from raw_blocks
    where chain_id = $chain_id and protocol = $protocol and deployment = $deployment
    union all
    select block_number, block_hash from raw_snapshots
    where chain_id = $chain_id and protocol = $protocol and deployment = $deployment
    union all
    select to_block, to_hash from checkpoints
    where chain_id = $chain_id and protocol = $protocol and deployment = $deployment
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
        {
            "chain_id": deployment.chain_id,
            "protocol": deployment.protocol,
            "deployment": deployment.name,
            "at_most": at_most,
            "skipped": skipped,
        },
    )
    return (row[0], row[1]) if row else None
