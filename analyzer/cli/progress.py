"""Progress on stderr: a bar on a terminal, lines with --verbose, else nothing."""

import sys
from time import monotonic
from types import TracebackType
from typing import Final

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from analyzer.protocol import Deployment

LINE_SECONDS: Final = 10.0
"""With --verbose, at most one line about blocks in so many seconds."""


class TerminalProgress:
    """Shows the stage of a run, how far its logs are, how fast they come and what is left."""

    def __init__(self, talk: int) -> None:
        self._speaks = talk > 0
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            TextColumn("{task.fields[figures]}"),
            TimeRemainingColumn(compact=True),
            console=Console(stderr=True),
            transient=True,
            disable=talk != 0 or not sys.stderr.isatty(),
        )
        self._task = self._bar.add_task("", total=None, figures="")
        self._begun = self._said = monotonic()

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
        self._bar.reset(self._task, total=None, description=line, figures="")
        self._begun = self._said = monotonic()
        if self._speaks:
            click.echo(line, err=True)

    def blocks(
        self, deployment: Deployment, done: int, total: int, logs: int, requests: int
    ) -> None:
        """Show blocks and logs done, logs per second, requests; the bar shows the time left."""
        passed = monotonic() - self._begun
        figures = (
            f"{done:,}/{total:,} blocks, {logs:,} logs, {rate(logs, passed)}, {requests:,} requests"
        )
        self._bar.update(self._task, completed=done, total=total, figures=figures)
        if self._speaks and monotonic() - self._said >= LINE_SECONDS:
            self._said = monotonic()
            left = passed * (total - done) / done if done else 0.0
            name = f"{deployment.protocol} {deployment.name}"
            click.echo(f"{name}: {figures}, {left:,.0f} s left", err=True)

    def replayed(self, deployment: Deployment, logs: int) -> None:  # noqa: ARG002
        """Show how many stored logs have been replayed, and how many in a second."""
        passed = monotonic() - self._begun
        self._bar.update(self._task, figures=f"{logs:,} logs, {rate(logs, passed)}")


def rate(logs: int, seconds: float) -> str:
    """Logs per second, as far as there is anything to tell."""
    return f"{logs / seconds:,.0f} logs/s" if seconds > 0 else "- logs/s"
