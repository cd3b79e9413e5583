"""`perpscope doctor`: is everything in place, and what is the cure where it is not."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import click

from analyzer.abi import load_abi
from analyzer.chain import Chain, Settings
from analyzer.cli.config import Config
from analyzer.cli.connect import connect, deployments_for, settings_of
from analyzer.cli.options import db_option, node_options, queries_option
from analyzer.errors import AnalyzerError
from analyzer.findings.queries import load
from analyzer.findings.runner import check_statement
from analyzer.indexer.coverage import coverage
from analyzer.indexer.snapshot import first_contact
from analyzer.protocol import Deployment
from analyzer.protocols import protocols
from analyzer.resources import resource

Check = tuple[str, Callable[[], str]]


@click.command()
@node_options
@db_option
@queries_option
@click.option("--chain", type=int, metavar="ID", help="The chain's id.")
@click.pass_obj
def doctor(
    config: Config,
    /,
    rpc_url: Sequence[str],
    db: Path,
    queries: Sequence[Path],
    chain: int | None,
    **node: float | None,
) -> int:
    """Check the installation, the configuration, the node and the database.

    Every line is a check with what was found; exit 2 if one failed.

    \b
    Examples:
      perpscope doctor
      perpscope doctor --rpc-url $ETH_RPC_URL --db risk.duckdb
    """
    failed = False
    for name, look in _checks(config, rpc_url, db, queries, chain, settings_of(node)):
        try:
            click.echo(f"ok    {name}: {look()}")
        except AnalyzerError as error:
            failed = True
            click.echo(f"FAIL  {name}: {error}")
    return 2 if failed else 0


def _checks(
    config: Config,
    rpc_url: Sequence[str],
    db: Path,
    queries: Sequence[Path],
    chain_id: int | None,
    settings: Settings,
) -> Iterator[Check]:
    yield "configuration", lambda: str(config.path or "none, defaults are used")
    yield "protocols", lambda: ", ".join(sorted(protocols()))
    yield "ABI files", _abis
    yield "query files", lambda: _queries(queries)
    if rpc_url:
        yield from _chain_checks(config, rpc_url, chain_id, settings)
    else:
        yield "node", lambda: "none is set (--rpc-url or ETH_RPC_URL)"
    if db.exists():
        yield from ((f"database {one.name}", partial(str, one.found)) for one in coverage(db))
    else:
        yield "database", lambda: f"none yet at {db}"


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
    config: Config, urls: Sequence[str], chain_id: int | None, settings: Settings
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
        return f"block {latest.number:,}, finalized {latest.number - final.number:,} behind"

    yield "node", node
    if not opened:
        return
    yield "head", heads
    for deployment in deployments_for(opened[0], config, (), ()):
        name = f"{deployment.protocol} {deployment.name}"
        yield name, partial(_contact, opened[0], deployment)
    opened[0].close()
