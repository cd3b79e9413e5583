"""What a database holds, deployment by deployment: for people who want to know what is missing."""

from dataclasses import dataclass
from pathlib import Path

from analyzer.protocols import protocols
from analyzer.store import checkpoints, derived
from analyzer.store.database import open_for_reading
from analyzer.store.deployments import remembered


@dataclass(frozen=True, slots=True)
class Covered:
    """One deployment and what is stored of it."""

    name: str
    found: str


def coverage(path: Path) -> list[Covered]:
    """A line for each deployment: which snapshots answer, and the blocks with complete logs."""
    with open_for_reading(path) as connection:
        found = derived.snapshots(connection)
        lines: list[Covered] = []
        for deployment in remembered(connection):
            at = (deployment.chain_id, deployment.protocol, deployment.name)
            snapshots = [s for s in found if (s.chain_id, s.protocol, s.deployment) == at]
            filters = protocols()[deployment.protocol].log_filters(deployment)
            ranges = [
                f"{start:,} to {end:,}"
                for _, start, end in checkpoints.streams(connection, deployment, filters)
            ]
            state = (
                "; ".join(
                    f"{'' if s.complete else 'INCOMPLETE '}snapshot at block {s.block_number:,} "
                    f"(scope {s.scope})"
                    for s in snapshots
                )
                or "no snapshot"
            )
            logs = f"logs of blocks {', '.join(ranges)}" if ranges else "no logs"
            lines.append(Covered(deployment.title, f"{state}, {logs}"))
    return lines
