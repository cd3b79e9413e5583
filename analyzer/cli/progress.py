"""Progress on stderr: a bar on a terminal, lines with --verbose, else nothing."""

import sys
from types import TracebackType

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from analyzer.protocol import Deployment


class TerminalProgress:
    """Shows the stage of a run and how far its logs are."""

    def __init__(self, talk: int) -> None:
        self._speaks = talk > 0
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            TextColumn("{task.fields[logs]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(compact=True),
            console=Console(stderr=True),
            transient=True,
            disable=talk != 0 or not sys.stderr.isatty(),
        )
        self._task = self._bar.add_task("", total=None, logs="")

    def __enter__(self) -> "TerminalProgress":
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def stage(self, deployment: Deployment, text: str) -> None:
        """Name the stage that has begun."""
        line = f"{deployment.protocol} {deployment.name}: {text}"
        self._bar.reset(self._task, total=None, description=line, logs="")
        if self._speaks:
            click.echo(line, err=True)

    def replayed(self, deployment: Deployment, logs: int) -> None:  # noqa: ARG002
        """Show how many stored logs have been replayed."""
        self._bar.update(self._task, logs=f"{logs:,} logs")

    def blocks(self, deployment: Deployment, done: int, total: int, logs: int) -> None:  # noqa: ARG002
        """Show how many blocks are done and how many logs they held."""
        self._bar.update(self._task, completed=done, total=total, logs=f"{logs:,} logs")
