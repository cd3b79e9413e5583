"""Indexing recorded chains against web3's decoding of the same logs, which stores nothing."""

import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any

from web3 import Web3

from analyzer.chain.recording import RecordedChain
from analyzer.evm import Block, Log, LogBatch, LogFilter
from analyzer.indexer.history import follow_logs
from analyzer.indexer.plan import Plan, Silent
from analyzer.indexer.run import index
from analyzer.payloads import Templates
from analyzer.protocol import Deployment
from analyzer.protocols import protocols
from analyzer.resources import resource
from analyzer.store.database import open_for_writing
from tests.benchmarks.measure import Line, seconds
from tests.conftest import FIXTURES

LOGS = 20_000
SAMPLE = 400
RUNS = 2
ONCE_ONLY = "perp_v1"
"""Its logs name the size before and after, which a second round would contradict."""


@dataclass(frozen=True, slots=True)
class Repeated:
    """The logs of a recorded chain over and over, each time in later blocks, as long batches."""

    recorded: RecordedChain
    rounds: int
    requests = 0

    @property
    def head(self) -> Block:
        last = self.recorded.block("latest")
        return replace(last, number=last.number * self.rounds)

    def logs(
        self,
        filters: Sequence[LogFilter],
        from_block: int,
        to_block: int,
        _templates: Templates | None = None,
    ) -> Iterator[LogBatch]:
        span = self.recorded.block("latest").number
        batches = list(self.recorded.logs(filters, from_block, span))
        logs = [log for batch in batches for log in batch.logs]
        blocks = [block for batch in batches for block in batch.blocks]
        for first in range(0, to_block, span):
            yield LogBatch(
                max(from_block, first + 1),
                first + span,
                [replace(log, block_number=log.block_number + first) for log in logs],
                [replace(block, number=block.number + first) for block in blocks],
            )


def lines() -> Iterator[Line]:
    """Of each recorded chain its repeated logs as rows; then the chain itself, with its state."""
    for path in sorted((FIXTURES / "demo").glob("*.json.gz")):
        name, chain = path.name.split(".")[0], RecordedChain(path)
        deployments = [
            Deployment(**table | {"contracts": _lower(table["contracts"])})
            for table in chain.deployments
        ]
        if name != ONCE_ONLY:
            rate = max(logs_per_second(chain, deployments[0]) for _ in range(RUNS))
            by_web3 = logs_per_second_of_web3(chain, deployments[0])
            yield Line(
                f"{name}: logs stored, decoded and replayed",
                f"{rate:,.0f} logs/s",
                f"{rate / by_web3:.1f} x web3, decoding only",
            )
        taken, positions = min(whole(chain, deployments) for _ in range(RUNS))
        yield Line(
            f"{name}: all of its {positions:,} positions",
            f"{taken:.2f} s",
            f"{taken / positions * 1000:.1f} ms a position",
        )


def logs_per_second(chain: RecordedChain, deployment: Deployment) -> float:
    """From logs to rows in DuckDB: stored raw, decoded, replayed and normalised."""
    repeated = Repeated(chain, -(-LOGS // len(_logs(chain, deployment))))
    plan = Plan(deployments=[deployment], positions="logs")
    with (
        tempfile.TemporaryDirectory() as folder,
        open_for_writing(Path(folder) / "chain.duckdb") as connection,
    ):
        start = perf_counter()
        history = follow_logs(
            repeated, connection, deployment, plan, "logs", repeated.head, Silent()
        )
        return history.logs / (perf_counter() - start)


def whole(chain: RecordedChain, deployments: Sequence[Deployment]) -> tuple[float, int]:
    """Seconds from an empty folder to every position of a chain, and their number."""
    with tempfile.TemporaryDirectory() as folder:
        start = perf_counter()
        plan = Plan(deployments=deployments, positions="logs")
        outcomes = index(chain, Path(folder) / "chain.duckdb", plan)
        taken = perf_counter() - start
    for outcome in outcomes:
        if outcome.error is not None:
            raise outcome.error
    return taken, sum(outcome.positions for outcome in outcomes)


def logs_per_second_of_web3(chain: RecordedChain, deployment: Deployment) -> float:
    """What ``process_log`` decodes of a sample from the whole chain."""
    events = _events(deployment.protocol)
    logs = [log for log in _logs(chain, deployment) if log.topics[0] in events]
    receipts = [_receipt(log) for log in logs[:: max(1, len(logs) // SAMPLE)]]

    def decode() -> None:
        for receipt in receipts:
            events[Web3.to_hex(receipt["topics"][0])].process_log(receipt)

    return len(receipts) / seconds(decode, 2, perf_counter)


def _logs(chain: RecordedChain, deployment: Deployment) -> list[Log]:
    filters = protocols()[deployment.protocol].log_filters(deployment)
    head = chain.block("latest").number
    batches = chain.logs(filters, deployment.start_block, head)
    return [log for batch in batches for log in batch.logs]


def _events(protocol: str) -> dict[str, Any]:
    """web3's own decoder of each event that the protocol's ABI fragments describe, by topic."""
    entries = [
        entry
        for file in resource("abis").joinpath(protocol).iterdir()
        for entry in json.loads(file.read_text())
        if entry["type"] == "event"
    ]
    return {
        event.topic: event()
        for entry in entries
        for event in Web3().eth.contract(abi=[{"anonymous": False} | entry]).all_events()
    }


def _receipt(log: Log) -> dict[str, Any]:
    return {
        "address": Web3.to_checksum_address(log.address),
        "topics": [bytes.fromhex(topic[2:]) for topic in log.topics],
        "data": log.data,
        "blockNumber": log.block_number,
        "blockHash": log.block_hash,
        "transactionHash": log.tx_hash,
        "transactionIndex": log.tx_index,
        "logIndex": log.log_index,
    }


def _lower(contracts: dict[str, str]) -> dict[str, str]:
    return {role: address.lower() for role, address in contracts.items()}
