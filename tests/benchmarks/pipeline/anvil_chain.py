"""The simple events on a real node: anvil, with an emitter in place of the contract."""

import json
from collections.abc import Iterator, Sequence
from contextlib import closing
from http.client import HTTPConnection
from itertools import islice
from random import Random
from typing import Final
from urllib.parse import urlsplit

from tests.benchmarks.pipeline.chain import EMPTY_BLOCKS, LOGS_A_BLOCK, About
from tests.benchmarks.pipeline.events import CLEARING_HOUSE, SEED, SIMPLE_TOPIC, Event
from tests.contracts.anvil import Anvil

GAS: Final = hex(30_000_000)
EMITTER: Final = (
    "0x6000"  # offset := 0
    "5b3681101560475760c0"  # 02: unless offset < calldatasize, go to 47
    "8160400160003780"  # memory[0:192] := calldata[offset + 64:]
    "6020013581357f" + SIMPLE_TOPIC[2:] + "60c06000a3"  # log3 with the two words before that
    "61010001600256"  # offset += 256, go to 02
    "5b00"  # 47: stop
)
"""Code that emits its call data: for each log two topics and six words."""


def fill(node: Anvil, events: Iterator[Event]) -> About:
    """Emit the events in blocks of the same sizes as the recorded chain's; then empty blocks."""
    node.rpc("anvil_setCode", CLEARING_HOUSE, EMITTER)
    node.rpc("evm_setAutomine", False)
    base = last = int(node.rpc("eth_blockNumber"), 16)
    random, total = Random(SEED), 0
    with closing(HTTPConnection(urlsplit(node.url).netloc, timeout=60)) as connection:
        while emitted := list(islice(events, random.randint(*LOGS_A_BLOCK))):
            _ask(connection, "eth_sendTransaction", _transaction(node.accounts[0], emitted))
            _ask(connection, "evm_mine")
            last, total = last + 1, total + len(emitted)
    node.rpc("anvil_mine", hex(EMPTY_BLOCKS))
    head = int(node.rpc("eth_blockNumber"), 16)
    if head != last + EMPTY_BLOCKS:
        raise RuntimeError(f"anvil is at block {head}, not at {last + EMPTY_BLOCKS}")
    return About(CLEARING_HOUSE, total, base, base + 1, last, head, [[SIMPLE_TOPIC]])


def _transaction(sender: str, events: Sequence[Event]) -> dict[str, str]:
    data = "".join([event.topics[1][2:] + event.topics[2][2:] + event.data for event in events])
    return {
        "from": sender, "to": CLEARING_HOUSE, "data": "0x" + data, "gas": GAS, "gasPrice": "0x0",
    }  # fmt: skip


def _ask(connection: HTTPConnection, method: str, *params: object) -> None:
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    connection.request("POST", "/", json.dumps(body), {"Content-Type": "application/json"})
    said = json.load(connection.getresponse())
    if "error" in said:
        raise RuntimeError(f"anvil refused {method}: {said['error']}")
