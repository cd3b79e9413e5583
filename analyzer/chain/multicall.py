"""Multicall3's ``aggregate3``: many calls in one eth_call, each allowed to fail."""

from collections.abc import Iterator, Sequence
from typing import Final

from analyzer.codec import CodecError, decode, encode
from analyzer.evm import Call
from analyzer.reads import MalformedError

ADDRESS: Final = "0xca11bde05977b3631167028862be2a173976ca11"
AGGREGATE3: Final = bytes.fromhex("82ad56cb")  # aggregate3((address,bool,bytes)[])
OVERHEAD: Final = 192
"""Bytes that one call takes besides its data: offset, address, flag, offset, length, padding."""


def aggregate(calls: Sequence[Call]) -> Call:
    """One call that makes all of them."""
    entries = [(call.to, True, call.data) for call in calls]
    return Call(ADDRESS, AGGREGATE3 + encode(["(address,bool,bytes)[]"], [entries]))


def results(data: bytes, count: int) -> list[tuple[bool, bytes]]:
    """Success and data of each call, in order."""
    try:
        (entries,) = decode(["(bool,bytes)[]"], data)
    except CodecError as error:
        raise MalformedError(f"{len(data)} bytes that are not results of aggregate3") from error
    if len(entries) != count:
        raise MalformedError(f"{len(entries)} results for {count} calls")
    return [(bool(success), bytes(returned)) for success, returned in entries]


def chunks(calls: Sequence[Call], max_calls: int, max_bytes: int) -> Iterator[list[Call]]:
    """The calls in order, in groups that are bounded in number and in bytes of call data."""
    group: list[Call] = []
    size = 0
    for call in calls:
        cost = OVERHEAD + len(call.data)
        if group and (len(group) >= max_calls or size + cost > max_bytes):
            yield group
            group, size = [], 0
        group.append(call)
        size += cost
    if group:
        yield group
