"""`perpscope show`: reports."""

from collections.abc import Sequence
from pathlib import Path

import click

from analyzer.cli.config import Config
from analyzer.cli.options import (
    output_options,
    queries_option,
)
from analyzer.cli.output import emit
from analyzer.cli.querying import AsOf, asked_params, choose, open_asked, query_options, run_all
from analyzer.findings import Filters, load


@click.command()
@click.argument("report", required=False)
@query_options
@click.option(
    "--param", multiple=True, metavar="NAME=VALUE", help="A query's parameter. Repeatable."
)
@queries_option
@output_options()
@click.pass_obj
def show(
    config: Config,
    report: str | None,
    db: Path,
    filters: Filters,
    as_of: AsOf,
    param: Sequence[str],
    queries: Sequence[Path],
    format_name: str | None,
    output: Path | None,
) -> int:
    """Show a report; without a name, list the reports and findings there are.

    \b
    Examples:
      perpscope show positions --account 0x489ee077994B6658eAfA855C308275EAd8097C4A
      perpscope show prices --format csv -o prices.csv
    """
    known = load(queries)
    if report is None:
        for query in known.values():
            kind = f"{query.severity} finding" if query.is_finding else "report"
            click.echo(f"{query.name:<18} {kind:<17} {query.title}")
        return 0
    chosen = choose([report], known, findings=False)
    asked = asked_params(param, known.values(), config.now)
    with open_asked(db, as_of, filters, config.talk) as connection:
        results = run_all(connection, chosen, asked, filters)
    emit(results, format_name, output)
    return 0
