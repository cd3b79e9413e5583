"""What the table is read against: the floor below every pipeline, and parts of the work alone."""

import sys
import tempfile
from pathlib import Path
from time import perf_counter, process_time
from typing import Any, Final

import duckdb
import pyarrow as pa

from analyzer.abi import load_abi
from analyzer.chain import wire
from tests.benchmarks.pipeline.job import ABIS, Done, Job, logs_of, run, stored_there
from tests.benchmarks.pipeline.pipeline import Pipeline

WINDOW: Final = 100
NUMBERS: Final = ("block_number", "tx_index", "log_index", "block_time")
WORD: Final = 32


def receive(job: Job) -> Done:
    """Ask for all logs on one connection and throw the answers away; bytes count, not rows."""
    command = [sys.executable, "-m", "tests.benchmarks.pipeline.receive"]
    taken, processor, _ = run([*command, job.url, str(job.first), str(job.last), str(WINDOW)])
    return Done(taken, processor, stored_there(job))


def insert(job: Job) -> Done:
    """Columns that are ready in memory into a new database file, to the end of its checkpoint."""
    ready = columns(list(logs_of(job)))
    with tempfile.TemporaryDirectory(dir=job.folder) as folder:
        start, processor = perf_counter(), process_time()
        connection = duckdb.connect(str(Path(folder) / "insert.duckdb"))
        connection.register("ready", ready)
        connection.execute("create table logs as select * from ready")
        connection.close()
        return Done(perf_counter() - start, process_time() - processor, len(ready))


def eth_abi(job: Job) -> Done:
    """Decode logs that are parsed already, and do nothing with the values."""
    event = load_abi(*ABIS[job.event]).events[job.event]
    logs = [wire.log(log) for log in logs_of(job)]
    start, processor = perf_counter(), process_time()
    for log in logs:
        event.decode(log)
    return Done(perf_counter() - start, process_time() - processor, len(logs))


def columns(logs: list[dict[str, Any]]) -> pa.Table:
    """Raw columns of logs, and each word of their topics and of fixed-size data by itself."""
    parsed = [wire.log(log) for log in logs]
    made = {name: pa.array([getattr(log, name) for log in parsed], pa.int64()) for name in NUMBERS}
    for name in ("block_hash", "tx_hash", "address"):
        made[name] = pa.array([bytes.fromhex(getattr(log, name)[2:]) for log in parsed])
    for index in range(len(parsed[0].topics)):
        made[f"topic{index}"] = pa.array([bytes.fromhex(log.topics[index][2:]) for log in parsed])
    made["data"] = pa.array([log.data for log in parsed])
    if len({len(log.data) for log in parsed}) == 1:
        for start in range(0, len(parsed[0].data), WORD):
            words = [log.data[start : start + WORD] for log in parsed]
            made[f"word{start // WORD}"] = pa.array(words, pa.binary(WORD))
    return pa.table(made)


REFERENCES: Final = (
    Pipeline("receive and discard", "nothing", "the floor: one connection, no parsing", receive),
    Pipeline(
        "DuckDB's insert of Arrow columns", "DuckDB",
        "columns are ready in memory: no network, parsing or decoding",
        insert, simple=200_000, nested=20_000,
    ),
    Pipeline(
        "eth_abi, decoding only", "nothing", "logs are parsed already; nothing is kept",
        eth_abi, simple=4_000, nested=500, rounds=2,
    ),
)  # fmt: skip
