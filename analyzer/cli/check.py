"""`perpscope check`: run the findings."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC
from pathlib import Path
from typing import Final

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
from analyzer.findings import Filters, Finding, Result, at_least, gravest_first, load
from analyzer.findings.history import (
    BETTER,
    ESCALATED,
    NEW,
    RESOLVED,
    WORSE,
    Compared,
    compare,
    record,
    related,
)
from analyzer.store.database import open_for_writing, transaction

COUNTED: Final = (NEW, ESCALATED, WORSE, BETTER, RESOLVED)
"""Statuses that say that something has changed."""


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
@click.option(
    "--no-record",
    is_flag=True,
    help="Compare with the last recorded run and store nothing: what is new stays new.",
)
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
    no_record: bool,
    queries: Sequence[Path],
    format_name: str | None,
    output: Path | None,
) -> int:
    """Run the findings, all of them or those that are named.

    Exit 0: nothing found; 1: findings at or above --fail-on; 2: could not run properly.

    \b
    Each finding is compared with the last recorded run:
      new        was not there
      ongoing    is as it was
      worse      its severity or its measure got worse
      better     it got better, or a graver finding became this one
      escalated  a milder finding became this one
      resolved   is no longer there; `cause` says why: closed, liquidated, gone (one
                 of these two), moved_away, cleared, or data_gone
    With --block nothing is compared and nothing is stored.

    \b
    Examples:
      perpscope check --db risk.duckdb
      perpscope check liquidatable near_liquidation --param within_bps=1000 --format json
      perpscope check --no-record
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
        if as_of.block is None:
            beside = run_all(connection, related(chosen, known), asked, filters)
            compared = compare(connection, results, filters, beside)
        else:
            compared = Compared(tuple(results))
    if as_of.block is None and not no_record:
        _remember(db, compared)
    ignored = _ignored(ignore, config)
    shown = gravest_first(_without(result, ignored) for result in compared.results)
    ended = [one for one in compared.ended if one.id not in ignored]
    emit(shown, format_name, output, ended)
    found = [one for result in shown for one in result.findings]
    if config.talk >= 0:
        hidden = sum(len(result.rows) for result in compared.results) - len(found)
        _say_counts(found, ended, hidden)
    escalated = [one for one in ended if one.status == ESCALATED]
    worst = any(at_least(one.severity, fail_on) for one in (*found, *escalated))
    return 1 if worst and not exit_zero else 0


def _remember(db: Path, compared: Compared) -> None:
    """Keep the findings for the next run's comparison: a short write of its own.

    A database that cannot be written still has findings; that they are not kept is said.
    """
    if compared.is_empty:
        return
    try:
        with open_for_writing(db) as connection, transaction(connection):
            record(connection, compared)
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


def _say_counts(found: Sequence[Finding], ended: Sequence[Finding], hidden: int) -> None:
    """How many findings there are, by severity and by what became of them, on stderr."""
    severities = Counter(one.severity for one in found)
    statuses = Counter(one.status for one in (*found, *ended))
    line = f"{len(found):,} {'finding' if len(found) == 1 else 'findings'}"
    parts = [f"{severities[name]:,} {name}" for name in reversed(SEVERITIES) if severities[name]]
    if parts:
        line += f": {', '.join(parts)}"
    counted = [f"{statuses[name]:,} {name}" for name in COUNTED if statuses[name]]
    if hidden:
        counted.append(f"{hidden:,} ignored")
    click.echo("; ".join([line, *([", ".join(counted)] if counted else [])]), err=True)
