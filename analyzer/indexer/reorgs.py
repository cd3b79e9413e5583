"""Noticing that the chain took another way, and going back to where the ways parted."""

from collections.abc import Callable

from duckdb import DuckDBPyConnection

from analyzer.chain.interface import Chain
from analyzer.errors import AnalyzerError, ReorganisedError
from analyzer.evm import Block, LogBatch
from analyzer.protocol import Deployment
from analyzer.store import checkpoints, derived, event_tables, raw_logs, raw_state, replays
from analyzer.store.database import transaction
from analyzer.store.known_blocks import known_block

NOTHING = (-1, "")
"""The block before the first: what is left where no stored block is the chain's."""


def roll_back(
    chain: Chain, connection: DuckDBPyConnection, deployment: Deployment, head: Block
) -> int | None:
    """Drop what rests on blocks that are no longer the chain's; the last block that is kept.

    ``None`` where nothing had to go. Stored blocks above the head are not compared: a node may lag.
    """

    def known(skipped: int) -> tuple[int, str] | None:
        return known_block(connection, deployment, head.number, skipped)

    fork, hash_ = last_shared(known, lambda number: _hash_of(chain, number, head))
    newest = known(0)
    if newest is None or newest == (fork, hash_):
        return None
    with transaction(connection):
        before = derived.state_before(connection, deployment, fork)
        for stream, start, _ in checkpoints.stored_streams(connection, deployment):
            if start > fork:
                raw_logs.forget(connection, stream)
                replays.forget(connection, stream)
            else:
                raw_logs.forget_after(connection, stream, fork, hash_)
                replays.rewind(connection, stream, fork, before)
        event_tables.forget_after(connection, deployment, fork)
        raw_state.forget_after(connection, deployment, fork)
        derived.forget_after(connection, deployment, fork)
    return fork


def last_shared(
    known: Callable[[int], tuple[int, str] | None], hash_of: Callable[[int], str]
) -> tuple[int, str]:
    """The newest known block that the chain still has: a few questions, however deep it lies.

    ``known`` gives the stored blocks, newest first, by rank. Steps double until a shared block is
    found, then the ranks in between are halved.
    """
    differing, step = -1, 1
    while True:
        rank = differing + step
        block = known(rank)
        if block is None or hash_of(block[0]) == block[1]:
            break
        differing, step = rank, step * 2
    shared, found = rank, block
    while shared - differing > 1:
        middle = (differing + shared) // 2
        block = known(middle)
        if block is None or hash_of(block[0]) == block[1]:
            shared, found = middle, block
        else:
            differing = middle
    return found or NOTHING


def check_link(batch: LogBatch, before: str | None, head: Block) -> None:
    """Refuse a batch that does not follow the block before it, or does not end in the head.

    ``before`` is the hash of the block before the batch's first, if it is known.
    """
    headers = {block.number: block for block in batch.blocks}
    start, end = headers.get(batch.from_block), headers.get(head.number)
    if start and before and start.parent_hash != before:
        raise ReorganisedError(
            f"block {batch.from_block - 1} was reorganised while it was read: run it again"
        )
    if end and end.hash != head.hash:
        raise ReorganisedError(
            f"block {head.number} was reorganised while it was read: run it again"
        )


def is_gone(chain: Chain, head: Block) -> bool:
    """Whether the head that a run began with is no longer the chain's."""
    try:
        return chain.block(head.number).hash != head.hash
    except AnalyzerError:
        return False


def _hash_of(chain: Chain, number: int, head: Block) -> str:
    return head.hash if number == head.number else chain.block(number).hash
