"""`perpscope prune`: drop what is not needed any more."""

from pathlib import Path

import click

from analyzer.cli.config import Config
from analyzer.cli.options import db_option
from analyzer.errors import AnalyzerError
from analyzer.store.database import open_for_writing, transaction
from analyzer.store.pruning import forget_chain


@click.command()
@db_option
@click.option(
    "--chain", type=int, metavar="ID", required=True, help="Drop everything of this chain id."
)
@click.pass_obj
def prune(config: Config, db: Path, chain: int) -> int:
    """Drop a chain from the database: its logs, reads, snapshots and the history of its findings.

    What is dropped can be read again from a node. A development chain that was started anew has the
    id of the old one and is another chain: drop the old one first.

    \b
    Examples:
      perpscope prune --chain 31337 --db risk.duckdb
    """
    if not db.exists():
        raise AnalyzerError(f"there is no database at {db}: nothing to prune")
    with open_for_writing(db) as connection, transaction(connection):
        count = forget_chain(connection, chain)
    if not count:
        raise AnalyzerError(f"{db.name} holds nothing of chain {chain}")
    if config.talk >= 0:
        click.echo(f"dropped {count:,} rows of chain {chain} from {db.name}", err=True)
    return 0
