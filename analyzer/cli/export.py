"""`perpscope export`: every finding and report to files."""

from collections.abc import Sequence
from pathlib import Path

import click

from analyzer.cli.config import Config
from analyzer.cli.options import queries_option
from analyzer.cli.querying import (
    NEWEST,
    Asked,
    AsOf,
    asked_params,
    open_asked,
    query_options,
    run_all,
)
from analyzer.exports import write
from analyzer.findings import Filters, Query, load

FILE_FORMATS = ("json", "jsonl", "csv", "markdown", "parquet")
SUFFIXES = {"markdown": "md"}


@click.command()
@click.argument("name", nargs=-1)
@click.option(
    "-o",
    "--output-dir",
    type=click.Path(path_type=Path, file_okay=False),
    default="perpscope-export",
    show_default=True,
    help="The folder to write to.",
)
@click.option(
    "-f",
    "--format",
    "formats",
    multiple=True,
    type=click.Choice(FILE_FORMATS),
    default=("json", "csv", "parquet"),
    show_default=True,
    help="Repeatable.",
)
@query_options
@click.option(
    "--param", multiple=True, metavar="NAME=VALUE", help="A query's parameter. Repeatable."
)
@queries_option
@click.pass_obj
def export(
    config: Config,
    name: Sequence[str],
    output_dir: Path,
    formats: Sequence[str],
    db: Path,
    filters: Filters,
    as_of: AsOf,
    param: Sequence[str],
    queries: Sequence[Path],
) -> int:
    """Write every finding and report, or those that are named, to a folder: one file each.

    \b
    Examples:
      perpscope export --db risk.duckdb -o out
      perpscope export positions prices -f parquet
    """
    known = load(queries)
    chosen = [known[one] for one in name if one in known] if name else list(known.values())
    if len(chosen) < len(name):
        from analyzer.indexer.deployments import nearest  # noqa: PLC0415  only for the error

        unknown = next(one for one in name if one not in known)
        raise click.UsageError(f"there is no query {unknown!r}: {nearest(unknown, known)}")
    asked = asked_params(param, known.values(), config.now)
    written = export_all(db, output_dir, chosen, asked, filters, formats, as_of, config.talk)
    if config.talk >= 0:
        click.echo(f"wrote {len(written)} files to {output_dir}", err=True)
    return 0


def export_all(
    db: Path,
    folder: Path,
    queries: Sequence[Query],
    asked: Asked,
    filters: Filters,
    formats: Sequence[str],
    as_of: AsOf = NEWEST,
    talk: int = 0,
) -> list[Path]:
    """One file for each query and format; a query without rows gives a file without rows."""
    with open_asked(db, as_of, filters, talk) as connection:
        results = run_all(connection, queries, asked, filters)
    folder.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    for result in results:
        for format_name in formats:
            path = folder / f"{result.query.name}.{SUFFIXES.get(format_name, format_name)}"
            write([result], format_name, path)
            written.append(path)
    return written
