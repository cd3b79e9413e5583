"""`perpscope doctor`: is everything in place, and what is the cure where it is not."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import chain as chain_of
from pathlib import Path
from typing import Final

import click

from analyzer.abi import load_abi
from analyzer.chain import Chain, Settings
from analyzer.cli.config import Config
from analyzer.cli.connect import connect, deployments_for, settings_of
from analyzer.cli.options import db_option, node_options, queries_option
from analyzer.errors import AnalyzerError
from analyzer.findings.queries import load
from analyzer.findings.runner import check_statement
from analyzer.indexer.agreement import agreement
from analyzer.indexer.checked import Checked
from analyzer.indexer.completeness import completeness
from analyzer.indexer.coverage import coverage
from analyzer.indexer.snapshot import first_contact
from analyzer.protocol import Deployment
from analyzer.protocols import protocols
from analyzer.resources import resource

Check = tuple[str, Callable[[], str]]
UNKNOWABLE: Final = (
    "note  completeness: books that balance prove positions, not their history; index again\n"
    "      through another node and compare the two with --against for logs left out"
)


@click.command()
@node_options
@db_option
@queries_option
@click.option("--chain", type=int, metavar="ID", help="The chain's id.")
@click.option(
    "--completeness",
    "is_thorough",
    is_flag=True,
    help="Say which blocks the database covers, and recount every digest.",
)
@click.option(
    "--against",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Compare the database's logs with another one's, to the first block that differs.",
)
@click.pass_obj
def doctor(
    config: Config,
    /,
    rpc_url: Sequence[str],
    db: Path,
    queries: Sequence[Path],
    chain: int | None,
    is_thorough: bool,
    against: Path | None,
    **node: float | None,
) -> int:
    """Check the installation, the configuration, the node and the database.

    Every line is a check with what was found; exit 2 if one failed.

    \b
    Examples:
      perpscope doctor
      perpscope doctor --rpc-url $ETH_RPC_URL --db risk.duckdb
      perpscope doctor --completeness --db risk.duckdb --against second.duckdb
    """
    failed = False
    finalized: dict[int, int] = {}
    checks = _checks(config, rpc_url, db, queries, chain, settings_of(node), finalized)
    if is_thorough:
        checks = chain_of(checks, _found(completeness(db, finalized)))
    if against is not None:
        checks = chain_of(checks, _found(agreement(db, against)))
    for name, look in checks:
        try:
            click.echo(f"ok    {name}: {look()}")
        except AnalyzerError as error:
            failed = True
            click.echo(f"FAIL  {name}: {error}")
    if is_thorough:
        click.echo(UNKNOWABLE)
    return 2 if failed else 0


def _checks(
    config: Config,
    rpc_url: Sequence[str],
    db: Path,
    queries: Sequence[Path],
    chain_id: int | None,
    settings: Settings,
    finalized: dict[int, int],
) -> Iterator[Check]:
    yield "configuration", lambda: str(config.path or "none, defaults are used")
    yield "protocols", lambda: ", ".join(sorted(protocols()))
    yield "ABI files", _abis
    yield "query files", lambda: _queries(queries)
    if rpc_url:
        yield from _chain_checks(config, rpc_url, chain_id, settings, finalized)
    else:
        yield "node", lambda: "none is set (--rpc-url or ETH_RPC_URL)"
    if db.exists():
        yield from ((f"database {one.name}", partial(str, one.found)) for one in coverage(db))
    else:
        yield "database", lambda: f"none yet at {db}"


def _found(checked: Iterable[Checked]) -> Iterator[Check]:
    for one in checked:
        yield one.name, partial(_say, one)


def _say(one: Checked) -> str:
    if not one.holds:
        raise AnalyzerError(one.text)
    return one.text


def _contact(chain: Chain, deployment: Deployment) -> str:
    head = chain.block("latest")
    return f"release {first_contact(deployment, partial(chain.answer, block=head)).release}"


def _abis() -> str:
    count = 0
    for folder in resource("abis").iterdir():
        if folder.is_dir():
            for file in folder.iterdir():
                load_abi(folder.name, file.name.removesuffix(".json"))
                count += 1
    return f"{count} readable"


def _queries(folders: Sequence[Path]) -> str:
    found = load(folders)
    for query in found.values():
        check_statement(query)
    return f"{len(found)} valid"


def _chain_checks(
    config: Config,
    urls: Sequence[str],
    chain_id: int | None,
    settings: Settings,
    finalized: dict[int, int],
) -> Iterator[Check]:
    opened: list[Chain] = []

    def node() -> str:
        chain = connect(urls, chain_id, settings, talk=config.talk)
        found = f"{chain.label} is chain {chain.chain_id()}"
        opened.append(chain)
        return found

    def heads() -> str:
        latest = opened[0].block("latest")
        final = opened[0].block("finalized")
        finalized[opened[0].chain_id()] = final.number
        return f"block {latest.number:,}, finalized {latest.number - final.number:,} behind"

    yield "node", node
    if not opened:
        return
    yield "head", heads
    for deployment in deployments_for(opened[0], config, (), ()):
        name = deployment.title
        yield name, partial(_contact, opened[0], deployment)
    opened[0].close()
