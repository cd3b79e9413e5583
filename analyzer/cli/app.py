"""The command group: commands are imported when they are called, so that --help is instant."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import click

from analyzer import __version__

COMMANDS: Final = {
    "demo": "Index the shipped recorded chains and show what is found: no key, no node.",
    "index": "Read positions, prices and funding from a chain into the database.",
    "check": "Run the findings; exit 1 if there are any.",
    "show": "Show a report: positions, margin, prices, funding, markets, accounts.",
    "explain": "Explain a finding or a position, line by line, in the contract's own integers.",
    "verify": "Compare our verdicts and amounts with the contracts' own.",
    "export": "Write every finding and report to files.",
    "prune": "Drop a chain from the database.",
    "doctor": "Check the installation, the configuration, the node and the database.",
}

PREFIX: Final = "PERPSCOPE"
OWN_MEANING: Final = ("block", "format")
"""Options whose values differ from command to command."""


class ReaderGoneError(Exception):
    """Whoever read the output has closed it. Click ends with 1 here, which says "findings"."""


class LazyGroup(click.Group):
    """A group whose commands live in modules of the same name."""

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        """Read the command line, which may print a help text."""
        with _noticing_a_closed_pipe():
            return super().make_context(info_name, args, parent, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        with _noticing_a_closed_pipe():
            return super().invoke(ctx)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  click's signature
        """The commands, in the order in which a newcomer meets them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command's function, imported now."""
        if cmd_name not in COMMANDS:
            return None
        if ctx.resilient_parsing:
            return click.Command(cmd_name)
        command = getattr(import_module(f"analyzer.cli.{cmd_name}"), cmd_name)
        assert isinstance(command, click.Command)
        read_environment(command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """The list of commands, without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that was named, or an error that names the nearest one."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            from difflib import get_close_matches  # noqa: PLC0415

            close = get_close_matches(args[0], COMMANDS, n=1)
            hint = f" Did you mean {close[0]}?" if close else " See perpscope --help."
            raise click.UsageError(f"There is no command {args[0]!r}.{hint}", ctx)
        return super().resolve_command(ctx, args)


@contextmanager
def _noticing_a_closed_pipe() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError as error:
        raise ReaderGoneError from error


def read_environment(command: click.Command) -> None:
    """Let ``PERPSCOPE_TIMEOUT`` speak for the ``--timeout`` of every command that has one.

    For an option whose values differ from command to command, ``PERPSCOPE_EXPLAIN_FORMAT`` does.
    """
    for option in command.params:
        if isinstance(option, click.Option) and option.envvar is None and option.expose_value:
            words = [max(option.opts, key=len).removeprefix("--")]
            if words[0] in OWN_MEANING and command.name:
                words.insert(0, command.name)
            option.envvar = "_".join([PREFIX, *words]).replace("-", "_").upper()


@click.group(
    cls=LazyGroup,
    context_settings={
        "help_option_names": ["-h", "--help"],
        "max_content_width": 100,
    },
)
@click.version_option(__version__, "-V", "--version", prog_name="perpscope")
@click.option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Configuration file [default: ./perpscope.toml, else the one in the config folder].",
)
@click.option("--traceback", is_flag=True, help="On an unexpected error, print the whole trace.")
@click.option("-v", "--verbose", count=True, help="Say more on stderr; twice for every request.")
@click.option("-q", "--quiet", is_flag=True, help="Say nothing but errors on stderr.")
@click.pass_context
def cli(
    ctx: click.Context,
    config: Path | None,
    traceback: bool,  # noqa: ARG001  read where the trace is printed
    verbose: int,
    quiet: bool,
) -> None:
    """Exact liquidation and oracle risk of on-chain perpetual futures.

    Reads GMX and Perpetual Protocol positions from the chain into a DuckDB file and tells which are
    close to liquidation, at which exact price, and where the oracle disagrees. It never asks for a
    key and cannot send a transaction.

    \b
    Examples:
      perpscope demo
      perpscope index --rpc-url $ETH_RPC_URL --db risk.duckdb && perpscope check --db risk.duckdb
    """
    from datetime import UTC, datetime  # noqa: PLC0415

    from analyzer.cli.config import load_config  # noqa: PLC0415

    now = ctx.obj or datetime.now(UTC)  # noqa: TID251  nothing else looks at the clock
    ctx.obj = load_config(config, now, talk=-1 if quiet else verbose)
    ctx.default_map = ctx.obj.default_map(list(COMMANDS))


read_environment(cli)
