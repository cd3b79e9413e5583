"""A recorded chain, and nodes on the loopback that play it."""

import gzip
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from analyzer.chain import Settings, open_chain, wire
from analyzer.chain.node import NodeChain
from analyzer.chain.recording import RecordedChain
from analyzer.event_columns import decode, shortened
from analyzer.evm import Call, LogFilter
from analyzer.log_columns import LogColumns
from analyzer.payloads import Templates
from analyzer.protocols.gmx_v2.event_data import known_events
from analyzer.protocols.gmx_v2.replay import HANDLERS
from tests.chain.server import Manners, RecordingServer

RECORDING = Path(__file__).parents[2] / "fixtures" / "demo" / "gmx_v1.json.gz"
NESTED = RECORDING.with_name("gmx_v2.json.gz")
VAULT = "0x5fbdb2315678afecb367f032d93f642f64180aa3"
PATIENCE = 60.0
"""Seconds that an answer may take on a busy machine: those that come at all come sooner."""
VAULT_A = "0xcf23ce2ffa1ddd9cc2b445ae6778c4dbd605a1a0"


@dataclass(frozen=True)
class Node:
    """A chain, the server behind it, and how long it would have slept."""

    chain: NodeChain
    server: RecordingServer
    waits: list[float]


@pytest.fixture(scope="session")
def recorded() -> RecordedChain:
    """The recording, read without a node."""
    return RecordedChain(RECORDING)


@pytest.fixture(scope="session")
def head(recorded):
    """The block at which the recording holds calls."""
    return recorded.block("latest")


@pytest.fixture(scope="session")
def calls(recorded) -> list[Call]:
    """All recorded calls."""
    return [Call(to, data, sender) for _, to, data, sender in recorded._answers]


@pytest.fixture(scope="session")
def nested() -> list[dict]:
    """Logs as a node writes them, of which most of the data is the same."""
    with gzip.open(NESTED, "rt") as file:
        return json.load(file)["logs"]


@pytest.fixture(scope="session")
def learned(nested) -> Templates:
    """The templates that their data has."""
    return learned_of(nested)


def learned_of(logs: list[dict]) -> Templates:
    """The templates by which these logs are held once they are decoded."""
    decoded = decode(known_events(list(HANDLERS)), LogColumns.of(wire.logs(logs)))
    templates = Templates()
    templates.learn(shortened(decoded).payloads.templates)
    return templates


@pytest.fixture
def filters() -> list[LogFilter]:
    """Two vaults, the second by two of its topics."""
    update = "0x25e8a331a7394a9f09862048843323b00bdbada258f524f5ce624a45bf00aabb"
    close = "0x73af1d417d82c240fdb6d319b34ad884487c6bf2845d98980cc52ad9171cb455"
    return [LogFilter((VAULT,)), LogFilter((VAULT_A,), ((update, close),))]


@pytest.fixture
def node() -> Iterator[Callable[..., Node]]:
    """Opens nodes with the manners asked for; they end with the test."""
    with ExitStack() as stack:

        def start(
            manners: Manners | None = None, recording: Path = RECORDING, path: str = "/", **settings
        ) -> Node:
            server = stack.enter_context(RecordingServer(recording, manners, path))
            waits: list[float] = []
            chosen = replace(Settings(timeout=PATIENCE, sleep=waits.append), **settings)
            chain = open_chain([server.url], settings=chosen)
            stack.callback(chain.close)
            assert isinstance(chain, NodeChain)
            return Node(chain, server, waits)

        yield start
