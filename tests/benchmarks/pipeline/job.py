"""What a pipeline is asked to do, and what it did: a whole process, from its start to its end."""

import json
import os
import resource
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from typing import Any, Final

from analyzer.resources import resource as shipped
from tests.benchmarks.pipeline.chain import About
from tests.benchmarks.pipeline.serving import ask
from tests.conftest import FIXTURES

CLIENTS: Final = Path(__file__).parent / "clients"
LIMIT_SECONDS: Final = 300
BLOCKS: Final = {"PositionChanged": 250, "EventLog1": 25}
"""Blocks to a request, and to a file of cryo's: about 10,000 simple logs, the fastest we found."""
ABIS: Final = {
    "PositionChanged": ("perp_v2", "ClearingHouse"),
    "EventLog1": ("gmx_v2", "EventEmitter"),
}


class FailedError(Exception):
    """Why a pipeline has no figure."""


@dataclass(frozen=True, slots=True)
class Job:
    """One event of one contract in a closed range of blocks, to be stored below ``folder``."""

    url: str
    chain_id: int
    address: str
    event: str
    first: int
    last: int
    folder: str

    @property
    def abi(self) -> list[dict[str, Any]]:
        """The event's entry alone."""
        protocol, contract = ABIS[self.event]
        entries = json.loads(shipped("abis").joinpath(protocol, f"{contract}.json").read_text())
        return [{"anonymous": False} | e for e in entries if e.get("name") == self.event]

    def told(self, **more: Any) -> str:
        """The job as the argument of a program."""
        return json.dumps(asdict(self) | {"abi": self.abi} | more)


@dataclass(frozen=True, slots=True)
class Done:
    """Seconds on the clock and of the processor, and how many rows are stored."""

    seconds: float
    processor_seconds: float
    rows: int


def run(command: Sequence[str | Path]) -> tuple[float, float, str]:
    """Run a program to its end: its seconds, those of the processor, and what it printed."""
    # What is installed comes with its bytecode; where Python is told to write none, ours had none.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    before, start = processor_seconds(), perf_counter()
    try:
        ended = subprocess.run(
            command, capture_output=True, text=True, timeout=LIMIT_SECONDS, cwd=FIXTURES.parent,
            check=False, env=environment,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise FailedError(f"not done in {LIMIT_SECONDS} s") from None
    taken = perf_counter() - start
    if ended.returncode:
        last = (ended.stderr or ended.stdout).strip().splitlines()[-1:]
        raise FailedError(f"ended with {ended.returncode}: {''.join(last)[:200]}")
    return taken, processor_seconds() - before, ended.stdout


def run_and_count(command: Sequence[str | Path]) -> Done:
    """Run a program that prints its rows as the last line."""
    taken, processor, said = run(command)
    return Done(taken, processor, json.loads(said.splitlines()[-1])["rows"])


def sample(about: About, logs: int | None) -> int:
    """The last block of a range with about so many logs."""
    if logs is None or logs >= about.logs:
        return about.last_block
    return about.first_block + max(1, int(logs / about.logs_a_block)) - 1


def logs_of(job: Job) -> Iterator[dict[str, Any]]:
    """The logs that the chain holds for a job."""
    for first in range(job.first, job.last + 1, BLOCKS[job.event]):
        last = min(job.last, first + BLOCKS[job.event] - 1)
        query = {"address": job.address, "fromBlock": hex(first), "toBlock": hex(last)}
        yield from ask(job.url, "eth_getLogs", query)


def stored_there(job: Job) -> int:
    """How many logs the chain holds for a job."""
    return sum(1 for _ in logs_of(job))


def processor_seconds() -> float:
    """What the processes that this one started and saw end had of the processor."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
