"""How many blocks to ask for at once: quick to shrink, slow to grow."""

import threading
from typing import Final

from analyzer.chain.failure import Kind, RpcFailure

ENOUGH: Final = 1 << 23
"""Bytes of logs from which on larger ranges are no faster, and only take more memory."""


class Window:
    """The size of the next eth_getLogs range, shared by all threads.

    A limit on the range itself is lasting: sizes that failed so are never asked for again. A limit
    on results depends on where in the chain one reads: the window grows again.
    """

    def __init__(self, size: int, largest: int) -> None:
        self._lock = threading.Lock()
        self._size = max(1, min(size, largest))
        self._good = 0
        self._ceiling = max(1, largest)

    @property
    def size(self) -> int:
        """Blocks to ask for next."""
        return self._size

    @property
    def ceiling(self) -> int:
        """The most blocks that will be asked for at once."""
        return self._ceiling

    def fits(self, blocks: int, size: int = 0) -> None:
        """A range of so many blocks was answered; its logs weigh ``size`` bytes."""
        with self._lock:
            self._good = max(self._good, blocks)
            if size > 2 * ENOUGH:
                self._size = min(self._size, max(1, blocks * ENOUGH // size))
            elif blocks >= self._size and size < ENOUGH:
                room = self._ceiling - self._size
                step = max(1, self._size // 8)
                self._size += min(room, step)

    def too_large(self, first: int, last: int, failure: RpcFailure) -> None:
        """``first..last`` was refused: take what the provider names if that is less, else half."""
        blocks = last - first + 1
        suggested, named = _suggested(first, last, failure), _named(blocks, failure)
        with self._lock:
            if failure.kind is Kind.RANGE_TOO_LARGE:
                good = self._good if self._good < blocks else 0
                smaller = suggested or named or max(1, good, blocks // 2)
                self._ceiling = max(1, min(self._ceiling, named or (smaller + blocks) // 2))
            else:
                smaller = suggested or max(1, blocks // 2)
            self._size = min(self._size, smaller, self._ceiling)


def _suggested(first: int, last: int, failure: RpcFailure) -> int | None:
    """The suggested range's size, if it starts where we do and is strictly smaller."""
    if failure.suggestion is None:
        return None
    start, end = failure.suggestion
    return end - start + 1 if start == first and start <= end < last else None


def _named(blocks: int, failure: RpcFailure) -> int | None:
    """The largest named limit under what was asked; one less where the limit itself was asked.

    Providers count a range by its blocks or by the difference of its ends, so a number beside what
    was asked may be the range that they saw.
    """
    if failure.kind is not Kind.RANGE_TOO_LARGE:
        return None
    if below := [limit for limit in failure.limits if 1 <= limit < blocks - 1]:
        return max(below)
    return blocks - 1 if blocks in failure.limits and blocks > 1 else None
