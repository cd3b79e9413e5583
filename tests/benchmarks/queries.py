"""Findings and reports on many positions: those of a recorded chain, over and over."""

import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter

from duckdb import DuckDBPyConnection

from analyzer.chain.recording import RecordedChain
from analyzer.findings import Query, load, run
from analyzer.indexer.plan import Plan
from analyzer.indexer.run import index
from analyzer.protocol import Deployment
from analyzer.store import derived
from analyzer.store.database import open_for_reading, open_for_writing, transaction
from tests.benchmarks.measure import Line, seconds
from tests.conftest import FIXTURES

POSITIONS = 100_000
SHOWN = 100
COPIED = {
    "positions": ("position_id", "margin_id", "account"),
    "margin_accounts": ("margin_id", "account"),
    "margin_legs": ("margin_id",),
    "balances": ("account",),
}
SCAN = """
select account, sum(size_usd) as size_usd, min(distance_bps) as distance_bps
from positions
group by all
order by distance_bps
limit 100
"""


def lines() -> Iterator[Line]:
    """Every finding and report with its first rows, against a plain query of one table."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "many.duckdb"
        fill(path)
        with open_for_reading(path) as connection:
            moment = datetime.fromtimestamp(derived.snapshots(connection)[0].block_time, UTC)
            scan = seconds(lambda: connection.execute(SCAN).fetchall(), 3, perf_counter)
            yield Line("a plain group and sort of positions", f"{scan * 1000:.0f} ms", "1 x")
            for query in load().values():
                taken = seconds(lambda: _rows(connection, query, moment), 2, perf_counter)  # noqa: B023
                kind = "finding" if query.is_finding else "report"
                yield Line(
                    f"{kind} {query.name}, first {SHOWN} rows",
                    f"{taken * 1000:.0f} ms",
                    f"{taken / scan:.1f} x",
                )


def _rows(connection: DuckDBPyConnection, query: Query, moment: datetime) -> object:
    return run(connection, query, now=moment, limit=SHOWN)


def fill(path: Path) -> None:
    """A recorded chain's database with its rows copied under other names."""
    chain = RecordedChain(FIXTURES / "demo" / "gmx_v2.json.gz")
    deployments = [Deployment(**table) for table in chain.deployments]
    (outcome,) = index(chain, path, Plan(deployments=deployments))
    if outcome.error is not None:
        raise outcome.error
    copies = POSITIONS // outcome.positions
    with open_for_writing(path) as connection, transaction(connection):
        for table, names in COPIED.items():
            renamed = ", ".join(f"{name} || '-' || copy as {name}" for name in names)
            connection.execute(
                f"insert into {table} select rows.* replace ({renamed})"
                f" from {table} as rows, range({copies - 1}) as copies(copy)"
            )
