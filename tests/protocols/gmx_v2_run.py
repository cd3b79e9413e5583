"""Drives the GMX v2 protocol over its recorded chains, as the indexer does but without a store."""

import gzip
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from eth_abi.abi import encode

from analyzer.chain.recording import RecordedChain
from analyzer.evm import Answer, Call, Log, Request
from analyzer.indexer.ingest import complete
from analyzer.indexer.replaying import carry
from analyzer.protocol import (
    Deployment,
    PriceBasis,
    Probe,
    Snapshot,
    SnapshotRequest,
    StoredAccount,
    StoredPosition,
)
from analyzer.protocols.gmx_v2 import PROTOCOL
from analyzer.protocols.gmx_v2.event_data import event_topics
from analyzer.protocols.gmx_v2.releases import release_named
from analyzer.protocols.gmx_v2.risk import Closing, closing_of
from analyzer.protocols.gmx_v2.state import MarketState, Position, Prices
from analyzer.protocols.gmx_v2.vector_file import (
    discounts_from,
    market_from,
    position_from,
    prices_from,
    words_from,
)
from analyzer.reads import drive
from analyzer.rows import MarginAccounts, Positions
from analyzer.store import exact_json
from tests.conftest import FIXTURES

FOLDER = FIXTURES / "gmx_v2"
RECORDINGS = {"2b": FOLDER / "2b.json.gz", "2c": FIXTURES / "demo" / "gmx_v2.json.gz"}
VECTORS = ("2b", "2b_accrual", "2c")
EVENT_LOG_1 = "0x137a44067c8961cd7e1d876f4754a5a3a75989b4552f1843fc69c3b372def160"
GROUPS = ("address", "uint256", "int256", "bool", "bytes32", "bytes", "string")
EVENT_DATA = "(" + ",".join(f"((string,{t})[],(string,{t}[])[])" for t in GROUPS) + ")"


def document(name: str) -> Any:
    """A fixture file."""
    with gzip.open(
        RECORDINGS.get(name, FOLDER / f"{name}.json.gz"), "rt", encoding="utf-8"
    ) as file:
        return json.load(file)


@dataclass
class Run:
    """A recorded deployment; ``changed`` answers stand in for recorded ones."""

    chain: RecordedChain
    deployment: Deployment
    changed: dict[tuple[str, bytes], Answer] = field(default_factory=dict)
    refuse: Callable[[Request], bool] = lambda _: False
    rounds: list[Sequence[Request]] = field(default_factory=list)

    @property
    def block(self):
        return self.chain.block("latest")

    def answer(self, requests: Sequence[Request]) -> list[Answer]:
        self.rounds.append(requests)
        return [self._answer(request) for request in requests]

    def _answer(self, request: Request) -> Answer:
        assert isinstance(request, Call)
        assert not self.refuse(request), "a view that is not to be asked"
        changed = self.changed.get((request.to, request.data))
        return changed or self.chain.answer([request], self.block)[0]

    def logs(self) -> list[Log]:
        filters = PROTOCOL.log_filters(self.deployment)
        batches = self.chain.logs(filters, self.deployment.start_block, self.block.number)
        return [log for batch in batches for log in complete(batch)]

    def state(self, logs: Sequence[Log] | None = None) -> dict[str, Any]:
        return state_after(self.replay(self.logs() if logs is None else logs))

    def replay(self, logs: Sequence[Log], state=None):
        return PROTOCOL.replay(self.deployment, logs, state or {})

    def probe(self) -> Probe:
        return drive(PROTOCOL.probe(self.deployment), self.answer)

    def snapshot(
        self,
        source="logs",
        *,
        state="history",
        accounts=(),
        prices=None,
        probe=None,
        basis: PriceBasis = "executed",
    ) -> Snapshot:
        """A snapshot; the answer keys are at executed prices, as old as they are."""
        if state == "history":
            state = self.state()
        request = SnapshotRequest(self.block, source, state, tuple(accounts), prices or {}, basis)
        found = probe or self.probe()
        return drive(PROTOCOL.snapshot(self.deployment, found, request), self.answer)

    def verify(self, snapshot: Snapshot):
        reads = PROTOCOL.verify(self.deployment, self.block, stored(snapshot))
        return drive(reads, self.answer)


@cache
def _chain(name: str) -> RecordedChain:
    return RecordedChain(RECORDINGS[name])


def run_of(name: str, **changes) -> Run:
    """A recorded deployment, to be driven."""
    chain = _chain(name)
    table = dict(chain.deployments[0])
    contracts = {role: address.lower() for role, address in table.pop("contracts").items()}
    return Run(chain, Deployment(**table, contracts=contracts), **changes)


def state_after(rows, state=None) -> dict[str, Any]:
    """What rows of events leave behind, through the store's text form."""
    return exact_json.load(exact_json.dump(carry(dict(state or {}), rows)))


def positions_in(state) -> dict[str, Any]:
    """The open positions that logs left behind, by key."""
    return {key: after for key, after in state.items() if key.startswith("0x")}


def with_price(state, token, **changes) -> dict[str, Any]:
    """The state with another executed price, which no position's event contradicts."""
    changed = {f"price:{token}": {**state[f"price:{token}"], **changes}}
    return {key: after for key, after in state.items() if not key.startswith("used:")} | changed


def of_type(rows, row_type):
    return [row for row in rows if isinstance(row, row_type)]


def stored(snapshot: Snapshot) -> list[StoredAccount]:
    """The snapshot as ``verify`` and ``explain`` get it from a database."""

    def through_text(value):
        return exact_json.load(exact_json.dump(value))

    positions = {
        row.position_id: StoredPosition(
            row.position_id, row.margin_id, row.account, row.market, row.side,
            row.collateral_token, through_text(row.inputs), through_text(row.outputs),
        )
        for row in of_type(snapshot.rows, Positions)
    }  # fmt: skip
    return [
        StoredAccount(
            row.margin_id, row.account, row.state, row.state_stored, row.reason,
            through_text(row.inputs), through_text(row.outputs), [positions[row.margin_id]],
        )
        for row in of_type(snapshot.rows, MarginAccounts)
    ]  # fmt: skip


@dataclass(frozen=True)
class Case:
    """A vector as the inputs of the arithmetic."""

    vector: Any
    state: MarketState
    position: Position
    prices: Prices
    closing: Closing
    time: int


@cache
def cases(name: str) -> tuple[Case, ...]:
    """All vectors of a file."""
    file = document(f"vectors_{name}")
    release = release_named(file["release"])
    found = []
    for vector in file["vectors"]:
        words = words_from(vector["data_store"])
        state = MarketState(market_from(vector["market"]), words, release)
        position = position_from(vector["position_key"], vector["position"])
        discounts = discounts_from(vector["discounts"])
        closing = closing_of(state, position, discounts, state.stored(position))
        prices, time = prices_from(vector["prices"]), int(vector["block_timestamp"])
        found.append(Case(vector, state, position, prices, closing, time))
    return tuple(found)


def event_log(name: str, topic: str, items: dict[str, list[tuple[str, Any]]], **changes) -> Log:
    """An ``EventLog1`` made here; ``items`` are by type."""
    groups = [(items.get(kind, []), []) for kind in GROUPS]
    sender = "0x" + "11" * 20
    data = encode(["address", "string", EVENT_DATA], [sender, name, groups])
    values = {
        "block_number": 2000, "block_hash": "0x" + "bb" * 32, "tx_hash": "0x" + "cc" * 32,
        "tx_index": 0, "log_index": 3, "address": "0x" + "ee" * 20, "block_time": 1_800_000_000,
        "topics": (EVENT_LOG_1, event_topics([name])[0], topic), "data": data,
    }  # fmt: skip
    return Log(**values | changes)
