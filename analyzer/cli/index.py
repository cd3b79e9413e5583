"""`perpscope index`: chain to database."""

from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import click
from click.core import ParameterSource

from analyzer.chain.interface import Tag
from analyzer.cli.accounts import resolve_accounts
from analyzer.cli.config import Config
from analyzer.cli.connect import connect, deployments_for, settings_of
from analyzer.cli.options import db_option, node_options, scope_options
from analyzer.cli.progress import TerminalProgress
from analyzer.errors import AnalyzerError
from analyzer.indexer.plan import Plan, Source
from analyzer.indexer.rebuild import rebuild
from analyzer.indexer.run import Outcome
from analyzer.indexer.run import index as run_index
from analyzer.protocol import FRESHEST, Deployment, PriceBasis
from analyzer.protocols import protocols
from analyzer.units import parse_decimal


@click.command()
@node_options
@db_option
@scope_options
@click.option(
    "--block",
    metavar="latest|safe|finalized|N",
    envvar="PERPSCOPE_BLOCK",
    help="The block of the snapshot [default: finalized; latest on a recorded chain].",
)
@click.option(
    "--confirmations",
    type=click.IntRange(0),
    metavar="N",
    help="The snapshot's block is so many below the newest one, instead of finalized.",
)
@click.option("--from-block", type=click.IntRange(0), help="Read history from this block on.")
@click.option("--to-block", type=click.IntRange(0), help="Read history up to this block.")
@click.option(
    "--positions",
    type=click.Choice(["logs", "state", "both"]),
    help="Where positions come from [default: the cheapest complete way]; both compares.",
)
@click.option(
    "--price", "prices", multiple=True, metavar="ASSET=USD", help="A price of your own. Repeatable."
)
@click.option(
    "--price-basis",
    type=click.Choice(get_args(PriceBasis)),
    default=FRESHEST,
    show_default=True,
    help="Which prices verdicts rest on where keepers sign them off chain (GMX v2): the newest "
    "executed ones, or those of the on-chain feed; freshest takes the executed one up to the "
    "protocol's own maximum age, else the feed within its heartbeat, else the one observed last.",
)
@click.option(
    "--bloom-checks",
    type=click.IntRange(0),
    metavar="N",
    help="Check the blooms of up to N blocks without logs in each range of logs far below the "
    "head; near the head all are checked [default: 10].",
)
@click.option(
    "--record",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write everything that is read as a recorded chain.",
)
@click.option(
    "--cross-check",
    type=click.IntRange(1),
    metavar="N",
    help="Compare every N-th answer with that of another --rpc-url; 1 compares all.",
)
@click.option(
    "--rebuild", "is_rebuild", is_flag=True, help="Rebuild the tables from raw data; no network."
)
@click.pass_obj
def index(
    config: Config,
    /,
    rpc_url: Sequence[str],
    db: Path,
    account: Sequence[str],
    protocol: Sequence[str],
    deployment: Sequence[str],
    chain: int | None,
    mainnet_rpc_url: str | None,
    block: str | None,
    confirmations: int | None,
    from_block: int | None,
    to_block: int | None,
    positions: Source | None,
    prices: Sequence[str],
    price_basis: PriceBasis,
    record: Path | None,
    cross_check: int | None,
    is_rebuild: bool,
    **node: float | None,
) -> int:
    """Read positions, oracle prices and funding from a chain into the database.

    Every number belongs to one block and can be recomputed from what is stored. Without --protocol
    or --deployment, the official deployments of the node's chain are read. A run goes on where an
    earlier one stopped.

    \b
    Examples:
      perpscope index --rpc-url https://... --account 0x489ee077994B6658eAfA855C308275EAd8097C4A
      perpscope index --rpc-url recording:chain.json.gz --db risk.duckdb
    """
    if is_rebuild:
        with TerminalProgress(config.talk) as progress:
            rebuilt = rebuild(db, progress)
        _say(config, f"rebuilt {len(rebuilt)} deployments in {db}")
        return 0
    if from_block is not None and to_block is not None and from_block > to_block:
        raise AnalyzerError(
            f"--from-block {from_block} is above --to-block {to_block}: there is no block between"
        )
    opened = connect(
        rpc_url,
        chain,
        settings_of(node),
        record,
        cross_check=cross_check or 0,
        talk=config.talk,
    )
    try:
        deployments = deployments_for(opened, config, protocol, deployment)
        _refuse_unused_basis(deployments)
        plan = Plan(
            deployments=deployments,
            block=_block(block, confirmations, is_recorded=opened.is_recorded),
            confirmations=confirmations or 0,
            accounts=resolve_accounts(account, mainnet_rpc_url),
            positions=positions,
            from_block=from_block,
            to_block=to_block,
            prices=dict(_price(text) for text in prices),
            price_basis=price_basis,
        )
        with TerminalProgress(config.talk) as progress:
            outcomes = run_index(opened, db, plan, progress)
    finally:
        opened.close()
    for outcome in outcomes:
        if outcome.error is None:
            _report(config, outcome)
    _report_errors(outcomes)
    return 2 if any(outcome.error for outcome in outcomes) else 0


def _refuse_unused_basis(deployments: Sequence[Deployment]) -> None:
    """A choice that changes nothing would look as if it had been made."""
    given = click.get_current_context().get_parameter_source("price_basis")
    is_named = given is ParameterSource.COMMANDLINE
    if is_named and not any(protocols()[one.protocol].takes_prices for one in deployments):
        raise AnalyzerError(
            "--price-basis has no effect here: these protocols liquidate at prices that stand on "
            "chain"
        )


def _report(config: Config, outcome: Outcome) -> None:
    name = outcome.deployment.title
    assert outcome.block is not None
    unknown = f", {outcome.unknown:,} unknown" if outcome.unknown else ""
    partly = ""
    if not outcome.complete:
        partly = "; INCOMPLETE, see `perpscope check unbalanced unknown_state data_quality`"
    elif outcome.books == "none":
        partly = "; some accounts only, so there are no totals to balance"
    _say(
        config,
        f"{name}: block {outcome.block.number:,}, {outcome.positions:,} open positions{unknown}, "
        f"{outcome.logs:,} new logs{partly}",
    )


def _report_errors(outcomes: Sequence[Outcome]) -> None:
    """Each error once, with all the deployments that it stopped."""
    stopped: dict[str, list[str]] = {}
    for outcome in outcomes:
        if outcome.error is not None:
            name = outcome.deployment.title
            stopped.setdefault(str(outcome.error), []).append(name)
    for error, names in stopped.items():
        click.echo(f"error: {', '.join(names)}: {error}", err=True)


def _say(config: Config, text: str) -> None:
    if config.talk >= 0:
        click.echo(text, err=True)


def _block(text: str | None, confirmations: int | None, *, is_recorded: bool) -> int | Tag:
    if confirmations is not None:
        if text not in (None, "latest"):
            raise AnalyzerError(
                f"--confirmations counts from the newest block, not from --block {text}: give one "
                "of the two"
            )
        return "latest"
    if text is None:
        return "latest" if is_recorded else "finalized"
    if text in ("latest", "safe", "finalized"):
        return text  # type: ignore[return-value]
    try:
        return int(text.replace("_", ""), 0)
    except ValueError as error:
        raise AnalyzerError(
            f"--block {text!r} is no block: it takes latest, safe, finalized or a number"
        ) from error


def _price(text: str) -> tuple[str, int]:
    asset, separator, amount = text.partition("=")
    if not separator or not asset:
        raise AnalyzerError(f"--price {text!r} is no price: write it as ETH=3210.5")
    key = asset.lower() if asset.startswith("0x") else asset.upper()
    try:
        return key, parse_decimal(amount, 18)
    except ValueError as error:
        raise AnalyzerError(f"--price {text!r} is no price: write it as ETH=3210.5") from error
