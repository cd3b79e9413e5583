"""Block headers by number, in one batch, each checked to be the one that was asked for."""

from collections.abc import Sequence
from itertools import count

import msgspec

from analyzer.chain import wire
from analyzer.chain.failure import Kind, RpcFailure
from analyzer.chain.rpc import Rpc
from analyzer.evm import Block
from analyzer.reads import MalformedError

METHOD = "eth_getBlockByNumber"
NO_SUCH_BLOCK = "it says that there is no such block"


def headers(rpc: Rpc, numbers: Sequence[int]) -> list[Block]:
    """The headers, in order; a block that the node does not know yet is asked for again."""
    found: dict[int, Block] = {}
    for attempt in count(1):
        missing = [number for number in numbers if number not in found]
        for number, got in zip(missing, rpc.many([_query(n) for n in missing]), strict=True):
            if isinstance(got, RpcFailure):
                raise got
            if (block := header_in(got)) is not None:
                if block.number != number:
                    raise MalformedError(f"block {block.number} instead of {number}")
                found[number] = block
        if len(found) == len(numbers):
            return [found[number] for number in numbers]
        absent = next(number for number in numbers if number not in found)
        failure = RpcFailure(Kind.HEADER_LAG, f"block {absent}", NO_SUCH_BLOCK)
        if attempt >= rpc.max_attempts:
            raise failure
        rpc.back_off(failure, attempt)
    raise AssertionError


def header_in(raw: msgspec.Raw) -> Block | None:
    """The header in an answer, or ``None`` where the node says that there is no such block."""
    decoded = msgspec.json.decode(raw)
    return None if decoded is None else wire.block(decoded)


def _query(number: int) -> tuple[str, list[object]]:
    return METHOD, [hex(number), False]
