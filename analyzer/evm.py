"""The few things of an EVM chain that all parts speak of: blocks, logs, calls and their answers.

Addresses and hashes are lower-case ``0x`` text, payloads are bytes, times are unix seconds (UTC).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

ZERO_ADDRESS: Final = "0x" + "0" * 40


@dataclass(frozen=True, slots=True)
class Block:
    """A block's header, as far as it is needed to pin reads and to notice a reorg."""

    number: int
    hash: str
    parent_hash: str
    time: int
    logs_bloom: bytes | None = None


@dataclass(frozen=True, slots=True)
class Log:
    """One event log. ``block_time`` is filled in from the header where the node leaves it out."""

    block_number: int
    block_hash: str
    tx_hash: str
    tx_index: int
    log_index: int
    address: str
    topics: tuple[str, ...]
    data: bytes
    block_time: int | None = None


@dataclass(frozen=True, slots=True)
class LogFilter:
    """What eth_getLogs is asked for; the node does the filtering.

    ``topics`` is positional, as in JSON-RPC: for each position the accepted values, empty for any.
    """

    addresses: tuple[str, ...]
    topics: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class Call:
    """An eth_call at a pinned block.

    An ``is_optional`` one need not be part of a recorded chain: nobody who recorded it could know
    that it would be asked. Where it is missing, it was not read, and what needs it is unknown.
    """

    to: str
    data: bytes
    sender: str | None = None
    is_optional: bool = field(default=False, compare=False)


@dataclass(frozen=True, slots=True)
class Slot:
    """An eth_getStorageAt at a pinned block."""

    address: str
    slot: int


Request = Call | Slot


@dataclass(frozen=True, slots=True)
class Answer:
    """What the chain said to a request: data, or the revert with its reason.

    ``error`` is ``None`` for an answer; for a revert it is the reason as far as it is known, and
    ``data`` holds the revert data. ``read`` is ``False`` where the request was never put to a chain
    (a rebuild from raw data that does not hold it): that is unknown, not a revert.
    """

    data: bytes = b""
    error: str | None = None
    read: bool = True


NOT_READ: Final = Answer(error="not read", read=False)


@dataclass(frozen=True, slots=True)
class LogBatch:
    """Logs of a closed block range, complete and in order, with the headers that are known."""

    from_block: int
    to_block: int
    logs: Sequence[Log]
    blocks: Sequence[Block] = field(default=())
