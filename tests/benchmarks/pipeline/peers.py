"""The other pipelines: pinned, fetched when the benchmark runs, each in its own environment."""

import re
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Final

import duckdb

from tests.benchmarks.pipeline import ponder
from tests.benchmarks.pipeline.job import BLOCKS, CLIENTS, Done, Job, run, run_and_count
from tests.benchmarks.pipeline.pipeline import Pipeline
from tests.conftest import FIXTURES

CACHE: Final = FIXTURES.parent / ".cache" / "benchmarks"
CRYO: Final = "cryo==0.3.2"
DEFI: Final = "web3-ethereum-defi[data,duckdb]==1.2"
SIGNATURES: Final = {
    "PositionChanged": (
        "event PositionChanged(address indexed trader, address indexed baseToken,"
        " int256 exchangedPositionSize, int256 exchangedPositionNotional, uint256 fee,"
        " int256 openNotional, int256 realizedPnl, uint256 sqrtPriceAfterX96)"
    ),
    "EventLog1": (
        "event EventLog1(address msgSender, string eventName, string indexed eventNameHash,"
        " bytes32 indexed topic1, ("
        + ", ".join(
            f"((string,{kind})[],(string,{kind}[])[])"
            for kind in ("address", "uint256", "int256", "bool", "bytes32", "bytes", "string")
        )
        + ") eventData)"
    ),
}


def environment(requirement: str) -> Path:
    """The Python of a venv with one pinned package in it; made if it is not there yet."""
    folder = CACHE / re.sub(r"[^\w.]+", "-", requirement)
    python = folder / "bin" / "python"
    ready = folder / ".ready"
    if not ready.exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*install, requirement], check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)  # fmt: skip
        ready.touch()
    return python


def cryo(job: Job, *, decoded: bool, numbers: tuple[str, ...] = ()) -> Done:
    """Parquet files; their rows are counted afterwards."""
    signature = SIGNATURES[job.event] if decoded else None
    told = job.told(blocks=BLOCKS[job.event], signature=signature, numbers=numbers)
    taken, processor, _ = run([environment(CRYO), CLIENTS / "cryo_client.py", told])
    files = f"{job.folder}/*.parquet"
    counted = duckdb.execute("select count(*) from read_parquet(?)", [files]).fetchall()
    return Done(taken, processor, counted[0][0])


def defi(job: Job) -> Done:
    """Decoded by its own converters, kept in memory."""
    told = job.told(blocks=BLOCKS[job.event], threads=4)
    return run_and_count([environment(DEFI), CLIENTS / "defi_client.py", told])


def naive(job: Job) -> Done:
    """web3 and DuckDB as this project installs them."""
    return run_and_count(
        [sys.executable, CLIENTS / "web3_client.py", job.told(blocks=BLOCKS[job.event])]
    )


CRYO_LACKS: Final = (
    "no block hash, block time, bloom, parent or reorg check; resumes by whole files"
)
PEERS: Final = (
    Pipeline(
        "cryo 0.3.2, raw", "Parquet, not decoded", f"{CRYO_LACKS}; nothing decoded",
        partial(cryo, decoded=False),
    ),
    Pipeline(
        "cryo 0.3.2, decoded", "Parquet: each number as bytes, text and double",
        f"{CRYO_LACKS}; raw data dropped; nested data stays one undecoded blob",
        partial(cryo, decoded=True),
    ),
    Pipeline(
        "cryo 0.3.2, decoded, bytes only", "Parquet: each number as 32 bytes",
        f"{CRYO_LACKS}; raw data dropped; nested data stays one undecoded blob",
        partial(cryo, decoded=True, numbers=("binary",)),
    ),
    Pipeline(
        "web3-ethereum-defi 1.2", "DuckDB in memory",
        "no raw rows, block time or resume as used; its reorg monitor reads every header",
        defi, simple=100_000, nested=2_000,
    ),
    Pipeline(
        "Ponder 0.16.6", ponder.STORE,
        "drops a log that does not decode with a debug line; no bloom check of history",
        ponder.run_ponder, simple=20_000, nested=2_000, rounds=1,
    ),
    Pipeline(
        "web3.py loop", "DuckDB",
        "no raw rows, checks, reorgs or resume",
        naive, simple=4_000, nested=500, rounds=1,
    ),
)  # fmt: skip
