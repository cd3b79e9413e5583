"""Ctrl-C ends a run at once, also while a request hangs."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.chain.server import Manners, RecordingServer
from tests.conftest import GMX_V1_RECORDING

ROOT = Path(__file__).parents[2]
STARTED = """
import signal
from analyzer.__main__ import main
signal.signal(signal.SIGINT, signal.default_int_handler)
main()
"""
CONFIG = """
[[deployment]]
protocol = "gmx_v1"
name = "mine"
chain_id = 3133701
start_block = 63
contracts = { Vault = "0x5FbDB2315678afecb367f032d93F642f64180aa3" }
options = { variant = "C" }
"""


@pytest.mark.parametrize("answered", [0, 6])
def test_ctrl_c_ends_a_request_that_hangs(tmp_path, answered):
    """The first request is made by the main thread, the later ones by others.

    A shell lets what it runs in the background ignore SIGINT; a terminal does not.
    """
    (tmp_path / "perpscope.toml").write_text(CONFIG)
    hanging = threading.Event()

    class Server(RecordingServer):
        def hang(self) -> None:
            hanging.set()
            super().hang()

    faults = dict.fromkeys(range(answered, 999), "hang")
    with Server(GMX_V1_RECORDING, Manners(faults=faults)) as server:
        command = ["-c", STARTED, "index", "--rpc-url", server.url, "--timeout", "600"]
        with subprocess.Popen(
            [sys.executable, *command],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT), "XDG_CONFIG_HOME": str(tmp_path)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                assert hanging.wait(120)
                process.send_signal(signal.SIGINT)
                out, err = process.communicate(timeout=120)
            finally:
                process.kill()
    assert (process.returncode, out) == (130, "")
    assert err.splitlines()[-1] == "interrupted"
    assert "Traceback" not in err


IMPORTING = """
import sys
from analyzer.__main__ import main

class CtrlC:
    def find_spec(self, name, *_):
        if name == "click":
            raise KeyboardInterrupt

sys.meta_path.insert(0, CtrlC())
main()
"""


def test_ctrl_c_ends_a_command_that_has_just_been_started():
    ran = subprocess.run(
        [sys.executable, "-c", IMPORTING, "--version"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert (ran.returncode, ran.stdout) == (130, "")
    assert ran.stderr == "interrupted\n"
