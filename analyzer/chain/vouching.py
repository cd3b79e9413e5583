"""Headers that vouch for logs: whose blocks they are, and that no block's logs were left out.

Far below the head a range's first and last header are enough to link it to its neighbours. Near
the head, where chains are reorganised, every header is read: each follows the one before it, and
logs must have their hashes.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from analyzer.chain.blooms import CROWDED, bloom_of, may_hold, number_of
from analyzer.chain.headers import headers
from analyzer.chain.log_checks import matching
from analyzer.chain.log_query import LogQuery
from analyzer.chain.rpc import Rpc
from analyzer.evm import Block, LogFilter
from analyzer.log_columns import NO_TIME, LogColumns
from analyzer.reads import MalformedError

TAIL: Final = 128
"""Blocks before the head of which every header is read."""
SETTLED: Final = 4
"""Blocks of one range whose logs are read whole where the bloom casts doubt on an answer."""


class Vouching:
    """Reads headers of one node beside its logs.

    ``bloom_checks`` is how many blocks without logs are looked at in each range below the tail,
    spread evenly; in the tail it is all of them.
    """

    def __init__(self, rpc: Rpc, query: LogQuery, bloom_checks: int) -> None:
        self._rpc = rpc
        self._query = query
        self._bloom_checks = bloom_checks
        self.head: int | None = None

    def saw(self, head: int) -> None:
        """The chain is at least so high."""
        self.head = head if self.head is None else max(self.head, head)

    def headers(self, logs: LogColumns, first: int, last: int) -> dict[int, Block]:
        """The headers that a range's logs are checked with, by number."""
        spoken = np.unique(logs.block_number)
        tail = range(max(first, (self.head or 0) - TAIL + 1), last + 1)
        wanted = {first, last, *tail, *logs.block_number[logs.block_time == NO_TIME].tolist()}
        wanted.update(_spread(first, tail.start if tail else last + 1, spoken, self._bloom_checks))
        numbers = sorted(wanted)
        return dict(zip(numbers, headers(self._rpc, numbers), strict=True))

    def check_quiet_blocks(
        self, filters: Sequence[LogFilter], logs: LogColumns, blocks: Mapping[int, Block]
    ) -> None:
        """Refuse an answer that leaves out a block's logs, as its bloom and all its logs show."""
        spoken = set(np.unique(logs.block_number).tolist())
        doubtful: list[tuple[int, Block]] = []
        for block in blocks.values():
            if block.number in spoken or block.logs_bloom is None:
                continue
            bloom = number_of(block.logs_bloom)
            if bloom.bit_count() <= CROWDED and may_hold(bloom, filters):
                doubtful.append((bloom.bit_count(), block))
        for _, block in sorted(doubtful, key=lambda one: one[0])[:SETTLED]:
            self._settle(filters, block)

    def _settle(self, filters: Sequence[LogFilter], block: Block) -> None:
        assert block.logs_bloom is not None
        logs = self._query.all_of_block(block.number, block.hash)
        if bloom_of(logs) != number_of(block.logs_bloom):
            raise MalformedError(f"logs of block {block.number} that its bloom does not stand for")
        if any(matching(logs, wanted).any() for wanted in filters):
            raise MalformedError(f"no logs of block {block.number}, though it has some")


def _spread(first: int, end: int, spoken: np.ndarray, count: int) -> Sequence[int]:
    """Up to ``count`` blocks from ``first`` to before ``end`` that are not among ``spoken``."""
    spoken = spoken[(spoken >= first) & (spoken < end)]
    quiet = end - first - len(spoken)
    if quiet <= 0 or count <= 0:
        return []
    ranks = np.unique(np.linspace(0, quiet - 1, min(count, quiet)).astype(np.int64))
    # The quiet block of a rank lies behind as many spoken ones as stand before it.
    before = np.searchsorted(spoken - first - np.arange(len(spoken)), ranks, side="right")
    found: list[int] = (first + ranks + before).tolist()
    return found
