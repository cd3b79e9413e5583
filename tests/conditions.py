"""Runs the tests where a machine is not as it is today: on another day, or busy with other work.

    python -m tests.conditions clock [PYTEST ARGUMENT...]   five years ahead
    python -m tests.conditions load [PYTEST ARGUMENT...]    beside two busy loops

Tests that need the real clock (signals, closed pipes) carry the marker ``real_clock``. The library
that shifts the clock is Debian's ``libfaketime``: the machine's own, or one unpacked beside the
other packages that tests fetch.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parent.parent
UNPACKED = ROOT / ".cache" / "faketime"
LIBRARY = "usr/lib/*/faketime/libfaketime.so.1"
AHEAD = "+1826d"
BUSY = "while True: pass"


def shifted_clock() -> dict[str, str]:
    """The environment in which the wall clock is five years ahead; durations stay true."""
    return {
        "LD_PRELOAD": str(_library()),
        "FAKETIME": AHEAD,
        "FAKETIME_NO_CACHE": "1",
        "DONT_FAKE_MONOTONIC": "1",
    }


@contextmanager
def busy_loops(count: int = 2) -> Iterator[None]:
    """As many processes that use a core each, until the end of the block."""
    loops = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(count)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def _library() -> Path:
    for root in (Path("/"), UNPACKED):
        if found := sorted(root.glob(LIBRARY)):
            return found[0]
    if shutil.which("apt-get") is None:
        sys.exit("libfaketime is missing: install it, or run this on Debian")
    with tempfile.TemporaryDirectory() as folder:
        packages = ["libfaketime"]
        download = ["apt-get", "download", "--quiet", *packages]
        if subprocess.run(download, cwd=folder, check=False).returncode:
            subprocess.run(["apt-get", "update", "--quiet"], check=True)
            subprocess.run(download, cwd=folder, check=True)
        for package in Path(folder).glob("*.deb"):
            subprocess.run(["dpkg", "-x", package, UNPACKED], check=True)
    return min(UNPACKED.glob(LIBRARY))


def _pytest(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    command = [sys.executable, "-m", "pytest", "-n", "2", *arguments]
    return subprocess.run(command, env=os.environ | environment, check=False).returncode


def main(arguments: Sequence[str]) -> int:
    """The exit code of pytest under the condition that is named."""
    match arguments:
        case ["clock", *more]:
            return _pytest(["-m", "not real_clock", *more], shifted_clock())
        case ["load", *more]:
            with busy_loops():
                return _pytest(more, {})
        case _:
            sys.exit(str(__doc__))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
