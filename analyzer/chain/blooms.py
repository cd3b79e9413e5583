"""Blooms: what a block's header says about its logs, whatever a node says.

A header's bloom has three bits set for the address and for each topic of every log of the block
(Ethereum yellow paper, section 4.3.1). So it proves that a log is missing, and never that one is
there: where it leaves the question open, all logs of the block are asked for, and must make up
the bloom themselves.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Final

import numpy as np
from eth_hash.auto import keccak

from analyzer.evm import LogFilter
from analyzer.log_columns import LogColumns

BITS: Final = 2048
CROWDED: Final = BITS // 2
"""A bloom with more bits set than this says yes to nearly everything."""


def may_hold(bloom: int, wanted: Sequence[LogFilter]) -> bool:
    """Whether a block with this bloom may hold a log that one of the filters matches."""
    return any(
        _any_of(bloom, one.addresses) and all(_any_of(bloom, accepted) for accepted in one.topics)
        for one in wanted
    )


def bloom_of(logs: LogColumns) -> int:
    """The bloom that exactly these logs make up."""
    bloom = 0
    for address in _distinct(logs.address):
        bloom |= bits_of(address)
    for position in range(logs.topics.shape[1]):
        for topic in _distinct(logs.topics[logs.topic_count > position, position]):
            bloom |= bits_of(topic)
    return bloom


def number_of(bloom: bytes) -> int:
    """A header's bloom as a number, as the functions here take it."""
    return int.from_bytes(bloom)


@lru_cache(maxsize=1 << 16)
def bits_of(value: bytes) -> int:
    """The bloom of one address or topic."""
    digest = keccak(value)
    return (
        1 << int.from_bytes(digest[0:2]) % BITS
        | 1 << int.from_bytes(digest[2:4]) % BITS
        | 1 << int.from_bytes(digest[4:6]) % BITS
    )


def _any_of(bloom: int, values: Iterable[str]) -> bool:
    """Whether one of the values may be in the bloom; no values stand for any."""
    masks = [bits_of(bytes.fromhex(value[2:])) for value in values]
    return not masks or any(bloom & mask == mask for mask in masks)


def _distinct(rows: np.ndarray) -> set[bytes]:
    width, raw = rows.shape[1], rows.tobytes()
    return {raw[start : start + width] for start in range(0, len(raw), width)}
