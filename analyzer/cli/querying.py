"""What `check`, `show` and `export` share: which queries, with which parameters and filters."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import wraps
from pathlib import Path
from textwrap import wrap
from typing import Any, Final

import click
from duckdb import DuckDBPyConnection

from analyzer.cli.accounts import resolve_accounts
from analyzer.cli.options import block_option, db_option, scope_options
from analyzer.errors import AnalyzerError
from analyzer.findings import Filters, Query, Result, run
from analyzer.indexer.deployments import nearest
from analyzer.store import derived
from analyzer.store.database import open_for_reading
from analyzer.store.views import create_views

WIDTH: Final = 100
Command = Callable[..., int]


@dataclass(frozen=True, slots=True)
class Asked:
    """Parameters as a user gave them: for every query, or as ``query.name`` for one.

    ``now`` is the time of the run, for the queries that ask for it.
    """

    params: Mapping[str, str]
    now: datetime

    def of(self, query: Query) -> dict[str, str]:
        """Those that this query takes."""
        own = {param.name for param in query.params}
        general = {name: value for name, value in self.params.items() if name in own}
        prefix = f"{query.name}."
        special = {
            name.removeprefix(prefix): value
            for name, value in self.params.items()
            if name.startswith(prefix)
        }
        return general | special


@dataclass(frozen=True, slots=True)
class AsOf:
    """Which snapshots answer: the newest, those up to a ``block``, the ``complete`` ones only."""

    block: int | None = None
    complete: bool = False

    def refusal(self) -> str:
        """Why none answers, and what to do."""
        kind = "complete snapshot" if self.complete else "snapshot"
        if self.block is None:
            return f"there is no {kind} of these deployments in the database: check the filters, or"
        return f"there is no {kind} at or below block {self.block:,}:"

    def cure(self) -> str:
        """The command that makes one."""
        return "perpscope index" if self.block is None else f"perpscope index --block {self.block}"


def query_options(command: Command) -> Command:
    """What narrows and tunes queries, folded: the command takes ``filters`` and ``as_of``."""

    @wraps(command)
    def with_filters(
        *arguments: Any,
        account: Sequence[str],
        protocol: Sequence[str],
        deployment: Sequence[str],
        chain: int | None,
        mainnet_rpc_url: str | None,
        block: int | None,
        complete: bool,
        **options: Any,
    ) -> int:
        filters = Filters(
            account=resolve_accounts(account, mainnet_rpc_url),
            protocol=tuple(protocol),
            deployment=tuple(deployment),
            chain_id=() if chain is None else (chain,),
        )
        return command(*arguments, filters=filters, as_of=AsOf(block, complete), **options)

    return db_option(scope_options(block_option(with_filters)))


NEWEST: Final = AsOf()


def asked_params(texts: Sequence[str], queries: Iterable[Query], now: datetime) -> Asked:
    """``name=value`` texts; a name that no query takes is an error that names the nearest one."""
    known: set[str] = set()
    for query in queries:
        known |= {param.name for param in query.params}
        known |= {f"{query.name}.{param.name}" for param in query.params}
    params: dict[str, str] = {}
    for text in texts:
        name, separator, value = text.partition("=")
        if not separator:
            raise AnalyzerError(f"--param {text!r} has no value: write it as name=value")
        if name not in known:
            raise AnalyzerError(f"--param {name} is no parameter: {nearest(name, known)}")
        params[name] = value
    return Asked(params, now)


def choose(names: Sequence[str], queries: Mapping[str, Query], *, findings: bool) -> list[Query]:
    """The queries of those names; all findings (or reports) if none is named."""
    wanted = {name: query for name, query in queries.items() if query.is_finding == findings}
    for name in names:
        if name not in wanted:
            kind = "finding" if findings else "report"
            raise AnalyzerError(f"there is no {kind} {name!r}: {nearest(name, wanted)}")
    return [wanted[name] for name in names] if names else list(wanted.values())


@contextmanager
def open_as_of(db: Path, as_of: AsOf = NEWEST) -> Iterator[DuckDBPyConnection]:
    """The database for reading, its ``current_`` views as of a block if one is given."""
    with open_for_reading(db) as connection:
        if as_of != NEWEST:
            create_views(connection, as_of.block, complete=as_of.complete)
            if not derived.snapshots(connection):
                raise AnalyzerError(f"{as_of.refusal()} run `{as_of.cure()}`")
        yield connection


@contextmanager
def open_asked(db: Path, as_of: AsOf, filters: Filters, talk: int) -> Iterator[DuckDBPyConnection]:
    """The database as of a block and for some accounts; stderr says which blocks answer.

    Raises ``AnalyzerError`` where none does, or where an account was never read: that nothing is
    found must not look as if nothing were there.
    """
    with open_as_of(db, as_of) as connection:
        if not _shown(connection, filters):
            raise AnalyzerError(f"{as_of.refusal()} run `{as_of.cure()}`")
        if filters.account:
            create_views(connection, as_of.block, filters.account, complete=as_of.complete)
        shown = _shown(connection, filters)
        scopes = [snapshot.scope.split(",") for snapshot in shown]
        for account in filters.account:
            if not any(scope == ["all"] or account in scope for scope in scopes):
                raise AnalyzerError(
                    f"{account} was not read: the stored snapshots cover other accounts only, run "
                    f"`perpscope index --account {account}`"
                )
        if talk >= 0:
            _say_where(connection, shown)
        yield connection


def _shown(connection: DuckDBPyConnection, filters: Filters) -> list[derived.SnapshotAt]:
    places = replace(filters, account=())
    return [
        snapshot
        for snapshot in derived.snapshots(connection)
        if places.cover(
            {
                "protocol": snapshot.protocol,
                "deployment": snapshot.deployment,
                "chain_id": snapshot.chain_id,
            }
        )
    ]


def _say_where(connection: DuckDBPyConnection, shown: Sequence[derived.SnapshotAt]) -> None:
    """Which blocks answer, on stderr: no number without its block, none that hides what it lacks.

    A snapshot that is not complete says how much of it is certain.
    """
    certain = derived.certainty(connection)
    for snapshot in shown:
        time = datetime.fromtimestamp(snapshot.block_time, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        accounts = snapshot.scope.count(",") + 1
        scope = "all accounts" if snapshot.scope == "all" else f"{accounts} account(s)"
        line = (
            f"{snapshot.protocol} {snapshot.deployment}: block {snapshot.block_number:,} of chain "
            f"{snapshot.chain_id}, {time}, {scope}, prices: {snapshot.price_basis}"
        )
        _say_wrapped(line)
        if not snapshot.complete:
            share = certain[snapshot.chain_id, snapshot.protocol, snapshot.deployment].text()
            _say_wrapped(
                f"  INCOMPLETE: {share}; `perpscope check unbalanced unknown_state data_quality` "
                "says what is missing, --complete goes back to the last whole snapshot"
            )


def _say_wrapped(line: str) -> None:
    for part in wrap(line, WIDTH, subsequent_indent="  "):
        click.echo(part, err=True)


def run_all(
    connection: DuckDBPyConnection,
    queries: Sequence[Query],
    asked: Asked,
    filters: Filters,
) -> list[Result]:
    """Every query with its parameters; a filter narrows those whose rows have its column."""
    return [
        run(connection, query, asked.of(query), _fitting(filters, query, queries), now=asked.now)
        for query in queries
    ]


def _fitting(filters: Filters, query: Query, queries: Sequence[Query]) -> Filters:
    """The filters that a query's rows have columns for; one that is alone must have them all."""
    if len(queries) == 1:
        return filters if "account" in query.columns else replace(filters, account=())
    lacking = {name: () for name in filters.given() if name not in query.columns}
    return replace(filters, **lacking)
