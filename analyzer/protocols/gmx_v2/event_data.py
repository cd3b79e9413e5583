"""EventEmitter logs to values by key name: in bulk where the layout is known and checked.

Events of one name whose items have the same keys share all bytes but the values. So the first log
of a layout is decoded by eth-abi and walked once, to learn where its values lie; a later log is
compared with all the other bytes in one step, and its values are cut out. Whatever does not match
a known layout goes through eth-abi, which also decides what is malformed.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from struct import Struct, error
from typing import Any, Final

from eth_utils.crypto import keccak

from analyzer.abi import Event, load_abi
from analyzer.evm import Log
from analyzer.protocols.gmx_v2.datastore import NAME
from analyzer.reads import MalformedError

Values = dict[str, Any]
"""Addresses are lower-case text, numbers integers, booleans ``bool``, 32-byte words ``bytes``."""

GROUPS: Final = ("address", "uint", "int", "bool", "bytes32", "bytes", "string")
STATIC_GROUPS: Final = 5
MOST_LAYOUTS: Final = 16
"""Layouts that are kept of one event name and length; more would be an attack on memory."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the values of a log lie, and what all its other bits are."""

    mask: int
    fixed: int
    cut: Struct
    keys: tuple[str, ...]
    decoders: tuple[Callable[[bytes], Any], ...]

    def values(self, data: bytes) -> Values | None:
        """The values, if all other bits are those of this layout."""
        if int.from_bytes(data) & self.mask != self.fixed:
            return None
        words = self.cut.unpack(data)
        return {
            key: decode(word)
            for key, decode, word in zip(self.keys, self.decoders, words, strict=True)
        }


@dataclass(slots=True)
class Decoder:
    """Decodes logs and remembers the layouts that it has met."""

    layouts: dict[tuple[str, str, int], list[Layout]] = field(default_factory=dict)

    def decode(self, log: Log) -> Values:
        """The log's items by key; raises ``MalformedError``."""
        shape = (log.topics[0], log.topics[1], len(log.data))
        known = self.layouts.setdefault(shape, [])
        for layout in known:
            values = layout.values(log.data)
            if values is not None:
                return values
        values = decode_slowly(log)
        if len(known) < MOST_LAYOUTS:
            learned = learn(log.data)
            if learned is not None and learned.values(log.data) == values:
                known.append(learned)
        return values


def decode_slowly(log: Log) -> Values:
    """The log's items by key through eth-abi; arrays are left out, as no state rests on them."""
    event = _events().get(log.topics[0])
    if event is None:
        raise MalformedError(f"topic {log.topics[0]} is none of the EventEmitter's")
    decoded = event.decode(log)
    if "0x" + keccak(text=decoded["eventName"]).hex() != log.topics[1]:
        raise MalformedError(f"event name {decoded['eventName'][:64]!r} is not what its topic says")
    values: Values = {}
    for items, _ in decoded["eventData"]:
        for key, value in items:
            if key in values:
                raise MalformedError(f"item {key[:64]!r} occurs twice")
            values[key] = value
    return values


def learn(data: bytes) -> Layout | None:
    """The layout of a log that eth-abi accepts; ``None`` unless all values have a fixed size."""
    try:
        places = list(_places(data))
    except (error, IndexError, UnicodeDecodeError):
        return None
    if any(place is None for place in places):
        return None
    ordered = sorted(place for place in places if place is not None)
    mask = bytearray(b"\xff" * len(data))
    mask[0:32] = VALUE_MASKS["address"]
    pattern, end = "", 0
    for at, group, _ in ordered:
        if at < end:
            return None
        mask[at : at + 32] = VALUE_MASKS[group]
        pattern += f"{at - end}x32s"
        end = at + 32
    bits = int.from_bytes(mask)
    return Layout(
        mask=bits,
        fixed=int.from_bytes(data) & bits,
        cut=Struct(f"{pattern}{len(data) - end}x"),
        keys=tuple(key for _, _, key in ordered),
        decoders=tuple(DECODERS[group] for _, group, _ in ordered),
    )


def _places(data: bytes) -> Iterator[tuple[int, str, str] | None]:
    """Position, group and key of each value; ``None`` for what has no fixed size."""
    event_data = _offset(data, 64, 0)
    for number, group in enumerate(GROUPS):
        head = _offset(data, event_data + 32 * number, event_data)
        items, arrays = _offset(data, head, head), _offset(data, head + 32, head)
        if _number(data, arrays):
            yield None
        first = items + 32
        for item in range(_number(data, items)):
            if number >= STATIC_GROUPS:
                yield None
            entry = _offset(data, first + 32 * item, first)
            key = _offset(data, entry, entry)
            text = data[key + 32 : key + 32 + _number(data, key)]
            yield entry + 32, group, text.decode()


WORD: Final = Struct(">28xI")


def _number(data: bytes, at: int) -> int:
    """A word that is small in every log that eth-abi accepted, and can count or point."""
    (value,) = WORD.unpack_from(data, at)
    return int(value)


def _offset(data: bytes, at: int, base: int) -> int:
    return base + _number(data, at)


def _address(word: bytes) -> str:
    return "0x" + word[12:].hex()


def _int(word: bytes) -> int:
    return int.from_bytes(word, signed=True)


def _bool(word: bytes) -> bool:
    return word[31] == 1


def _same(word: bytes) -> bytes:
    return word


DECODERS: Final[dict[str, Callable[[bytes], Any]]] = {
    "address": _address,
    "uint": int.from_bytes,
    "int": _int,
    "bool": _bool,
    "bytes32": _same,
}

VALUE_MASKS: Final = {
    "address": b"\xff" * 12 + bytes(20),
    "uint": bytes(32),
    "int": bytes(32),
    "bool": b"\xff" * 31 + b"\xfe",
    "bytes32": bytes(32),
}
"""The bits of a value that are fixed: padding, which eth-abi would refuse otherwise."""


@cache
def _events() -> dict[str, Event]:
    return {event.topic: event for event in load_abi(NAME, "EventEmitter").events.values()}


def event_topics(names: Sequence[str]) -> tuple[str, ...]:
    """The second topics of events by these names: plain hashes of the names."""
    return tuple("0x" + keccak(text=name).hex() for name in names)
