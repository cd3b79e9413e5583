"""The logs that every pipeline gets: what a contract emits, before it stands in a block.

Simple events have the signature of Perp v2's ``PositionChanged``. Nested events are the position
events of a recorded GMX v2 chain, over and over, each time with other numbers in them.
"""

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Any, Final

from eth_abi.abi import decode, encode
from eth_utils.crypto import keccak

from tests.conftest import FIXTURES

SEED: Final = 42
CLEARING_HOUSE: Final = "0x82ac2ce43e33683c58be4cdc40975e73aa50f459"
EVENT_EMITTER: Final = "0xc8ee91a54287db53897056e12d9819156d3822fb"
TRADERS: Final = 3_000
MARKETS: Final = 24

SIMPLE_TOPIC: Final = (
    "0x"
    + keccak(
        text="PositionChanged(address,address,int256,int256,uint256,int256,int256,uint256)"
    ).hex()
)

ITEMS: Final = ("address", "uint256", "int256", "bool", "bytes32", "bytes", "string")
EVENT_DATA: Final = (
    "(" + ",".join(f"((string,{kind})[],(string,{kind}[])[])" for kind in ITEMS) + ")"
)
NESTED_KINDS: Final = ("address", "string", EVENT_DATA)
NESTED_NAMES: Final = (
    "PositionIncrease",
    "PositionDecrease",
    "PositionFeesCollected",
    "OpenInterestUpdated",
)
UINTS: Final = 1
VARIED_HEX: Final = 8
VARIED_FROM: Final = 2**48
"""Numbers below this keep their value: they count, name or time something."""


@dataclass(frozen=True, slots=True)
class Event:
    """What a contract emits; hexadecimal text, the data without its prefix."""

    topics: tuple[str, ...]
    data: str


def simple_events(count: int) -> Iterator[Event]:
    """Trades of some thousand traders in some markets, long and short, with pnl of either sign."""
    random = Random(SEED)
    traders = [_address_topic(random) for _ in range(TRADERS)]
    markets = [_address_topic(random) for _ in range(MARKETS)]
    for _ in range(count):
        sign = random.choice((1, -1))
        size = random.randrange(10**15, 10**21)
        notional = size * random.randrange(900, 1100) // 1000
        words = (
            sign * size,
            -sign * notional,
            notional // 1000,
            -sign * random.randrange(10**18, 10**23),
            random.randrange(-(10**20), 10**20),
            random.randrange(2**94, 2**98),
        )
        data = "".join([f"{word % 2**256:064x}" for word in words])
        yield Event((SIMPLE_TOPIC, random.choice(traders), random.choice(markets)), data)


def nested_events(count: int) -> Iterator[Event]:
    """Recorded position events in their order, with the last digits of large numbers drawn anew."""
    random = Random(SEED)
    templates = [_template(log) for log in _recorded_logs()]
    for index in range(count):
        topics, pieces = templates[index % len(templates)]
        digits = [f"{random.getrandbits(4 * VARIED_HEX):0{VARIED_HEX}x}" for _ in pieces]
        parts = [part for pair in zip(pieces, digits, strict=True) for part in pair]
        yield Event(topics, "".join(parts[:-1]))


def _address_topic(random: Random) -> str:
    return f"0x{random.getrandbits(160):064x}"


def _recorded_logs() -> list[dict[str, Any]]:
    wanted = {"0x" + keccak(text=name).hex() for name in NESTED_NAMES}
    with gzip.open(FIXTURES / "demo" / "gmx_v2.json.gz", "rt", encoding="utf-8") as file:
        return [log for log in json.load(file)["logs"] if log["topics"][1] in wanted]


def _template(log: dict[str, Any]) -> tuple[tuple[str, ...], list[str]]:
    """A log's topics, and its data cut where digits are to be put in between."""
    data = log["data"][2:]
    sender, name, groups = decode(NESTED_KINDS, bytes.fromhex(data))
    items, arrays = groups[UINTS]
    other = tuple((key, value ^ 1 if value >= VARIED_FROM else value) for key, value in items)
    changed = (*groups[:UINTS], (other, arrays), *groups[UINTS + 1 :])
    marked = encode(NESTED_KINDS, (sender, name, changed)).hex()
    if len(marked) != len(data):
        raise ValueError("a recorded log is not encoded in the canonical way")
    ends = [
        word + 64
        for word in range(0, len(data), 64)
        if data[word : word + 64] != marked[word : word + 64]
    ]
    pieces, start = [], 0
    for end in ends:
        pieces.append(data[start : end - VARIED_HEX])
        start = end
    return tuple(log["topics"]), [*pieces, data[start:]]
