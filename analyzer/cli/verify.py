"""`perpscope verify`: our verdicts and amounts against the contracts' own."""

import json
from collections.abc import Sequence
from pathlib import Path

import click

from analyzer.cli.config import Config
from analyzer.cli.connect import connect, settings_of
from analyzer.cli.options import block_option, db_option, node_options
from analyzer.errors import AnalyzerError
from analyzer.indexer.verify import Verified, verify_database, verify_vectors
from analyzer.protocol import Comparison

SHOWN_DIFFERENCES = 20
GRAVITY = ("verdict", "flip", "value")


@click.command()
@node_options
@db_option
@click.option("--protocol", multiple=True, metavar="NAME", help="Repeatable.")
@click.option("--deployment", multiple=True, metavar="NAME", help="Repeatable.")
@click.option("--chain", type=int, metavar="ID", help="The chain's id.")
@block_option
@click.option(
    "--vectors",
    multiple=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="Compare with a file of recorded contract answers instead of a chain. Repeatable.",
)
@click.argument("more", nargs=-1, type=click.Path(path_type=Path, dir_okay=False))
@click.option("-f", "--format", "format_name", type=click.Choice(["table", "json"]))
@click.pass_obj
def verify(
    config: Config,
    /,
    rpc_url: Sequence[str],
    db: Path,
    protocol: Sequence[str],
    deployment: Sequence[str],
    chain: int | None,
    block: int | None,
    complete: bool,
    vectors: Sequence[Path],
    more: Sequence[Path],
    format_name: str | None,
    **node: float | None,
) -> int:
    """Ask the node again at the snapshot's block and compare, integer for integer.

    Twice: with the contracts' own verdicts and amounts, which `index` never reads, and with what
    comes of reading all state again and computing verdicts, liquidation prices and amounts anew.
    Nothing is written. Exit 0: something was compared, nothing differed, nothing was skipped; 1: a
    difference; 2: otherwise. An account without a verdict is skipped by name.

    \b
    Examples:
      perpscope verify --rpc-url $ETH_RPC_URL --db risk.duckdb
      perpscope verify --vectors gmx_v1.json.gz --format json
    """
    if more and not vectors:
        raise click.UsageError("files of recorded answers are named with --vectors")
    errors: Sequence[AnalyzerError] = ()
    if vectors:
        verified, errors = verify_vectors([*vectors, *more])
    else:
        opened = connect(rpc_url, chain, settings_of(node), talk=config.talk)
        try:
            verified = verify_database(opened, db, protocol, deployment, block, complete=complete)
        finally:
            opened.close()
    if errors and not verified:
        raise AnalyzerError("; ".join(map(str, errors)))
    if format_name == "json":
        click.echo(json.dumps([one.report() for one in verified], indent=2))
    else:
        _table(verified)
    for error in errors:
        click.echo(f"error: {error}", err=True)
    code = _exit_code(verified)
    return code or (2 if errors else 0)


def _table(verified: Sequence[Verified]) -> None:
    for one in verified:
        found = one.comparison
        at = "" if one.file else f" at block {one.block_number:,}"
        click.echo(
            f"{one.title}{at}: {_compared(found)} compared; {len(found.differences):,} differ, "
            f"{found.skipped:,} skipped"
        )
        if one.file:
            continue
        click.echo(f"  with the contracts' own answers: {_compared(one.views)}")
        click.echo(f"  with what this node's state comes to: {_compared(one.recomputed)}")
        if found.without_question:
            things = ", ".join(f"{n:,} {what}" for what, n in found.without_question.items())
            click.echo(f"  not compared with a contract's own, none tells them: {things}")


def _compared(found: Comparison) -> str:
    counts = [f"{found.verdicts:,} verdicts", f"{found.values:,} values"]
    if found.flips:
        counts.append(f"{found.flips:,} liquidation prices")
    return ", ".join(counts)


def _exit_code(verified: Sequence[Verified]) -> int:
    """Differences win over everything but nothing at all; reasons go to stderr."""
    if not any(one.comparison.compared for one in verified):
        cure = "check the files" if any(one.file for one in verified) else "see why below"
        click.echo(f"error: nothing was compared: {cure}", err=True)
    for one in verified:
        _say_why(one)
    if any(one.comparison.differences for one in verified):
        return 1
    is_whole = not any(one.comparison.skipped or one.errors for one in verified)
    return 0 if is_whole and any(one.comparison.compared for one in verified) else 2


def _say_why(one: Verified) -> None:
    """What differs, what was skipped and what went wrong, each by name."""
    found = one.comparison
    for error in dict.fromkeys(map(str, one.errors)):
        click.echo(f"error: {one.title}: {error}", err=True)
    gravest_first = sorted(found.differences, key=lambda one: GRAVITY.index(one.kind))
    for difference in gravest_first[:SHOWN_DIFFERENCES]:
        theirs = "this node's" if difference in one.recomputed.differences else "the contract's"
        click.echo(
            f"{one.title}: {difference.subject} {difference.name} ({difference.kind}): "
            f"ours {difference.ours}, {theirs} {difference.theirs}",
            err=True,
        )
    hidden = len(found.differences) - SHOWN_DIFFERENCES
    if hidden > 0:
        click.echo(f"{one.title}: {hidden:,} more differences", err=True)
    reasons = list(dict.fromkeys(found.skip_reasons))
    for reason in reasons[:SHOWN_DIFFERENCES]:
        click.echo(f"{one.title}: skipped: {reason}", err=True)
    if len(reasons) > SHOWN_DIFFERENCES:
        click.echo(f"{one.title}: {len(reasons) - SHOWN_DIFFERENCES:,} more skipped", err=True)
    if not found.compared and not one.errors:
        click.echo(f"{one.title}: there was nothing to compare", err=True)
