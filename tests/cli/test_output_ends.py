"""Output that nobody reads, or that cannot be kept, is no crash and no finding."""

import os
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from tests.conftest import FIXTURES, GMX_V1_RECORDING

ROOT = Path(__file__).parents[2]
RECORDED = f"recording:{GMX_V1_RECORDING}"
VECTORS = FIXTURES / "perp_v1" / "vectors.json.gz"


@pytest.fixture
def run(tmp_path):
    """The command as a process of its own, its stdout where a test wants it."""

    def start(*arguments, **streams):
        return subprocess.run(
            [sys.executable, "-m", "analyzer", *arguments],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT), "XDG_CONFIG_HOME": str(tmp_path)},
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=120,
            **streams,
        )

    return start


@pytest.mark.parametrize(
    "arguments",
    [
        ["doctor"],
        ["show"],
        ["explain", "near_liquidation"],
        ["--help"],
        ["--version"],
        ["verify", "--vectors", VECTORS],
        ["verify", "--vectors", VECTORS, "-f", "json"],
        ["show", "markets", "-f", "table"],
        ["show", "positions", "-f", "jsonl"],
        ["check", "liquidatable", "--exit-zero"],
    ],
)
def test_a_reader_that_is_gone_ends_it_quietly(perpscope, run, arguments):
    if arguments[0] in ("show", "check"):
        perpscope("index", "--rpc-url", RECORDED)
    read_end, write_end = os.pipe()
    os.close(read_end)
    ran = run("-q", *arguments, stdout=write_end)
    os.close(write_end)
    assert ran.stderr == ""
    assert ran.returncode in (0, 141)


@pytest.mark.parametrize("arguments", [["doctor"], ["show"], ["show", "markets"]])
def test_a_stdout_that_was_closed_is_written_to_nobody(perpscope, run, arguments):
    perpscope("index", "--rpc-url", RECORDED)
    ran = run("-q", *arguments, preexec_fn=lambda: os.close(1))
    assert (ran.returncode, ran.stderr) == (0, "")


@pytest.mark.parametrize("arguments", [["doctor"], ["show"], ["show", "markets"]])
def test_a_device_that_is_full_is_one_sentence(perpscope, run, arguments):
    perpscope("index", "--rpc-url", RECORDED)
    with Path("/dev/full").open("w") as full:
        ran = run("-q", *arguments, stdout=full)
    assert ran.returncode == 2
    assert ran.stderr.startswith("error: ")
    assert "No space left on device" in ran.stderr
    assert ran.stderr.count("\n") == 1


def test_a_database_that_can_only_be_read_still_tells_its_findings(perpscope, monkeypatch):
    perpscope("index", "--rpc-url", RECORDED)
    connect = duckdb.connect

    def only_for_reading(path=":memory:", *, read_only=False, **settings):
        if not read_only:
            raise duckdb.IOException(f'Cannot open file "{path}": Permission denied')
        return connect(path, read_only=read_only, **settings)

    monkeypatch.setattr(duckdb, "connect", only_for_reading)
    for _ in range(2):
        ran = perpscope("check", "liquidatable")
        assert ran.code == 1
        assert '"status": "new"' in ran.out
        assert "will call these findings new again: perpscope.duckdb cannot be" in ran.err
    assert perpscope("check", "liquidatable", "--exit-zero").code == 0
