"""EventEmitter logs to values by key name: in bulk where the layout is learned and checked.

Events of one name whose items have the same keys share all bytes but the values. So the first log
of a layout is decoded by eth-abi and walked once, to learn where its values lie. Whatever does not
fit a learned layout goes through eth-abi, which also decides what is malformed.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from struct import Struct, error
from typing import Any, Final

from eth_hash.auto import keccak

from analyzer.abi import Event, load_abi
from analyzer.event_columns import Known, Values
from analyzer.evm import Log
from analyzer.layout import TOPICS, Field, Layout, layout
from analyzer.payloads import WORD
from analyzer.protocols.gmx_v2.datastore import NAME
from analyzer.reads import MalformedError

GROUPS: Final = ("address", "uint256", "int256", "bool", "bytes32", "bytes", "string")
STATIC_GROUPS: Final = 5
SENDER: Final = Field("msgSender", "address", TOPICS)
SMALL: Final = Struct(">28xI")


def known_events(names: Sequence[str]) -> list[Known]:
    """The events by these names, to be decoded."""
    return [
        Known(name, topic, decode_slowly, position=1, learn=learn)
        for name, topic in zip(names, event_topics(names), strict=True)
    ]


def decode_slowly(log: Log) -> Values:
    """The log's items by key through eth-abi; arrays are left out, as no state rests on them."""
    event = _events().get(log.topics[0])
    if event is None:
        raise MalformedError(f"topic {log.topics[0]} is none of the EventEmitter's")
    decoded = event.decode(log)
    if "0x" + keccak(decoded["eventName"].encode()).hex() != log.topics[1]:
        raise MalformedError(f"event name {decoded['eventName'][:64]!r} is not what its topic says")
    values: dict[str, Any] = {}
    for items, _ in decoded["eventData"]:
        for key, value in items:
            if key in values:
                raise MalformedError(f"item {key[:64]!r} occurs twice")
            values[key] = value
    return values


def learn(log: Log) -> Layout | None:
    """The layout of a log that eth-abi accepts; ``None`` unless all values have a fixed size."""
    walk = _Walk(log.data, bytearray(len(log.data)))
    topics = [
        Field(f"topic{number}", "bytes32", WORD * number) for number in range(2, len(log.topics))
    ]
    try:
        return layout(log.topics, log.data, list(walk.values()), [SENDER, *topics])
    except (error, ValueError):
        return None


@dataclass(slots=True)
class _Walk:
    """A walk over the data of a log, as eth-abi reads it.

    ``seen`` marks the bytes that were taken for a value, an offset, a length or text: where
    contracts encoded it that happens once at most. A value that is also something else could
    change what the rest means, so that is a ``ValueError``.
    """

    data: bytes
    seen: bytearray

    def values(self) -> Iterator[Field]:
        """Where each value lies, with its key; ``ValueError`` where one has no fixed size."""
        self.see(0, WORD)
        self.text(self.offset(WORD, 0))
        event_data = self.offset(2 * WORD, 0)
        for number, group in enumerate(GROUPS):
            head = self.offset(event_data + WORD * number, event_data)
            items, arrays = self.offset(head, head), self.offset(head + WORD, head)
            count = self.number(items)
            if self.number(arrays) or (count and number >= STATIC_GROUPS):
                raise ValueError("a value of no fixed size")
            first = items + WORD
            for item in range(count):
                entry = self.offset(first + WORD * item, first)
                key = self.text(self.offset(entry, entry))
                self.see(entry + WORD, WORD)
                yield Field(key, group, TOPICS + entry + WORD)

    def offset(self, at: int, base: int) -> int:
        return base + self.number(at)

    def number(self, at: int) -> int:
        """A word that is small in every log that eth-abi accepted, and can count or point."""
        self.see(at, WORD)
        (value,) = SMALL.unpack_from(self.data, at)
        return int(value)

    def text(self, at: int) -> str:
        length = self.number(at)
        self.see(at + WORD, -(-length // WORD) * WORD)
        return self.data[at + WORD : at + WORD + length].decode()

    def see(self, at: int, length: int) -> None:
        part = self.seen[at : at + length]
        if len(part) < length or any(part):
            raise ValueError("bytes that are not there, or are something else already")
        self.seen[at : at + length] = b"\1" * length


@cache
def _events() -> dict[str, Event]:
    return {event.topic: event for event in load_abi(NAME, "EventEmitter").events.values()}


def event_topics(names: Sequence[str]) -> tuple[str, ...]:
    """The second topics of events by these names: plain hashes of the names."""
    return tuple("0x" + keccak(name.encode()).hex() for name in names)
