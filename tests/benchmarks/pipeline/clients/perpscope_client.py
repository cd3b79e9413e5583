"""perpscope as a process: it stores a chain's logs over its ordinary client."""

import json
import sys
from pathlib import Path
from typing import Any

from analyzer.chain.open import open_chain
from analyzer.chain.settings import Settings
from analyzer.indexer import ingest as ingesting
from analyzer.indexer.history import follow_logs
from analyzer.indexer.plan import Plan, Silent
from analyzer.protocol import Deployment
from analyzer.protocols import protocols
from analyzer.protocols.perp_v2.contracts import ROLES
from analyzer.store.checkpoints import stream_of
from analyzer.store.database import open_for_writing


def ingest(job: dict[str, Any]) -> None:
    """Store the job's logs, raw and decoded; where the job says so, replay them."""
    deployment = deployment_of(job)
    with open_for_writing(Path(job["folder"]) / "ours.duckdb") as connection:
        chain = open_chain([job["url"]], settings=Settings(log_window=job["blocks"]))
        head = chain.block(job["last"])
        if job["replayed"]:
            plan = Plan(deployments=[deployment], positions="logs")
            follow_logs(chain, connection, deployment, plan, "logs", head, Silent())
            return
        filters = protocols()[deployment.protocol].log_filters(deployment)
        first, last = deployment.start_block, head.number
        stream = stream_of(deployment, filters, first)
        ingesting.ingest(
            chain, connection, deployment, stream, filters, first, last, head, Silent()
        )


def deployment_of(job: dict[str, Any]) -> Deployment:
    """A deployment whose events are the job's; its other contracts are nowhere."""
    if job["event"] == "PositionChanged":
        nowhere = {role: f"0x{index:040x}" for index, role in enumerate(ROLES, 1)}
        contracts = nowhere | {"ClearingHouse": job["address"]}
        return Deployment("perp_v2", "bench", job["chain_id"], job["first"], contracts)
    contracts = {"EventEmitter": job["address"]}
    return Deployment("gmx_v2", "bench", job["chain_id"], job["first"], contracts)


if __name__ == "__main__":
    ingest(json.loads(sys.argv[1]))
