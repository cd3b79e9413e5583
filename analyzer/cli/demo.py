"""`perpscope demo`: the whole way, on recorded chains that come along."""

import sys
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from importlib.resources import as_file
from pathlib import Path

import click

from analyzer.chain import open_chain
from analyzer.cli.config import Config
from analyzer.cli.connect import deployments_for
from analyzer.cli.export import export_all
from analyzer.cli.progress import TerminalProgress
from analyzer.cli.querying import Asked, open_as_of, run_all
from analyzer.errors import AnalyzerError
from analyzer.exports import write
from analyzer.findings import Filters, Result, gravest_first, load
from analyzer.indexer.plan import Plan
from analyzer.indexer.run import index
from analyzer.indexer.verify import verify_database
from analyzer.resources import resource
from analyzer.store import derived

FORMATS = ("json", "csv", "parquet")
SHOWN = 6
AS_RECORDED = {"stale_data.max_age": str(10**9)}
"""That the recorded chains are old is no finding: they are what they are."""


@click.command()
@click.option(
    "-o",
    "--output-dir",
    type=click.Path(path_type=Path, file_okay=False),
    default="perpscope-demo",
    show_default=True,
    help="The folder for the database and the exports.",
)
@click.pass_obj
def demo(config: Config, output_dir: Path) -> int:
    """Index the recorded chains that come with perpscope, show what is found, write exports.

    They hold what the real contracts emitted and answered on a local chain. No key, no node, no
    network.

    \b
    Examples:
      perpscope demo
      perpscope demo -o /tmp/demo
    """
    output_dir.mkdir(parents=True, exist_ok=True)
    db = output_dir / "demo.duckdb"
    db.unlink(missing_ok=True)
    with ExitStack() as stack:
        recordings = [
            stack.enter_context(as_file(file))
            for file in sorted(resource("demo").iterdir(), key=lambda file: file.name)
            if file.name.endswith(".json.gz")
        ]
        for recording in recordings:
            _index(config, recording, db)
    queries = load()
    findings = [query for query in queries.values() if query.is_finding]
    with open_as_of(db) as connection:
        now = max(snapshot.block_time for snapshot in derived.snapshots(connection))
        asked = Asked(AS_RECORDED, datetime.fromtimestamp(now, UTC))
        results = run_all(connection, findings, asked, Filters())
    click.echo()
    found = gravest_first(result for result in results if result.rows)
    write([_first(result) for result in found], "table", sys.stdout)
    exports = output_dir / "exports"
    written = export_all(db, exports, list(queries.values()), asked, Filters(), FORMATS, talk=-1)
    click.echo(f"\n{len(written)} files (JSON, CSV, Parquet) in {exports}")
    click.echo(f"the database is {db}: try `perpscope show positions --db {db}`")
    return 0


def _first(result: Result) -> Result:
    """As much of a result as a first look takes in."""
    if len(result.rows) <= SHOWN:
        return result
    return replace(
        result,
        rows=result.rows[:SHOWN],
        findings=result.findings[:SHOWN],
        total=len(result.rows),
    )


def _index(config: Config, recording: Path, db: Path) -> None:
    chain = open_chain([f"recording:{recording}"])
    with TerminalProgress(config.talk) as progress:
        outcomes = index(
            chain, db, Plan(deployments=deployments_for(chain, config, (), ())), progress
        )
    own = [outcome.deployment for outcome in outcomes]
    verified = {
        one.deployment: one
        for one in verify_database(chain, db, [d.protocol for d in own], [d.name for d in own])
    }
    for outcome in outcomes:
        if outcome.error is not None:
            raise outcome.error
        assert outcome.block is not None
        name = outcome.deployment.title
        click.echo(
            f"{name}: {outcome.positions:,} open positions at block {outcome.block.number:,}, "
            f"from {outcome.logs:,} logs"
        )
        one = verified[outcome.deployment.name]
        found, views = one.comparison, one.views
        click.echo(
            f"  against the contract's own answers: {views.verdicts:,} verdicts and "
            f"{views.values:,} amounts compared, {len(found.differences):,} differ"
        )
        if found.differences or found.skipped or one.errors:
            raise AnalyzerError(f"{name} does not agree with its contracts: report this")
