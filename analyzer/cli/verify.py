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

SHOWN_DIFFERENCES = 20


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
    """Ask the contracts themselves at the snapshot's block and compare, integer for integer.

    Nothing is written: what is compared here is never what `index` reads. Exit 0: something was
    compared, nothing differed, nothing was skipped; 1: a difference; 2: otherwise.

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
        subject = one.file or f"{one.protocol} {one.deployment} at block {one.block_number:,}"
        click.echo(
            f"{subject}: {found.verdicts:,} verdicts, {found.values:,} values, {found.flips:,} "
            f"liquidation prices compared; {len(found.differences):,} differ, {found.skipped:,} "
            "skipped"
        )


def _exit_code(verified: Sequence[Verified]) -> int:
    """Differences win over everything but nothing at all; reasons go to stderr."""
    differ = False
    tallies = [one.comparison for one in verified]
    incomplete = not any(tally.verdicts + tally.values + tally.flips for tally in tallies)
    if incomplete:
        cure = "check the files" if any(one.file for one in verified) else "run `perpscope index`"
        click.echo(f"error: nothing was compared: {cure} first", err=True)
    for one in verified:
        found = one.comparison
        name = one.file or f"{one.protocol} {one.deployment}"
        for difference in found.differences[:SHOWN_DIFFERENCES]:
            click.echo(
                f"{name}: {difference.subject} {difference.name} ({difference.kind}): "
                f"ours {difference.ours}, the contract's {difference.theirs}",
                err=True,
            )
        hidden = len(found.differences) - SHOWN_DIFFERENCES
        if hidden > 0:
            click.echo(f"{name}: {hidden:,} more differences", err=True)
        for reason in list(dict.fromkeys(found.skip_reasons))[:SHOWN_DIFFERENCES]:
            click.echo(f"{name}: skipped: {reason}", err=True)
        differ = differ or bool(found.differences)
        if found.verdicts + found.values + found.flips == 0:
            click.echo(f"{name}: there was nothing to compare", err=True)
        incomplete = incomplete or found.skipped > 0
    if differ:
        return 1
    return 2 if incomplete else 0
