"""Ponder as its documentation has it: one insert an event, which it writes in batches by itself.

It gets the server under several URLs, since it holds each to 20 requests a second at first. Its
time ends when it says that it is ready, which is when all rows are in its database.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from time import perf_counter, sleep
from typing import Final

from tests.benchmarks.pipeline import postgres
from tests.benchmarks.pipeline.job import LIMIT_SECONDS, Done, FailedError, Job, processor_seconds
from tests.conftest import FIXTURES
from tests.contracts.fetch import tool

PROJECT: Final = Path(__file__).parent / "clients" / "ponder"
CACHE: Final = FIXTURES.parent / ".cache" / "benchmarks" / "ponder"
STORE: Final = "PostgreSQL" if postgres.programs() else "PGlite (no PostgreSQL here)"
URLS: Final = 32
POLL_SECONDS: Final = 0.05


def installed() -> Path:
    """The folder of Ponder's packages; they are fetched if they are not there yet."""
    wanted = (PROJECT / "package.json").read_text()
    ready = CACHE / ".ready"
    if not ready.exists() or ready.read_text() != wanted:
        CACHE.mkdir(parents=True, exist_ok=True)
        shutil.copy(PROJECT / "package.json", CACHE)
        subprocess.run(
            [tool("npm"), "install", "--silent", "--no-audit", "--no-fund", "--no-package-lock"],
            cwd=CACHE,
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        ready.write_text(wanted)
    return CACHE / "node_modules"


def run_ponder(job: Job) -> Done:
    """Index a job into an empty database."""
    project = Path(job.folder) / "project"
    shutil.copytree(PROJECT, project)
    (project / "node_modules").symlink_to(installed(), target_is_directory=True)
    programs = postgres.programs()
    before = processor_seconds()
    store = postgres.database(programs) if programs else nullcontext("")
    with store as database, _indexing(job, project, database) as (site, process, start):
        taken = _until_ready(site, process, start, project)
        with urllib.request.urlopen(f"{site}/stored", timeout=60) as response:
            rows = json.load(response)["rows"]
    return Done(taken, processor_seconds() - before, rows)


def _until_ready(site: str, process: subprocess.Popen[bytes], start: float, project: Path) -> float:
    while not _is_ready(site):
        if process.poll() is not None or perf_counter() - start > LIMIT_SECONDS:
            said = (project / "output.txt").read_text().splitlines()
            errors = [line for line in said if "Error" in line] or said
            raise FailedError(f"Ponder did not finish: {''.join(errors[-1:])[:200]}")
        sleep(POLL_SECONDS)
    return perf_counter() - start


@contextmanager
def _indexing(
    job: Job, project: Path, database: str
) -> Iterator[tuple[str, subprocess.Popen[bytes], float]]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = {
        "BENCH_RPC": json.dumps([f"{job.url}/?{index}" for index in range(URLS)]),
        "BENCH_CHAIN": str(job.chain_id), "BENCH_ADDRESS": job.address,
        "BENCH_FIRST": str(job.first), "BENCH_LAST": str(job.last), "BENCH_EVENT": job.event,
        "BENCH_ABI": json.dumps(job.abi), "BENCH_PGLITE": str(project / "pglite"),
        "BENCH_POSTGRES": database, "PONDER_TELEMETRY_DISABLED": "true",
    }  # fmt: skip
    script = project / "node_modules" / "ponder" / "dist" / "esm" / "bin" / "ponder.js"
    options = ["--schema", "bench", "--hostname", "127.0.0.1", "--port", str(port)]
    with (project / "output.txt").open("wb") as output:
        start = perf_counter()
        process = subprocess.Popen(
            [tool("node"), script, "start", *options], cwd=project, env=os.environ | settings,
            stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        try:
            yield f"http://127.0.0.1:{port}", process, start
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _is_ready(site: str) -> bool:
    try:
        urllib.request.urlopen(f"{site}/ready", timeout=10).close()
    except OSError:
        return False
    return True
