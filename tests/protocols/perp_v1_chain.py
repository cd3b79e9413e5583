"""Perpetual v1's recorded chain, driven through the protocol's own functions without a database."""

import gzip
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from analyzer.chain.recording import RecordedChain
from analyzer.evm import Answer, Block, Request
from analyzer.indexer.replaying import carry
from analyzer.protocol import (
    Comparison,
    Deployment,
    Snapshot,
    SnapshotRequest,
    StoredAccount,
    StoredPosition,
)
from analyzer.protocols.perp_v1 import PROTOCOL
from analyzer.reads import drive
from analyzer.rows import MarginAccounts, Positions

FOLDER = Path(__file__).parent.parent.parent / "fixtures" / "perp_v1"
RECORDING = FOLDER.parent / "demo" / "perp_v1.json.gz"
BLOCKS = (414, 469, 479, 481, 544, 550, 569, 580)
LIQUIDATOR = "0x0ca3418ad90d784b8689c1b30f814fa4af8df708"
VIEWER = "0x36c02da8a0983159322a80ffe9f24b1acff8b570"

Answerer = Callable[[Sequence[Request]], list[Answer]]


@cache
def chain() -> RecordedChain:
    return RecordedChain(RECORDING)


@cache
def vectors() -> dict[str, Any]:
    with gzip.open(FOLDER / "vectors.json.gz", "rt") as file:
        return json.load(file)


def deployment(**options: Any) -> Deployment:
    return replace(Deployment(**chain().deployments[0]), options=options)


def thorough() -> Deployment:
    """With the viewer and the liquidator: every recorded answer can be asked for."""
    found = deployment(liquidator=LIQUIDATOR)
    return replace(found, contracts={**found.contracts, "ClearingHouseViewer": VIEWER})


@cache
def logs() -> tuple:
    batches = chain().logs(PROTOCOL.log_filters(deployment()), 0, max(BLOCKS))
    return tuple(log for batch in batches for log in batch.logs)


@cache
def state_at(number: int) -> Mapping[str, Any]:
    past = [log for log in logs() if log.block_number <= number]
    return carry({}, PROTOCOL.replay(deployment(), past, {}))


def answers(number: int) -> Answerer:
    block = chain().block(number)
    return lambda requests: chain().answer(requests, block)


@dataclass(frozen=True)
class Taken:
    block: Block
    snapshot: Snapshot

    def of(self, kind: type) -> list[Any]:
        return [row for row in self.snapshot.rows if isinstance(row, kind)]


def take(
    number: int,
    source: str = "logs",
    *,
    found: Deployment | None = None,
    state: Mapping[str, Any] | None = None,
    accounts: tuple[str, ...] = (),
    answer: Answerer | None = None,
) -> Taken:
    """A snapshot of the recorded chain."""
    block, found = chain().block(number), found or deployment()
    answer = answer or answers(number)
    probe = drive(PROTOCOL.probe(found), answer)
    request = SnapshotRequest(block, source, state, accounts)
    return Taken(block, drive(PROTOCOL.snapshot(found, probe, request), answer))


@cache
def indexed(number: int) -> Taken:
    return take(number, state=state_at(number))


def stored(taken: Taken) -> list[StoredAccount]:
    """The margin accounts as ``verify`` and ``explain`` get them from a database."""
    positions = {row.margin_id: row for row in taken.of(Positions)}
    return [
        StoredAccount(
            margin_id=row.margin_id,
            account=row.account,
            state=row.state,
            state_stored=row.state_stored,
            reason=row.reason,
            inputs=row.inputs,
            outputs=row.outputs,
            positions=[_stored_position(positions[row.margin_id])],
        )
        for row in taken.of(MarginAccounts)
    ]


def _stored_position(row: Positions) -> StoredPosition:
    return StoredPosition(
        position_id=row.position_id,
        margin_id=row.margin_id,
        account=row.account,
        market=row.market,
        side=row.side,
        collateral_token=row.collateral_token,
        inputs=row.inputs,
        outputs=row.outputs,
    )


def verified(taken: Taken, found: Deployment, answer: Answerer | None = None) -> Comparison:
    """What ``verify`` says of a snapshot."""
    reads = PROTOCOL.verify(found, taken.block, stored(taken))
    return drive(reads, answer or answers(taken.block.number))
