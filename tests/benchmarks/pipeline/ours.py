"""Our own pipeline as a process: what it stores of a chain's logs, over the ordinary client.

    python -m tests.benchmarks.pipeline.ours JOB

``ingest`` is the one place that knows which function of the analyzer does it.
"""

import json
import sys
from functools import partial
from pathlib import Path
from typing import Any, Final

from analyzer.chain.open import open_chain
from analyzer.chain.settings import Settings
from analyzer.indexer import ingest as ingesting
from analyzer.indexer.history import follow_logs
from analyzer.indexer.plan import Plan, Silent
from analyzer.protocol import Deployment
from analyzer.protocols import protocols
from analyzer.protocols.perp_v2.contracts import ROLES
from analyzer.store import event_tables
from analyzer.store.database import open_for_writing
from analyzer.store.raw_logs import stream_of
from tests.benchmarks.pipeline.job import BLOCKS, Done, Job, run_and_count
from tests.benchmarks.pipeline.pipeline import Pipeline


def ingest(job: dict[str, Any]) -> None:
    """Store the job's logs, raw and decoded; where the job says so, replay them."""
    deployment = deployment_of(job)
    with open_for_writing(Path(job["folder"]) / "ours.duckdb") as connection:
        chain = open_chain([job["url"]], settings=Settings(log_window=BLOCKS[job["event"]]))
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


def ours(job: Job, *, replayed: bool) -> Done:
    """This program in a process of its own."""
    told = job.told(replayed=replayed)
    return run_and_count([sys.executable, "-m", "tests.benchmarks.pipeline.ours", told])


OURS: Final = (
    Pipeline(
        "perpscope, decoded rows", "DuckDB: raw and decoded rows, digests, headers",
        "checks block hashes, parents and blooms; goes on where it stopped; exact to 38 digits",
        partial(ours, replayed=False),
    ),
    Pipeline(
        "perpscope, replayed rows", "DuckDB: raw rows, digests, headers, exact position events",
        "the same, and replayed through the protocol's rules",
        partial(ours, replayed=True), simple=50_000, nested=5_000, rounds=1,
    ),
)  # fmt: skip


def main() -> None:
    """Print how many decoded rows there are; each stands in ``raw_logs`` as well."""
    job = json.loads(sys.argv[1])
    ingest(job)
    with open_for_writing(Path(job["folder"]) / "ours.duckdb") as connection:

        def count(table: str) -> int:
            return connection.execute(f"select count(*) from {table}").fetchall()[0][0]

        decoded = sum(count(table) for table in event_tables.tables(connection))
        told = {name: count(name) for name in ("raw_logs", "position_events", "data_quality")}
    sys.stdout.write(json.dumps({"rows": min(decoded, told["raw_logs"])} | told) + "\n")


if __name__ == "__main__":
    main()
