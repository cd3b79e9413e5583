"""`perpscope explain`: the arithmetic of one finding, position or account, line by line."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from textwrap import wrap
from typing import Any

import click
from duckdb import DuckDBPyConnection

from analyzer.cli.accounts import resolve_accounts
from analyzer.cli.config import Config
from analyzer.cli.options import block_option, db_option, mainnet_option, queries_option
from analyzer.cli.querying import Asked, AsOf, open_as_of, run_all
from analyzer.errors import AnalyzerError
from analyzer.exports.text import neutral
from analyzer.findings import Filters, Query, load
from analyzer.protocol import Line, StoredAccount
from analyzer.protocols import protocols
from analyzer.store import derived

ID_LENGTH = 16
WIDTH = 100


@dataclass(frozen=True, slots=True)
class Explained:
    """One explanation: what it is about, and its lines."""

    heading: str
    lines: Sequence[Line]


@click.command()
@click.argument("identifier", metavar="ID")
@db_option
@mainnet_option
@block_option
@queries_option
@click.option("-f", "--format", "format_name", type=click.Choice(["table", "json"]))
@click.pass_obj
def explain(
    config: Config,
    identifier: str,
    db: Path,
    mainnet_rpc_url: str | None,
    block: int | None,
    complete: bool,
    queries: Sequence[Path],
    format_name: str | None,
) -> int:
    """Explain a finding, a position, an account or a query: ID is what `check` and `show` print.

    Every line is a value under the contract's own name, as the contract's integer.

    \b
    Examples:
      perpscope explain 3f2b7c1a9d04e6aa --db risk.duckdb
      perpscope explain near_liquidation
    """
    known = load(queries)
    if identifier in known:
        explained = [_query(known[identifier])]
    else:
        wanted = identifier.lower()
        if "." in wanted:
            (wanted,) = resolve_accounts([wanted], mainnet_rpc_url)
        with open_as_of(db, AsOf(block, complete)) as connection:
            explained = _find(connection, wanted, list(known.values()), config.now)
    if not explained:
        raise AnalyzerError(
            f"nothing in {db.name} has the id {identifier}: `perpscope check` and "
            "`perpscope show positions` list what can be explained"
        )
    if format_name == "json":
        click.echo(json.dumps([asdict(one) for one in explained], indent=2))
    else:
        for number, one in enumerate(explained):
            _print(one, first=number == 0)
    return 0


def _find(
    connection: DuckDBPyConnection, wanted: str, queries: list[Query], now: datetime
) -> list[Explained]:
    if len(wanted) == ID_LENGTH:
        findings = [query for query in queries if query.is_finding]
        return _finding(connection, wanted, findings, now)
    return [
        _account(snapshot, account)
        for snapshot in derived.snapshots(connection)
        for account in derived.accounts(connection, snapshot)
        if wanted in (account.margin_id, account.account)
        or wanted in (position.position_id for position in account.positions)
    ]


def _finding(
    connection: DuckDBPyConnection, wanted: str, queries: list[Query], now: datetime
) -> list[Explained]:
    for result in run_all(connection, queries, Asked({}, now), Filters()):
        names = [column.name for column in result.columns]
        for row, finding in zip(result.rows, result.findings, strict=True):
            if finding.id == wanted:
                values = dict(zip(names, row, strict=True))
                margin_id = values.get("margin_id")
                about = Explained(
                    f"{result.query.title} ({finding.severity}): {result.query.summary}",
                    [
                        *_lines(values, result.query.columns),
                        Line("advice", result.query.advice),
                    ],
                )
                return [about, *(_find(connection, str(margin_id), [], now) if margin_id else ())]
    return []


def _lines(values: Mapping[str, Any], meanings: Mapping[str, str]) -> list[Line]:
    return [
        Line(name, "unknown" if value is None else str(value), meanings.get(name, ""))
        for name, value in values.items()
        if name not in ("inputs", "outputs")
    ]


def _account(snapshot: derived.SnapshotAt, account: StoredAccount) -> Explained:
    heading = (
        f"{snapshot.protocol} {snapshot.deployment}, block {snapshot.block_number:,} "
        f"({snapshot.block_hash}) of chain {snapshot.chain_id}, prices: {snapshot.price_basis}"
    )
    return Explained(heading, protocols()[snapshot.protocol].explain(account))


def _query(query: Query) -> Explained:
    return Explained(
        f"{query.title}: {query.summary}",
        [
            Line("severity", query.severity or "none: a report"),
            Line("advice", query.advice),
            Line("grain", query.grain),
            Line("identity", ", ".join(query.identity)),
            *(
                Line(f"--param {param.name}", str(param.default), param.help)
                for param in query.params
            ),
            *(Line(name, "column", meaning) for name, meaning in query.columns.items()),
        ],
    )


def _print(one: Explained, *, first: bool) -> None:
    if not first:
        click.echo()
    for part in wrap(neutral(one.heading), WIDTH):
        click.echo(part)
    margin = max((len(line.name) for line in one.lines), default=0) + 4
    for line in one.lines:
        value, meaning = neutral(line.value), neutral(line.meaning)
        text = f"  {line.name:<{margin - 2}}{value}"
        if meaning and len(text) + len(meaning) + 4 <= WIDTH:
            click.echo(f"{text}  # {meaning}")
            continue
        start, *rest = wrap(value, WIDTH - margin, break_long_words=False) or [value]
        click.echo(f"  {line.name:<{margin - 2}}{start}")
        for part in rest:
            click.echo(f"{'':<{margin}}{part}")
        for part in wrap(meaning, WIDTH - margin - 2):
            click.echo(f"{'':<{margin}}# {part}")
