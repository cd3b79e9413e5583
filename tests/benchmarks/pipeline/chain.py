"""A synthetic chain in a folder: every answer of a node, serialised before anyone asks.

The chain is one and the same whenever it is written. Parent hashes link, a log's block hash is its
header's, blooms are computed, every log's transaction stands in its block. Before the logs
stands one empty block, for clients that look at the parent; after them come more, so that all logs
are final.
"""

import json
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from hashlib import blake2b
from itertools import islice, takewhile
from pathlib import Path
from random import Random
from typing import Final

from eth_utils.crypto import keccak

from tests.benchmarks.pipeline.events import SEED, Event

CHAIN_ID: Final = 31_337
FIRST_BLOCK: Final = 0x100_0001
FIRST_TIME: Final = 1_700_000_000
BLOCK_SECONDS: Final = 2
LOGS_A_BLOCK: Final = (10, 70)
LOGS_A_TRANSACTION: Final = 3
EMPTY_BLOCKS: Final = 100
MOST_TOPICS: Final = 4
FEW_VALUES: Final = 16
ZERO_WORD: Final = "0x" + "00" * 32
EMPTY_TRIE: Final = "0x56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421"
NO_UNCLES: Final = "0x1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347"
SENDER: Final = "0x" + "5e" * 20
MINER: Final = "0x" + "00" * 20
LOGS, HEADERS, BLOCKS = "logs", "headers", "blocks"


@dataclass(frozen=True, slots=True)
class About:
    """What a client must know of a chain; block numbers are inclusive.

    Logs are in ``first_block`` to ``last_block``, ``base`` is before them, ``head`` the newest.
    """

    address: str
    logs: int
    base: int
    first_block: int
    last_block: int
    head: int
    topics: list[list[str]]
    """All values of the leading topics, as far as they are few: what filters may ask for."""

    @property
    def logs_a_block(self) -> float:
        return self.logs / (self.last_block - self.first_block + 1)


class Joined:
    """Serialised pieces in one file, with a comma after each, and where each block's begin."""

    def __init__(self, folder: Path, name: str) -> None:
        self._file = (folder / f"{name}.json").open("wb")
        self._offsets = folder / f"{name}.offsets"
        self._starts = array("Q", [0])
        self._size = 0

    def add(self, pieces: Sequence[str]) -> None:
        """The pieces of the next block."""
        for piece in pieces:
            self._size += self._file.write(piece.encode() + b",")
        self._starts.append(self._size)

    def close(self) -> None:
        """Write what is left, and the offsets."""
        self._file.close()
        self._offsets.write_bytes(self._starts.tobytes())


def write(folder: Path, address: str, events: Iterator[Event]) -> About:
    """Lay the events into blocks of a chain, and write down what a node says of it."""
    folder.mkdir(parents=True)
    files = {name: Joined(folder, name) for name in (LOGS, HEADERS, BLOCKS)}
    random, number, total = Random(SEED), FIRST_BLOCK, 0
    parent = _write_block(files, address, FIRST_BLOCK - 1, _hash("before"), [])
    topics: list[set[str]] = [set() for _ in range(MOST_TOPICS)]
    while emitted := list(islice(events, random.randint(*LOGS_A_BLOCK))):
        parent = _write_block(files, address, number, parent, emitted)
        number, total = number + 1, total + len(emitted)
        for event in emitted:
            for seen, topic in zip(topics, event.topics, strict=False):
                seen.add(topic)
    last = number - 1
    for number in range(last + 1, last + 1 + EMPTY_BLOCKS):
        parent = _write_block(files, address, number, parent, [])
    for file in files.values():
        file.close()
    few = takewhile(lambda values: len(values) <= FEW_VALUES, topics)
    about = About(
        address, total, FIRST_BLOCK - 1, FIRST_BLOCK, last, last + EMPTY_BLOCKS,
        [sorted(values) for values in few],
    )  # fmt: skip
    (folder / "about.json").write_text(json.dumps(asdict(about)))
    return about


def read_about(folder: Path) -> About:
    """What ``write`` returned."""
    return About(**json.loads((folder / "about.json").read_text()))


def _write_block(
    files: dict[str, Joined], address: str, number: int, parent: str, events: Sequence[Event]
) -> str:
    own, time = _hash(f"block {number}"), hex(FIRST_TIME + (number - FIRST_BLOCK) * BLOCK_SECONDS)
    count = -(-len(events) // LOGS_A_TRANSACTION)
    hashes = [_hash(f"transaction {number} {index}") for index in range(count)]
    logs = []
    for index, event in enumerate(events):
        place = index // LOGS_A_TRANSACTION
        topics = '","'.join(event.topics)
        logs.append(
            f'{{"address":"{address}","topics":["{topics}"],"data":"0x{event.data}",'
            f'"blockHash":"{own}","blockNumber":"{number:#x}","blockTimestamp":"{time}",'
            f'"transactionHash":"{hashes[place]}","transactionIndex":"{place:#x}",'
            f'"logIndex":"{index:#x}","removed":false}}'
        )
    header = {
        "number": hex(number), "hash": own, "parentHash": parent, "nonce": "0x0000000000000000",
        "sha3Uncles": NO_UNCLES, "logsBloom": _bloom(address, events),
        "transactionsRoot": _hash(f"transactions {number}") if events else EMPTY_TRIE,
        "stateRoot": _hash(f"state {number}"),
        "receiptsRoot": _hash(f"receipts {number}") if events else EMPTY_TRIE,
        "miner": MINER, "difficulty": "0x0", "totalDifficulty": "0x0", "extraData": "0x",
        "size": hex(1_000 + 200 * count), "gasLimit": "0x3b9aca00", "gasUsed": hex(90_000 * count),
        "timestamp": time, "uncles": [], "baseFeePerGas": "0x3b9aca00", "mixHash": ZERO_WORD,
    }  # fmt: skip
    transactions = [
        _transaction(address, number, own, i, hashed) for i, hashed in enumerate(hashes)
    ]
    files[LOGS].add(logs)
    files[HEADERS].add([_json(header | {"transactions": hashes})])
    files[BLOCKS].add([_json(header | {"transactions": transactions})])
    return own


def _transaction(
    address: str, number: int, block_hash: str, index: int, own: str
) -> dict[str, object]:
    return {
        "hash": own, "blockHash": block_hash, "blockNumber": hex(number),
        "transactionIndex": hex(index), "from": SENDER, "to": address, "value": "0x0",
        "gas": "0x186a0", "gasPrice": "0x3b9aca00", "maxFeePerGas": "0x77359400",
        "maxPriorityFeePerGas": "0x0", "input": "0x", "nonce": hex(index), "type": "0x2",
        "accessList": [], "chainId": hex(CHAIN_ID), "v": "0x0", "r": ZERO_WORD, "s": ZERO_WORD,
        "yParity": "0x0",
    }  # fmt: skip


def _hash(text: str) -> str:
    return "0x" + blake2b(text.encode(), digest_size=32).hexdigest()


def _bloom(address: str, events: Sequence[Event]) -> str:
    """The header's ``logsBloom``."""
    bits = 0
    for text in {topic for event in events for topic in event.topics} | (
        {address} if events else set()
    ):
        bits |= _bloom_bits(text)
    return f"0x{bits:0512x}"


@lru_cache(maxsize=100_000)
def _bloom_bits(text: str) -> int:
    hashed = keccak(hexstr=text)
    pairs = (int.from_bytes(hashed[start : start + 2]) & 2047 for start in (0, 2, 4))
    return sum(1 << bit for bit in set(pairs))


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))
