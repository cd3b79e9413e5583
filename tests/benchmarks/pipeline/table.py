"""Measures every pipeline on every chain, and shows the rates beside each other.

All in one run on one machine: a rate means little, the ratio of two of them what it says. The
best of a few rounds counts; who stored another number of rows than there are logs gets no rate.
"""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from math import isnan
from pathlib import Path
from typing import Any, Final

from tests.benchmarks.pipeline import anvil_chain, chain, events
from tests.benchmarks.pipeline.job import Done, FailedError, Job, sample, stored_there
from tests.benchmarks.pipeline.ours import OURS
from tests.benchmarks.pipeline.peers import PEERS
from tests.benchmarks.pipeline.pipeline import Pipeline
from tests.benchmarks.pipeline.references import REFERENCES
from tests.benchmarks.pipeline.serving import recorded_server
from tests.contracts.anvil import Anvil

SIMPLE_LOGS: Final = 1_000_000
SIMPLE_TO_NESTED: Final = 4
"""A nested log has eleven times the bytes of a simple one; fewer would measure starting."""
MOST_ON_ANVIL: Final = 100_000
"""It mines every block that it is given, and keeps them in memory."""
MOST_ROUNDS: Final = 3
SIMPLE, NESTED, ANVIL = "simple", "nested", "anvil"
CHAINS: Final = (SIMPLE, NESTED, ANVIL)
MEASURED: Final = (
    "simple, logs/s", "nested", "anvil", f"ours / theirs ({', '.join(CHAINS)})",
    "the same by processor time",
)  # fmt: skip
Say = Callable[[str], object]


@dataclass(frozen=True, slots=True)
class Figure:
    """The best of a pipeline's rounds on a chain, or why there is none."""

    done: Done | None = None
    error: str = ""
    whole: bool = True

    @property
    def rate(self) -> float:
        """Logs a second."""
        return self.done.rows / self.done.seconds if self.done else float("nan")

    @property
    def processor_rate(self) -> float:
        """Logs a second that one core had for it: what else runs on the machine matters less."""
        return self.done.rows / self.done.processor_seconds if self.done else float("nan")

    def better(self, other: "Figure | None") -> "Figure":
        """The one with the higher rate; an error is never forgotten."""
        if other is None or self.error:
            return self
        return other if other.error or other.rate > self.rate else self

    def __str__(self) -> str:
        if self.done is None:
            return "none"
        return f"{self.rate:,.0f}" + ("" if self.whole else f" (of {self.done.rows:,})")


@dataclass(slots=True)
class Table:
    """Figures by pipeline and chain."""

    pipelines: Sequence[Pipeline]
    figures: dict[tuple[str, str], Figure] = field(default_factory=dict)

    def markdown(self) -> str:
        """The whole table in Markdown."""
        lines = [("pipeline", "ends in", *MEASURED, "what it does not do")]
        lines.append(("---",) * len(lines[0]))
        lines += [(o.name, o.ends_in, *self._measured(o), o.lacks) for o in self.pipelines]
        return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)

    def text(self) -> Iterator[str]:
        """The figures for a terminal; below them where rows end and what is not done."""
        lines = [("pipeline", *MEASURED)]
        lines += [(one.name, *self._measured(one)) for one in self.pipelines]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        for line in lines:
            cells = zip(line, widths, strict=True)
            yield "  ".join([cell.ljust(width) for cell, width in cells])
        yield ""
        for one in self.pipelines:
            yield f"{one.name}: ends in {one.ends_in}; {one.lacks}"
        for (name, on), figure in self.figures.items():
            if figure.error:
                yield f"{name} has no figure on {on}: {figure.error}"

    def _measured(self, one: Pipeline) -> tuple[str, ...]:
        figures = [self.figures.get((one.name, name)) for name in CHAINS]
        cells = [str(figure) if figure else "" for figure in figures]
        return *cells, self._ratios(figures, "rate"), self._ratios(figures, "processor_rate")

    def _ratios(self, figures: Sequence[Figure | None], by: str) -> str:
        ratios = []
        for name, figure in zip(CHAINS, figures, strict=True):
            ours = self.figures.get((OURS[0].name, name))
            ratio = getattr(ours, by) / getattr(figure, by) if ours and figure else float("nan")
            ratios.append("-" if isnan(ratio) else f"{ratio:.3g}")
        return ", ".join(ratios)


def measure(
    say: Say,
    only: Sequence[str] = (),
    chains: Sequence[str] = CHAINS,
    logs: int = SIMPLE_LOGS,
    rounds: int = MOST_ROUNDS,
) -> Table:
    """Run everything, or the pipelines whose names hold one of the words in ``only``."""
    everything = (*OURS, *PEERS, *REFERENCES)
    table = Table([one for one in everything if not only or any(word in one.name for word in only)])
    for name in chains:
        say(f"the {name} chain is being made")
        try:
            with (
                tempfile.TemporaryDirectory(prefix="bench-") as folder,
                _chain(name, folder, logs) as made,
            ):
                _measure_chain(table, name, *made, rounds, say)
        except (OSError, RuntimeError) as error:
            say(f"nothing more is measured on the {name} chain: {error}")
    return table


def _measure_chain(
    table: Table, name: str, about: chain.About, url: str, chain_id: int, rounds: int, say: Say
) -> None:
    expected: dict[int, int] = {}
    for turn in range(rounds):
        for one in table.pipelines:
            if turn >= one.rounds:
                continue
            last = sample(about, one.nested if name == NESTED else one.simple)
            event = "EventLog1" if name == NESTED else "PositionChanged"
            with tempfile.TemporaryDirectory(prefix="bench-") as folder:
                job = Job(url, chain_id, about.address, event, about.first_block, last, folder)
                if last not in expected:
                    expected[last] = stored_there(job)
                figure = _figure(one, job, expected[last], whole=last == about.last_block)
            say(f"{name}, round {turn + 1}: {one.name}: {figure}{_processor(figure)}")
            known = table.figures.get((one.name, name))
            table.figures[one.name, name] = figure.better(known)


def _figure(one: Pipeline, job: Job, expected: int, *, whole: bool) -> Figure:
    try:
        done = one.work(job)
    except (FailedError, OSError, RuntimeError) as error:
        return Figure(error=str(error))
    if done.rows != expected:
        return Figure(error=f"stored {done.rows:,} rows of {expected:,} logs")
    return Figure(done, whole=whole)


def _processor(figure: Figure) -> str:
    if figure.done is None or isnan(figure.done.processor_seconds):
        return ""
    done = figure.done
    return f" ({done.seconds:.2f} s, {done.processor_seconds:.2f} s of the processor)"


def _chain(name: str, folder: str, logs: int) -> AbstractContextManager[tuple[Any, ...]]:
    if name == ANVIL:
        return _anvil(min(logs, MOST_ON_ANVIL))
    if name == NESTED:
        nested = events.nested_events(logs // SIMPLE_TO_NESTED)
        return _recorded(Path(folder) / name, events.EVENT_EMITTER, nested)
    return _recorded(Path(folder) / name, events.CLEARING_HOUSE, events.simple_events(logs))


@contextmanager
def _recorded(
    folder: Path, address: str, emitted: Iterator[events.Event]
) -> Iterator[tuple[chain.About, str, int]]:
    about = chain.write(folder, address, emitted)
    with recorded_server(folder) as url:
        yield about, url, chain.CHAIN_ID


@contextmanager
def _anvil(logs: int) -> Iterator[tuple[chain.About, str, int]]:
    with Anvil() as node:
        about = anvil_chain.fill(node, events.simple_events(logs))
        yield about, node.url, int(node.rpc("eth_chainId"), 16)
