"""Starting and ending the recorded server, and one plain request to a node."""

import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from tests.conftest import FIXTURES


@contextmanager
def recorded_server(folder: Path) -> Iterator[str]:
    """The URL of a server of the chain in a folder, in a process of its own."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.benchmarks.pipeline.server", str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=FIXTURES.parent,
    ) as process:
        assert process.stdout is not None
        try:
            if not (url := process.stdout.readline().strip()):
                raise RuntimeError("the recorded server did not start")
            yield url
        finally:
            process.terminate()


def ask(url: str, method: str, *params: Any) -> Any:
    """The result of one JSON-RPC request."""
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as response:
        return msgspec.json.decode(response.read())["result"]
