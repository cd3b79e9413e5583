"""`perpscope check`: run the findings."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC
from pathlib import Path

import click

from analyzer.cli.config import Config
from analyzer.cli.options import (
    SEVERITIES,
    output_options,
    queries_option,
)
from analyzer.cli.output import emit
from analyzer.cli.querying import AsOf, asked_params, choose, open_asked, query_options, run_all
from analyzer.errors import AnalyzerError
from analyzer.findings import Filters, Finding, Result, at_least, load
from analyzer.findings.history import compare, record
from analyzer.store.database import open_for_writing, transaction


@click.command()
@click.argument("finding", nargs=-1)
@query_options
@click.option(
    "--fail-on",
    type=click.Choice(SEVERITIES),
    default="low",
    show_default=True,
    help="Exit 1 for findings of this severity or above.",
)
@click.option("--exit-zero", is_flag=True, help="Exit 0 whatever is found.")
@click.option(
    "--max-age",
    metavar="SECONDS",
    type=click.IntRange(0),
    help="Data older than this is itself a finding.",
)
@click.option(
    "--param", multiple=True, metavar="NAME=VALUE", help="A query's parameter. Repeatable."
)
@click.option("--ignore", multiple=True, metavar="ID", help="Leave a finding out. Repeatable.")
@queries_option
@output_options()
@click.pass_obj
def check(
    config: Config,
    finding: Sequence[str],
    db: Path,
    filters: Filters,
    as_of: AsOf,
    fail_on: str,
    exit_zero: bool,
    max_age: int | None,
    param: Sequence[str],
    ignore: Sequence[str],
    queries: Sequence[Path],
    format_name: str | None,
    output: Path | None,
) -> int:
    """Run the findings, all of them or those that are named.

    Exit 0: nothing found; 1: findings at or above --fail-on; 2: could not run properly.

    \b
    Examples:
      perpscope check --db risk.duckdb
      perpscope check liquidatable near_liquidation --param within_bps=1000 --format json
    """
    known = load(queries)
    chosen = choose(finding, known, findings=True)
    if max_age is not None:
        if known["stale_data"] not in chosen:
            chosen.append(known["stale_data"])
        param = [*param, f"max_age={max_age}"]
    asked = asked_params(param, known.values(), config.now)
    with open_asked(db, as_of, filters, config.talk) as connection:
        results = run_all(connection, chosen, asked, filters)
        compared, resolved = compare(connection, results, filters)
    if as_of.block is None:
        _remember(db, [one for result in compared for one in result.findings], resolved)
    ignored = _ignored(ignore, config)
    shown = [_without(result, ignored) for result in compared]
    hidden = sum(len(result.rows) for result in compared) - sum(len(r.rows) for r in shown)
    if config.talk >= 0:
        _say(hidden)
    emit(shown, format_name, output, resolved)
    worst = any(at_least(one.severity, fail_on) for result in shown for one in result.findings)
    return 1 if worst and not exit_zero else 0


def _remember(db: Path, found: Sequence[Finding], resolved: Sequence[Finding]) -> None:
    """Keep the findings for the next run's comparison: a short write of its own.

    A database that cannot be written still has findings; that they are not kept is said.
    """
    if found or resolved:
        try:
            with open_for_writing(db) as connection, transaction(connection):
                record(connection, [*found, *resolved])
        except AnalyzerError as error:
            click.echo(f"the next run will call these findings new again: {error}", err=True)


def _ignored(named: Sequence[str], config: Config) -> set[str]:
    today = config.now.astimezone(UTC).date().isoformat()
    for one in config.ignored:
        if one.until is not None and len(one.until) != len(today):
            raise AnalyzerError(f"[[ignore]] {one.id} has `until` {one.until!r}: write 2027-01-31")
    lasting = (one.id for one in config.ignored if one.until is None or one.until >= today)
    return {*named, *lasting}


def _without(result: Result, ignored: set[str]) -> Result:
    kept = [
        (row, finding)
        for row, finding in zip(result.rows, result.findings, strict=True)
        if finding.id not in ignored
    ]
    return replace(
        result,
        rows=tuple(row for row, _ in kept),
        findings=tuple(finding for _, finding in kept),
    )


def _say(hidden: int) -> None:
    if hidden:
        click.echo(f"{hidden} ignored", err=True)
