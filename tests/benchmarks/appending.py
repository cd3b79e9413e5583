"""What appending costs in an empty and in a large database, and how much memory indexing takes.

python -m tests.benchmarks.appending 10000000
"""

import resource
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import fmean
from time import perf_counter, process_time

import numpy as np
from duckdb import DuckDBPyConnection

from analyzer.abi import load_abi
from analyzer.evm import Block, LogBatch, LogFilter
from analyzer.indexer.history import follow_logs
from analyzer.indexer.plan import Plan, Silent
from analyzer.log_columns import LogColumns
from analyzer.payloads import Payloads, Templates
from analyzer.protocol import Deployment
from analyzer.protocols import protocols
from analyzer.store.database import open_for_writing
from tests.benchmarks.measure import Line

LARGE = 1_000_000
APPENDED = 10_000
APPENDS = 24
LOGS_A_BLOCK = 20
RANGE = 800
"""Blocks of one answer: 16,000 logs, as many as a range grows to."""
TRADERS = 2_000
CLEARING_HOUSE = "0x" + "ab" * 20
DEPLOYMENT = Deployment(
    "perp_v2", "made", 10, 0, dict.fromkeys(protocols()["perp_v2"].contracts, CLEARING_HOUSE)
)
EVENT = load_abi("perp_v2", "ClearingHouse").events["PositionChanged"]
WORDS = sum(not is_indexed for _, _, is_indexed in EVENT.fields)


@dataclass
class MadeChain:
    """PositionChanged logs in every block, made up as they are asked for."""

    height: int
    requests = 0

    def block(self, number: int) -> Block:
        return Block(number, f"0x{number:064x}", f"0x{max(0, number - 1):064x}", number)

    def logs(
        self,
        _filters: Sequence[LogFilter],
        from_block: int,
        to_block: int,
        _templates: Templates | None = None,
    ) -> Iterator[LogBatch]:
        for first in range(from_block, to_block + 1, RANGE):
            last = min(to_block, first + RANGE - 1)
            yield LogBatch(first, last, _made(first, last), [self.block(first), self.block(last)])


def lines(logs: int = LARGE) -> Iterator[Line]:
    """The cost of appending, wall and processor, and the peak of memory with all of it.

    Once with the file open, as for a run of many ranges, and once from opening it to closing it.
    Both databases take turns, so that what else the machine does falls to both.
    """
    with tempfile.TemporaryDirectory() as folder:
        large, empty = Path(folder) / "large.duckdb", Path(folder) / "empty.duckdb"
        run(large, logs // LOGS_A_BLOCK)
        run(empty, 0)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        heads = {large: logs // LOGS_A_BLOCK, empty: 0}
        with open_for_writing(large) as one, open_for_writing(empty) as other:
            connections = {large: one, empty: other}
            within = appending(heads, lambda path, head: follow(connections[path], head))
        whole = appending(heads, run)
    for name, times in (("file open", within), ("whole run", whole)):
        for place, clock in enumerate(("wall", "processor")):
            yield Line(
                f"appending {APPENDED:,} logs to {logs:,}, {name}, {clock}",
                f"{times[large][place] * 1000:,.0f} ms",
                f"{times[large][place] / times[empty][place]:.2f} x an empty database's",
            )
    yield Line(f"memory while {logs:,} logs were indexed", f"{peak:,.0f} MB", "at its peak")


def appending(
    heads: dict[Path, int], append: Callable[[Path, int], object]
) -> dict[Path, tuple[float, float]]:
    """Mean seconds, wall and processor, of bringing each database up to a new head, by turns.

    DuckDB joins row groups that are not full whenever it writes a checkpoint, the more of them the
    more; a full one takes twelve times, so the mean of two such rounds is taken.
    """
    times: dict[Path, list[tuple[float, float]]] = {path: [] for path in heads}
    for _ in range(APPENDS):
        for path, head in heads.items():
            heads[path] = head + APPENDED // LOGS_A_BLOCK
            times[path].append(timed(partial(append, path, heads[path])))
    return {path: _means(one) for path, one in times.items()}


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds on the clock and of the processor."""
    wall, processor = perf_counter(), process_time()
    work()
    return perf_counter() - wall, process_time() - processor


def _means(times: Sequence[tuple[float, float]]) -> tuple[float, float]:
    return fmean(wall for wall, _ in times), fmean(processor for _, processor in times)


def run(path: Path, head: int) -> None:
    """Open the database, append, close it."""
    with open_for_writing(path) as connection:
        follow(connection, head)


def follow(connection: DuckDBPyConnection, head: int) -> None:
    """Read logs up to a head and replay them."""
    chain = MadeChain(head)
    plan = Plan(deployments=[DEPLOYMENT])
    follow_logs(chain, connection, DEPLOYMENT, plan, "logs", chain.block(head), Silent())


def _made(first: int, last: int) -> LogColumns:
    count = (last - first + 1) * LOGS_A_BLOCK
    chance = np.random.default_rng(first)
    numbers = np.repeat(np.arange(first, last + 1), LOGS_A_BLOCK)
    places = np.tile(np.arange(LOGS_A_BLOCK), last - first + 1)
    topics = np.zeros((count, 4, 32), np.uint8)
    topics[:, 0] = np.frombuffer(bytes.fromhex(EVENT.topic[2:]), np.uint8)
    topics[:, 1, 30:] = (
        chance.integers(0, TRADERS, count).astype(">u2").view(np.uint8).reshape(-1, 2)
    )
    topics[:, 2, 31] = chance.integers(0, 5, count)
    data = np.zeros((count, WORDS, 32), np.uint8)
    data[:, :, 24:] = chance.integers(0, 100, (count, WORDS, 8))
    return LogColumns(
        block_number=numbers,
        tx_index=places // 2,
        log_index=places,
        block_time=1_600_000_000 + numbers,
        block_hash=_hashes(numbers),
        tx_hash=chance.integers(0, 256, (count // 2, 32), np.uint8).repeat(2, axis=0),
        address=np.full((count, 20), 0xAB, np.uint8),
        topics=topics,
        topic_count=np.full(count, 3),
        payloads=Payloads.whole(data.reshape(-1), np.arange(count + 1) * 32 * WORDS),
    )


def _hashes(numbers: np.ndarray) -> np.ndarray:
    rows = np.zeros((len(numbers), 32), np.uint8)
    rows[:, 24:] = numbers.astype(">u8").view(np.uint8).reshape(-1, 8)
    return rows


if __name__ == "__main__":
    for line in lines(int(sys.argv[1]) if len(sys.argv) > 1 else LARGE):
        sys.stdout.write(f"{line.what:<64} {line.figure:>10}   {line.ratio}\n")
