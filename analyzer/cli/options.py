"""Options that several commands share, so that all of them are spelled and checked alike."""

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import click

URL_BEGINS: Final = r"(?:https?|wss?)://|recording:|ipc:|file://|/"
Command = TypeVar("Command", bound=Callable[..., Any])
FORMATS: Final = ("table", "json", "jsonl", "csv", "markdown", "parquet", "sarif")
SEVERITIES: Final = ("info", "low", "medium", "high", "critical")

db_option = click.option(
    "--db",
    type=click.Path(path_type=Path, dir_okay=False),
    default="perpscope.duckdb",
    show_default=True,
    help="The database file.",
)


class Url(click.types.StringParamType):
    """A node's URL; an environment variable holds several, with commas or spaces between them."""

    name = "URL"

    def split_envvar_value(self, rv: str) -> list[str]:
        """The URLs in a variable: one begins where a scheme does, whatever else it may hold."""
        return re.split(rf"[\s,]+(?={URL_BEGINS})", rv.strip(" \t\r\n,"))


class Number(click.FloatRange):
    """A number in a range; ``nan`` is in none."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The number, or click's own error."""
        number = super().convert(value, param, ctx)
        if math.isnan(number):
            self.fail(f"{value} is not in the range {self._describe_range()}.", param, ctx)
        return number


def node_options(command: Command) -> Command:
    """``--rpc-url`` and how patiently, how fast and how much at once the node is asked."""
    for option in reversed(
        (
            click.option(
                "--rpc-url",
                multiple=True,
                type=Url(),
                metavar="URL",
                envvar=["PERPSCOPE_RPC_URL", "ETH_RPC_URL"],
                help="A node (http, ws or an IPC path) or recording:FILE. A secret: never printed. "
                "Repeatable, or several in the variable with commas or spaces between: where one "
                "node fails the next goes on.",
            ),
            click.option(
                "--timeout",
                type=Number(min=0.001, max=86_400),
                metavar="SECONDS",
                help="How long one request may take [default: 30].",
            ),
            click.option(
                "--max-attempts",
                type=click.IntRange(1, 100),
                metavar="N",
                help="How often one question is put to the node [default: 5].",
            ),
            click.option(
                "--concurrency",
                type=click.IntRange(1, 64),
                metavar="N",
                help="How many requests are under way at once [default: 4].",
            ),
            click.option(
                "--requests-per-second",
                type=Number(min=0.001, max=1_000_000),
                metavar="N",
                help="The node's rate limit [default: none].",
            ),
        )
    ):
        command = option(command)
    return command


mainnet_option = click.option(
    "--mainnet-rpc-url",
    metavar="URL",
    help="An Ethereum mainnet node, to resolve ENS names.",
)


def scope_options(command: Command) -> Command:
    """``--account``, ``--protocol``, ``--deployment``, ``--chain``: what the command is about."""
    for option in reversed(
        (
            click.option(
                "--account",
                multiple=True,
                metavar="ADDRESS|ENS|FILE|-",
                help="An account, a file with one on each line, or - for stdin. Repeatable.",
            ),
            click.option("--protocol", multiple=True, metavar="NAME", help="Repeatable."),
            click.option("--deployment", multiple=True, metavar="NAME", help="Repeatable."),
            click.option("--chain", type=int, metavar="ID", help="The chain's id."),
            mainnet_option,
        )
    ):
        command = option(command)
    return command


def output_options(formats: tuple[str, ...] = FORMATS) -> Callable[[Command], Command]:
    """``--format`` and ``-o``: in what shape, and where to."""

    def add(command: Command) -> Command:
        for option in (
            click.option(
                "-o",
                "--output",
                type=click.Path(path_type=Path),
                help="A file instead of stdout; its suffix picks the format if none is named.",
            ),
            click.option(
                "-f",
                "--format",
                "format_name",
                type=click.Choice(formats),
                envvar="PERPSCOPE_FORMAT",
                help="Default: table on a terminal, jsonl in a pipe.",
            ),
        ):
            command = option(command)
        return command

    return add


def queries_option(command: Command) -> Command:
    """``--queries``: a user's own folder of SQL files."""
    return click.option(
        "--queries",
        multiple=True,
        type=click.Path(path_type=Path, file_okay=False),
        help="A folder with your own query files. Repeatable.",
    )(command)


def block_option(command: Command) -> Command:
    """``--block`` and ``--complete``: as of an earlier snapshot, or of the last whole one."""
    command = click.option(
        "--complete",
        is_flag=True,
        help="Pass over snapshots that are not complete: as of the last one that is.",
    )(command)
    return click.option(
        "--block", type=int, metavar="N", help="As of the newest snapshot at or below block N."
    )(command)
