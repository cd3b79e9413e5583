"""What nodes and recordings put into JSON, checked and turned into ours.

Everything here is hostile until it has been through these functions; what does not fit raises
``MalformedError`` saying what was found, never a partial value.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from analyzer.evm import Block, Call, Log, LogFilter, Request, Slot
from analyzer.reads import MalformedError

MAX_QUANTITY: Final = 2**63 - 1
SLOT_BYTES: Final = 32
BLOOM_BYTES: Final = 256
KINDS: Final[dict[type, str]] = {str: "text", list: "a list", dict: "an object", bytes: "bytes"}
SHORT_QUANTITY: Final = re.compile(r"(0x)?[0-9a-fA-F]{0,10}")


def quantity(raw: Any, name: str = "a number") -> int:
    """A hexadecimal quantity that fits a signed 64-bit integer, as block numbers and times do."""
    if isinstance(raw, str) and raw[:2] == "0x" and 2 < len(raw) <= 66 and raw[2:].isalnum():
        try:
            if (value := int(raw, 16)) <= MAX_QUANTITY:
                return value
        except ValueError:
            pass
    raise MalformedError(f"{_shown(raw)} as {name}")


def payload(raw: Any, name: str = "data") -> bytes:
    """Hexadecimal bytes of any length."""
    if isinstance(raw, str) and raw[:2] == "0x":
        try:
            return bytes.fromhex(raw[2:])
        except ValueError:
            pass
    raise MalformedError(f"{_shown(raw)} as {name}")


def fixed(raw: Any, size: int, name: str) -> str:
    """Lower-case ``0x`` text of exactly so many bytes: an address, a hash, a topic."""
    value = payload(raw, name)
    if len(value) != size:
        raise MalformedError(f"{_shown(raw)} as {name}")
    return "0x" + value.hex()


def block(raw: Any) -> Block:
    """A header out of an eth_getBlockBy... object."""
    if not isinstance(raw, Mapping):
        raise MalformedError(f"{_shown(raw)} as a block")
    bloom = raw.get("logsBloom")
    return Block(
        number=quantity(raw.get("number"), "a block's number"),
        hash=fixed(raw.get("hash"), 32, "a block's hash"),
        parent_hash=fixed(raw.get("parentHash"), 32, "a parent's hash"),
        time=quantity(raw.get("timestamp"), "a block's time"),
        logs_bloom=bytes.fromhex(fixed(bloom, BLOOM_BYTES, "a bloom")[2:]) if bloom else None,
    )


def log(raw: Any) -> Log:
    """A log out of an eth_getLogs object. A time of zero is a node's word for unknown."""
    if not isinstance(raw, Mapping):
        raise MalformedError(f"{_shown(raw)} as a log")
    if raw.get("removed"):
        raise MalformedError("a log that a reorganisation has removed")
    topics = raw.get("topics")
    if not isinstance(topics, Sequence) or isinstance(topics, str) or len(topics) > 4:
        raise MalformedError(f"{_shown(topics)} as topics")
    time = raw.get("blockTimestamp")
    return Log(
        block_number=quantity(raw.get("blockNumber"), "a log's block"),
        block_hash=fixed(raw.get("blockHash"), 32, "a log's block hash"),
        tx_hash=fixed(raw.get("transactionHash"), 32, "a log's transaction"),
        tx_index=quantity(raw.get("transactionIndex"), "a transaction's index"),
        log_index=quantity(raw.get("logIndex"), "a log's index"),
        address=fixed(raw.get("address"), 20, "a log's address"),
        topics=tuple(fixed(topic, 32, "a topic") for topic in topics),
        data=payload(raw.get("data"), "a log's data"),
        block_time=quantity(time, "a log's time") or None if time else None,
    )


def logs(raw: Any) -> list[Log]:
    """The logs of an eth_getLogs answer, in the order they came."""
    if not isinstance(raw, list):
        raise MalformedError(f"{_shown(raw)} as logs")
    return [log(entry) for entry in raw]


def slot_value(raw: Any) -> bytes:
    """A storage word; some nodes leave out its leading zeros."""
    if isinstance(raw, str) and raw[:2] == "0x" and len(raw) % 2:
        raw = "0x0" + raw[2:]
    value = payload(raw, "a storage word")
    if len(value) > SLOT_BYTES:
        raise MalformedError(f"{len(value)} bytes as a storage word")
    return value.rjust(SLOT_BYTES, b"\0")


def matches(candidate: Log, wanted: LogFilter) -> bool:
    """Whether a node would return this log for the filter."""
    if wanted.addresses and candidate.address not in wanted.addresses:
        return False
    if len(wanted.topics) > len(candidate.topics):
        return False
    return all(
        not accepted or topic in accepted
        for accepted, topic in zip(wanted.topics, candidate.topics, strict=False)
    )


def describe(request: Request) -> str:
    """A request in words, for errors: short enough for a sentence."""
    if isinstance(request, Slot):
        return f"storage slot {request.slot:#x} of {request.address}"
    sender = f" from {request.sender}" if request.sender else ""
    data = "0x" + request.data.hex()
    return f"eth_call {data if len(data) <= 202 else data[:202] + '…'} to {request.to}{sender}"


def call_object(call: Call) -> dict[str, str]:
    """The transaction object of an eth_call."""
    raw = {"to": call.to, "data": "0x" + call.data.hex()}
    return raw | {"from": call.sender} if call.sender else raw


def _shown(raw: Any) -> str:
    """What was found, without its text: a node may echo the URL, and so the key, anywhere."""
    if raw is None or isinstance(raw, bool | int | float):
        return repr(raw)
    if isinstance(raw, str) and SHORT_QUANTITY.fullmatch(raw):
        return repr(raw)
    return f"{KINDS.get(type(raw), 'something')} of length {len(raw)}"
