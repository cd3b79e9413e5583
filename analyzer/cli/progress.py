"""Progress on stderr: a bar on a terminal, lines with --verbose, else nothing."""

import sys
from time import monotonic
from types import TracebackType
from typing import Final

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Column

from analyzer.protocol import Deployment

LINE_SECONDS: Final = 10.0
"""With --verbose, at most one line about blocks in so many seconds."""


class TerminalProgress:
    """Shows the stage of a run, how far its logs are, how fast they come and what is left."""

    def __init__(self, talk: int) -> None:
        self._speaks = talk > 0
        self._bar = Progress(
            TextColumn("{task.description}", table_column=Column(max_width=24, no_wrap=True)),
            BarColumn(bar_width=10),
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
        self._bar.reset(
            self._task, total=None, description=f"{deployment.name}: {text}", figures=""
        )
        self._begun = self._said = monotonic()
        if self._speaks:
            click.echo(f"{deployment.title}: {text}", err=True)

    def blocks(
        self, deployment: Deployment, done: int, total: int, logs: int, requests: int
    ) -> None:
        """Show blocks and logs done, logs per second, requests; the bar shows the time left."""
        passed = monotonic() - self._begun
        short = (
            f"{brief(done)}/{brief(total)} blocks, {brief(logs)} logs, "
            f"{brief(rate(logs, passed))} logs/s, {brief(requests)} requests"
        )
        self._bar.update(self._task, completed=done, total=total, figures=short)
        if self._speaks and monotonic() - self._said >= LINE_SECONDS:
            self._said = monotonic()
            left = passed * (total - done) / done if done else 0.0
            figures = (
                f"{done:,}/{total:,} blocks, {logs:,} logs, {rate(logs, passed):,} logs/s,"
                f" {requests:,} requests, {left:,.0f} s left"
            )
            click.echo(f"{deployment.title}: {figures}", err=True)

    def replayed(self, deployment: Deployment, logs: int) -> None:  # noqa: ARG002
        """Show how many stored logs have been replayed, and how many in a second."""
        passed = monotonic() - self._begun
        figures = f"{brief(logs)} logs, {brief(rate(logs, passed))} logs/s"
        self._bar.update(self._task, figures=figures)


def rate(logs: int, seconds: float) -> int:
    """Logs per second; none where no time has passed."""
    return round(logs / seconds) if seconds > 0 else 0


def brief(number: int) -> str:
    """A number in at most six characters, for a line of 100 columns: 12,345 as 12.3k."""
    for size, sign in ((10**9, "G"), (10**6, "M"), (10**4, "k")):
        if number >= size:
            value = number / (1_000 if sign == "k" else size)
            return f"{value:.3g}{sign}" if value < 999.5 else f"{value:.0f}{sign}"
    return f"{number:,}"
