"""The snapshots of a database with all that verifying them needs, read before any node is asked.

A node takes minutes where a chain is large, and nobody could write to a database that is open.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from duckdb import DuckDBPyConnection

from analyzer.errors import AnalyzerError
from analyzer.indexer.snapshot import stored_state
from analyzer.protocol import Deployment, State, StoredAccount
from analyzer.store import derived
from analyzer.store.database import open_for_reading
from analyzer.store.deployments import remembered
from analyzer.store.derived import SnapshotAt
from analyzer.store.raw_state import RawSnapshot, raw_snapshots
from analyzer.store.snapshot_rows import Rows, rows_at, tokens
from analyzer.store.views import create_views

NAMED: Final = 8
"""Snapshots that are named where none of them was meant."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which snapshots: of a chain, and as far as they are named of protocols and deployments.

    With ``block``, the newest at or below it; with ``complete``, the last whole ones.
    """

    chain_id: int
    protocols: tuple[str, ...] = ()
    deployments: tuple[str, ...] = ()
    block: int | None = None
    complete: bool = False

    def has(self, snapshot: SnapshotAt) -> bool:
        """Whether a snapshot is one of them."""
        return (
            snapshot.chain_id == self.chain_id
            and (not self.protocols or snapshot.protocol in self.protocols)
            and (not self.deployments or snapshot.deployment in self.deployments)
        )


@dataclass(frozen=True, slots=True)
class StoredSnapshot:
    """A snapshot as it is shown, and the runs that it was taken by with the logs' state at each."""

    deployment: Deployment
    snapshot: SnapshotAt
    accounts: Sequence[StoredAccount]
    rows: Mapping[type, Rows]
    tokens: Rows
    runs: Sequence[tuple[RawSnapshot, State | None]]


def stored_snapshots(path: Path, wanted: Wanted, label: str) -> list[StoredSnapshot]:
    """Those of the chain of that label; ``AnalyzerError`` says what there is where there is none.

    Several snapshots of a deployment answer for different accounts.
    """
    with open_for_reading(path) as connection:
        if wanted.block is not None or wanted.complete:
            create_views(connection, wanted.block, complete=wanted.complete)
        shown = derived.snapshots(connection)
        found = [snapshot for snapshot in shown if wanted.has(snapshot)]
        if not found:
            raise AnalyzerError(f"nothing was compared: {_why_none(path, wanted, label, shown)}")
        known = {(d.chain_id, d.protocol, d.name): d for d in remembered(connection)}
        return [_stored(connection, known[s.chain_id, s.protocol, s.deployment], s) for s in found]


def _stored(
    connection: DuckDBPyConnection, deployment: Deployment, snapshot: SnapshotAt
) -> StoredSnapshot:
    runs = [
        (raw, stored_state(connection, deployment, raw))
        for raw in raw_snapshots(connection, deployment)
        if raw.block.number == snapshot.block_number
    ]
    return StoredSnapshot(
        deployment=deployment,
        snapshot=snapshot,
        accounts=derived.accounts(connection, snapshot),
        rows=rows_at(connection, deployment, snapshot.block_number),
        tokens=tokens(connection, snapshot.chain_id),
        runs=runs,
    )


def _why_none(path: Path, wanted: Wanted, label: str, shown: Sequence[SnapshotAt]) -> str:
    """Why no snapshot is meant, and what to do about it."""
    until = "" if wanted.block is None else f" at or below block {wanted.block}"
    if not shown:
        whole = "complete snapshot" if wanted.complete else "snapshot"
        return f"{path.name} holds no {whole}{until}: run `perpscope index`"
    held = [f"{s.protocol} {s.deployment} of chain {s.chain_id}" for s in shown]
    named = ", ".join(list(dict.fromkeys(held))[:NAMED])
    if all(snapshot.chain_id != wanted.chain_id for snapshot in shown):
        return (
            f"{label} is chain {wanted.chain_id}, and {path.name} holds {named}{until}: name "
            "that chain's node with --rpc-url, or index this one"
        )
    return (
        f"--protocol and --deployment name no snapshot{until} of chain {wanted.chain_id}: "
        f"{path.name} holds {named}"
    )
