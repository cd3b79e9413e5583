"""One seed: our own process follows a chain that turns, through faults, and is killed on the way.

In the end its database must hold what one holds that was indexed straight from the chain.
"""

import json
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import duckdb

from analyzer.chain import Settings, open_chain
from analyzer.indexer.deployments import deployment_of
from analyzer.indexer.plan import Plan as IndexPlan
from analyzer.indexer.run import index
from tests.contracts.anvil import Anvil
from tests.databases import contents
from tests.faults.node import Node
from tests.faults.plan import Kill, Plan, Stage, draw
from tests.faults.proxy import Proxy
from tests.faults.traded_chain import ACCOUNTS, Move, TradedChain

ROOT = Path(__file__).parents[2]
MAX_GIVEN_UP = 10
"""How often a stage may end in an error and be started again."""
MAX_RUNS = 24
MAX_ATTEMPTS = 8
TIMEOUT = 1
RUN_SECONDS = 120
INTERRUPTED = (130, -signal.SIGINT)
"""Exit codes of a run that was told to stop; the second where it was ending by itself already."""
NEVER_SAID = ("Traceback", '  File "', "a case it does not know", "Exception ignored")
SHOWN = 3
WIDTH = 300
HEADERS = """
select number, hash from raw_blocks
union select to_block, to_hash from checkpoints where to_hash is not null
"""
MISCOUNTED = """
select c.from_block, c.to_block, c.logs, count(l.block_number)
from checkpoints as c
left join raw_logs as l
    on l.filter = c.filter and l.block_number between c.from_block and c.to_block
group by all
having c.logs <> count(l.block_number)
"""


@dataclass(slots=True)
class Result:
    """What a seed came to. ``problems`` and ``differing`` should both be empty and 0."""

    seed: int
    faults: Counter[str] = field(default_factory=Counter)
    wordings: Counter[tuple[str, str]] = field(default_factory=Counter)
    depths: Counter[int] = field(default_factory=Counter)
    counts: Counter[str] = field(default_factory=Counter)
    rows: int = 0
    differing: int = 0
    problems: list[str] = field(default_factory=list)

    @property
    def is_good(self) -> bool:
        """Whether all went as it should."""
        return not self.problems and self.differing == 0


def run(seed: int, without: Collection[str] = ()) -> Result:
    """One seed from beginning to end."""
    plan = draw(seed, without)
    with TemporaryDirectory(prefix="perpscope-faults-") as folder, Anvil(ACCOUNTS) as node:
        return _Run(plan, TradedChain(node, seed, plan.blocks), Path(folder)).whole()


class _Run:
    def __init__(self, plan: Plan, chain: TradedChain, folder: Path) -> None:
        self.plan = plan
        self.chain = chain
        self.folder = folder
        self.database = folder / "followed.duckdb"
        self.result = Result(plan.seed)
        self.process: subprocess.Popen[str] | None = None
        self.node = Node(chain, plan.provider)
        self.proxy = Proxy(self.node, plan, self.arrive)
        self.arrived = 0
        self.moves: list[tuple[int, Move]] = []
        self.kills: list[Kill] = []
        self.sent: list[signal.Signals] = []
        self.table = chain.deployment(names_amms=plan.names_amms)

    def whole(self) -> Result:
        """All stages, then the comparison."""
        (self.folder / "perpscope.toml").write_text(_toml(self.table))
        try:
            with self.proxy:
                for stage in self.plan.stages:
                    if not self.stage(stage):
                        break
            self.result.faults.update(self.proxy.met)
            self.result.wordings.update(self.proxy.wordings)
            if not self.result.problems:
                self.compare()
        finally:
            self.node.close()
        return self.result

    def stage(self, stage: Stage) -> bool:
        """Run until the head is reached, and the chain has moved as it should."""
        self.turn(stage.before, "reorg between runs")
        self.arrived, self.moves, self.kills = 0, list(stage.moves), list(stage.kills)
        given_up = 0
        for _ in range(MAX_RUNS):
            before, self.sent = self.chain.moves, []
            code, said = self.start()
            self.result.counts["runs"] += 1
            self.result.counts["runs with a process"] += self.plan.is_apart
            if any(words in said for words in NEVER_SAID):
                return self.fail(f"said what it never should (exit {code}): {said.strip()}")
            if code == -signal.SIGKILL and signal.SIGKILL in self.sent:
                self.result.counts["kills"] += 1
            elif code in INTERRUPTED and signal.SIGINT in self.sent:
                self.result.counts["interrupts"] += 1
            elif code == 2 and "error: " in said:
                self.result.counts["given up"] += 1
                given_up += 1
                if given_up > MAX_GIVEN_UP:
                    return self.fail(f"gave up {given_up} times: {said.strip()}")
            elif code != 0:
                return self.fail(f"ended with {code}: {said.strip()}")
            elif before == self.chain.moves and self.is_at_head():
                if not self.moves:
                    return True
                self.turn(self.moves.pop(0)[1], "reorg between runs")
        return self.fail(f"did not reach the head in {MAX_RUNS} runs: {said.strip()}")

    def fail(self, problem: str) -> bool:
        self.result.problems.append(problem)
        return False

    def start(self) -> tuple[int, str]:
        """One run of our own process: its exit code and what it said."""
        environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("PERPSCOPE_", "ETH_RPC_URL", "COV_"))
        }
        self.process = subprocess.Popen(
            [
                sys.executable, "-m", "tests.faults.client", str(self.plan.log_window),
                "apart" if self.plan.is_apart else "here", "--traceback",
                "index", "--rpc-url", self.proxy.url, "--db", str(self.database),
                "--positions", "logs", "--block", "latest", "--timeout", str(TIMEOUT),
                "--max-attempts", str(MAX_ATTEMPTS), "--concurrency", str(self.plan.concurrency),
            ],
            cwd=self.folder,
            env=environment | {"PYTHONPATH": str(ROOT), "XDG_CONFIG_HOME": str(self.folder)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )  # fmt: skip
        try:
            _, said = self.process.communicate(timeout=RUN_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            _, said = self.process.communicate()
            said += f"\nTraceback: none, but it was still running after {RUN_SECONDS} s"
        return self.process.returncode, said

    def arrive(self) -> None:
        """Before a request is answered: what the plan has for its number."""
        self.arrived += 1
        while self.moves and self.arrived >= self.moves[0][0]:
            self.turn(self.moves.pop(0)[1], "reorg during a run")
        if self.kills and self.arrived >= self.kills[0].request:
            kill = self.kills.pop(0)
            timer = threading.Timer(kill.delay, self.signal, [self.process, kill.signal])
            timer.daemon = True
            timer.start()

    def signal(self, process: "subprocess.Popen[str]", number: signal.Signals) -> None:
        """End a run, unless it has ended by itself."""
        if process.poll() is None:
            self.sent.append(number)
            process.send_signal(number)

    def turn(self, move: Move, what: str) -> None:
        """Move the chain, and count how deep it was cut."""
        if move == Move():
            return
        branch = self.chain.move(move)
        depth = len(branch.headers)
        if depth == 0:
            self.result.counts["growths"] += 1
            return
        self.result.counts[what] += 1
        self.result.depths[depth] += 1
        if self.plan.stale:
            self.proxy.show_branch(branch, Random(f"stale {self.plan.seed} {branch.base}"))

    def is_at_head(self) -> bool:
        """Whether the chain's newest block has a snapshot, which none below it came after.

        One of a block above may stay: a chain that only got shorter looks like a node that lags.
        """
        head = self.chain.header("latest")
        with duckdb.connect(str(self.database), read_only=True) as connection:
            found = connection.execute(
                "select block_hash from snapshots where block_number <= ?"
                " order by block_number desc limit 1",
                [int(head["number"], 16)],
            ).fetchall()
        return found == [(head["hash"],)]

    def compare(self) -> None:
        """Count the rows by which the database differs from one indexed straight from the chain."""
        clean = self.folder / "clean.duckdb"
        self.index_cleanly(clean)
        expected, found = contents(clean), contents(self.database)
        self.result.rows = sum(len(rows) for rows in expected.values())
        differing = [*differences(expected, found), *self.untrue()]
        self.result.differing = len(differing)
        self.result.problems += [
            f"{count} times: {what}"
            for what, count in Counter(what for what, _ in differing).items()
        ]
        self.result.problems += [f"{what} {row}"[:WIDTH] for what, row in differing[:SHOWN]]

    def untrue(self) -> Iterator[tuple[str, str]]:
        """Headers that the chain does not have, and checkpoints that miscount their logs."""
        with duckdb.connect(str(self.database), read_only=True) as connection:
            headers = connection.execute(HEADERS).fetchall()
            miscounted = connection.execute(MISCOUNTED).fetchall()
        self.result.rows += len(headers)
        for number, stored in headers:
            header = self.chain.header(hex(number))
            if header is None or header["hash"] != stored:
                yield "a header that is not the chain's:", f"block {number} as {stored}"
        for first, last, logs, stored in miscounted:
            yield "a miscounted checkpoint:", f"blocks {first} to {last}, {logs} logs of {stored}"

    def index_cleanly(self, path: Path) -> None:
        """A database with snapshots of the same blocks, without a proxy and without a fault."""
        with duckdb.connect(str(self.database), read_only=True) as connection:
            blocks = connection.execute("select block_number from snapshots order by 1").fetchall()
        chain = open_chain([self.chain.node.url], settings=Settings(timeout=60))
        try:
            for (number,) in blocks:
                plan = IndexPlan(
                    deployments=[deployment_of(self.table, "the rig")],
                    block=number,
                    positions="logs",
                )
                (outcome,) = index(chain, path, plan)
                if outcome.error is not None:
                    raise outcome.error
        finally:
            chain.close()


def differences(expected: dict[str, list], found: dict[str, list]) -> Iterator[tuple[str, str]]:
    """What is wrong, and the row, for each row that only one of two databases holds.

    Raw rows come first: what is derived from them can only be as right as they are.
    """
    for table, rows in reversed(expected.items()):
        wanted = Counter(repr(row) for row in rows)
        got = Counter(repr(row) for row in found[table])
        yield from ((f"{table} lacks", row) for row in sorted((wanted - got).elements()))
        yield from ((f"{table} has wrongly", row) for row in sorted((got - wanted).elements()))


def _toml(table: dict[str, Any]) -> str:
    """The deployment as a user would write it."""

    def inline(values: dict[str, Any]) -> str:
        return "{ " + ", ".join(f"{k} = {json.dumps(v)}" for k, v in values.items()) + " }"

    lines = ["[[deployment]]"]
    for key, value in table.items():
        lines.append(f"{key} = {inline(value) if isinstance(value, dict) else json.dumps(value)}")
    return "\n".join(lines)
