"""Drives the GMX v1 protocol over its recorded chain, as the indexer does but without a store."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache

from analyzer.chain.recording import RecordedChain
from analyzer.errors import AnalyzerError
from analyzer.evm import Answer, Call, Log, Request
from analyzer.indexer.replaying import carry
from analyzer.protocol import (
    Deployment,
    Probe,
    Snapshot,
    SnapshotRequest,
    StoredAccount,
    StoredPosition,
)
from analyzer.protocols.gmx_v1 import PROTOCOL
from analyzer.reads import Read, drive
from analyzer.rows import MarginAccounts, Positions
from analyzer.store import exact_json
from tests.conftest import FIXTURES

RECORDING = FIXTURES / "demo" / "gmx_v1.json.gz"
VECTORS = FIXTURES / "gmx_v1" / "vectors.json.gz"
REAL_CASES = FIXTURES / "gmx_v1" / "real_cases.json"
LOCAL_C, LOCAL_A = "local-c", "local-a"
NO_POSITION = Answer(bytes(6 * 32) + bytes(31) + b"\x01" + bytes(32))


@dataclass
class Run:
    """One deployment of the recorded chain; ``changed`` answers stand in for recorded ones.

    Functions of ``nothing_at`` answer like ``getPosition`` of no position where none is recorded.
    """

    chain: RecordedChain
    deployment: Deployment
    changed: dict[tuple[str, bytes], Answer] = field(default_factory=dict)
    nothing_at: tuple[bytes, ...] = ()
    asked: list[Request] = field(default_factory=list)

    @property
    def block(self):
        return self.chain.block("latest")

    def answer(self, requests: Sequence[Request]) -> list[Answer]:
        self.asked += requests
        return [self._answer(request) for request in requests if isinstance(request, Call)]

    def _answer(self, request: Call) -> Answer:
        changed = self.changed.get((request.to, request.data))
        if changed is not None:
            return changed
        try:
            answer = self.chain.answer([request], self.block)[0]
        except AnalyzerError:
            if request.data[:4] not in self.nothing_at:
                raise
            return NO_POSITION
        is_missing = not answer.read and request.data[:4] in self.nothing_at
        return NO_POSITION if is_missing else answer

    def change(self, read: Read, answer: Answer) -> None:
        """Let a read be answered otherwise than it was recorded."""
        assert isinstance(read.request, Call)
        self.changed[read.request.to, read.request.data] = answer

    def logs(self) -> list[Log]:
        batches = self.chain.logs(
            PROTOCOL.log_filters(self.deployment), self.deployment.start_block, self.block.number
        )
        return [log for batch in batches for log in batch.logs]

    def probe(self) -> Probe:
        return drive(PROTOCOL.probe(self.deployment), self.answer)

    def state(self) -> dict:
        return dict(state_of(self.deployment.name))

    def snapshot(self, source="logs", state=None, accounts=()) -> Snapshot:
        if state is None and not accounts:
            state = self.state()
        request = SnapshotRequest(self.block, source, state, accounts)
        return drive(PROTOCOL.snapshot(self.deployment, self.probe(), request), self.answer)

    def verify(self, snapshot: Snapshot):
        return drive(PROTOCOL.verify(self.deployment, self.block, stored(snapshot)), self.answer)


@cache
def recorded_chain() -> RecordedChain:
    return RecordedChain(RECORDING)


def run_of(name: str, **options) -> Run:
    chain = recorded_chain()
    table = next(table for table in chain.deployments if table["name"] == name)
    return Run(chain, Deployment(**{**table, "options": options or table["options"]}))


@cache
def state_of(name: str) -> dict:
    """What all logs of a recorded deployment leave behind."""
    run = run_of(name)
    return left_by(PROTOCOL.replay(run.deployment, run.logs(), {}))


def left_by(rows, state=None) -> dict:
    """The state after rows of events, as the store keeps it."""
    return carry(dict(state or {}), rows)


def stored(snapshot: Snapshot) -> list[StoredAccount]:
    """What ``verify`` and ``explain`` get to see of a snapshot after a trip through the store."""
    positions = {row.margin_id: row for row in of_type(snapshot.rows, Positions)}
    return [
        StoredAccount(
            margin_id=row.margin_id,
            account=row.account,
            state=row.state,
            state_stored=row.state_stored,
            reason=row.reason,
            inputs=_trip(row.inputs),
            outputs=_trip(row.outputs),
            positions=[_stored_position(positions[row.margin_id])],
        )
        for row in of_type(snapshot.rows, MarginAccounts)
    ]


def of_type(rows, row_type) -> list:
    return [row for row in rows if isinstance(row, row_type)]


def _stored_position(row: Positions) -> StoredPosition:
    return StoredPosition(
        position_id=row.position_id,
        margin_id=row.margin_id,
        account=row.account,
        market=row.market,
        side=row.side,
        collateral_token=row.collateral_token,
        inputs=_trip(row.inputs),
        outputs=_trip(row.outputs),
    )


def _trip(value):
    return exact_json.load(exact_json.dump(value))
