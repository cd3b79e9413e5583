"""Whether the chain that is read is the one that a database already holds under its id.

A chain id is no name: every restarted development node has the same one. Rows of two chains under
one id would be joined with each other, so the second is refused before anything of it is stored.
"""

from typing import Final

from duckdb import DuckDBPyConnection

from analyzer.chain.interface import Chain
from analyzer.errors import AnalyzerError
from analyzer.evm import Block
from analyzer.protocol import Deployment
from analyzer.store.known_blocks import StoredBlock, oldest_blocks

DEEPEST_REORGANISATION: Final = 1_024
"""Blocks: what a chain may abandon of a deployment that is read again is rolled back; a chain that
differs further below the head than this was never the same."""


def refuse_another_chain(
    chain: Chain, connection: DuckDBPyConnection, deployment: Deployment, head: Block
) -> None:
    """Raise ``AnalyzerError`` where blocks that are stored under the chain's id are not its own.

    The oldest block that is stored of each deployment is compared: a reorganisation leaves it as it
    is. One request a deployment on a node; a recorded chain may lack blocks, and is asked for all.
    """
    for other in oldest_blocks(connection, deployment.chain_id, head.number, chain.is_recorded):
        is_own = (other.protocol, other.deployment) == (deployment.protocol, deployment.name)
        if is_own and head.number - other.number < DEEPEST_REORGANISATION:
            continue  # what is not the chain's any more is rolled back
        mine = head.hash if other.number == head.number else _hash_of(chain, other.number)
        if mine is not None and mine != other.hash:
            raise AnalyzerError(_refusal(chain, deployment, other, mine))


def _hash_of(chain: Chain, number: int) -> str | None:
    """The chain's hash of a block; ``None`` where a recorded chain does not hold it."""
    try:
        return chain.block(number).hash
    except AnalyzerError:
        if chain.is_recorded:
            return None
        raise


def _refusal(chain: Chain, deployment: Deployment, other: StoredBlock, mine: str) -> str:
    return (
        f"{chain.label} is not the chain {deployment.chain_id} that the database holds: block "
        f"{other.number} is {mine[:18]}… there and {other.hash[:18]}… with {other.protocol} "
        f"{other.deployment}; name another file with --db, or drop the stored chain with "
        f"`perpscope prune --chain {deployment.chain_id}`"
    )
