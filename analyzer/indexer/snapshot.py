"""Taking a snapshot: the protocol's generators against a node or against stored answers."""

from collections.abc import Sequence
from dataclasses import dataclass

from analyzer.protocol import Deployment, Probe, Snapshot, SnapshotRequest, State
from analyzer.protocols import protocols
from analyzer.reads import Answerer, drive
from analyzer.rows import (
    UNKNOWN,
    At,
    Books,
    Deployments,
    MarginAccounts,
    Positions,
    Row,
    Snapshots,
    Totals,
)
from analyzer.store.raw_state import RawSnapshot


@dataclass(frozen=True, slots=True)
class Taken:
    """A snapshot with what it was taken from."""

    raw: RawSnapshot
    probe: Probe
    result: Snapshot

    @property
    def books(self) -> Books:
        """How the positions compare with the totals that the protocol itself keeps."""
        if self.raw.accounts:
            return "none"
        totals = [row for row in self.result.rows if isinstance(row, Totals)]
        return "balanced" if totals and all(row.is_balanced for row in totals) else "unbalanced"

    @property
    def is_complete(self) -> bool:
        """Whether it holds all positions of its scope, and the contract's own totals prove it."""
        return self.result.complete and self.books != "unbalanced"

    def counts(self) -> dict[str, int]:
        """How many positions, margin accounts and unknown accounts it holds."""
        accounts = [row for row in self.result.rows if isinstance(row, MarginAccounts)]
        return {
            "positions": sum(isinstance(row, Positions) for row in self.result.rows),
            "accounts": len(accounts),
            "unknown": sum(row.state == UNKNOWN for row in accounts),
        }


def first_contact(deployment: Deployment, answer: Answerer) -> Probe:
    """What is on chain; raises ``AnalyzerError`` if the contracts are not what the entry says."""
    return drive(protocols()[deployment.protocol].probe(deployment), answer)


def take(
    deployment: Deployment, found: Probe, raw: RawSnapshot, state: State | None, answer: Answerer
) -> Taken:
    """The snapshot that a protocol makes of the answers and of what the logs left behind."""
    request = SnapshotRequest(
        block=raw.block,
        source=raw.source,
        state=state,
        accounts=raw.accounts,
        prices=raw.prices,
        price_basis=raw.price_basis,
    )
    protocol = protocols()[deployment.protocol]
    return Taken(raw, found, drive(protocol.snapshot(deployment, found, request), answer))


def rows_of(deployment: Deployment, taken: Taken) -> Sequence[Row]:
    """The protocol's rows together with the snapshot's and the deployment's own."""
    at = At(deployment.chain_id, deployment.protocol, deployment.name, taken.raw.block.number)
    return [
        Deployments(
            chain_id=deployment.chain_id,
            protocol=deployment.protocol,
            deployment=deployment.name,
            contracts=deployment.contracts,
            options=deployment.options,
            release=taken.probe.release,
            verified=deployment.verified,
        ),
        Snapshots(
            at=at,
            block_hash=taken.raw.block.hash,
            block_time=taken.raw.block.time,
            scope=",".join(taken.raw.accounts) or "all",
            positions_from=taken.raw.source,
            price_basis=taken.result.price_basis,
            complete=taken.is_complete,
            books=taken.books,
        ),
        *taken.result.rows,
    ]
