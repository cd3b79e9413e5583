"""Runs the tests where a machine is not as it is today: on another day, or busy with other work.

    python -m tests.conditions clock [PYTEST ARGUMENT...]   five years ahead
    python -m tests.conditions load [PYTEST ARGUMENT...]    beside two busy loops

Tests that need the real clock carry the marker ``real_clock``. The library that shifts the clock is
Debian's ``libfaketime``: the machine's own, or one that is unpacked beside the other packages that
tests fetch, for which nobody has to be root.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).parent
CACHE = HERE.parent / ".cache"
UNPACKED = CACHE / "faketime"
LIBRARY = "usr/lib/*/faketime/libfaketimeMT.so.1"
PACKAGE = "libfaketime"
AHEAD = "+1826d"
BUSY = "import os\nparent = os.getppid()\nwhile os.getppid() == parent: pass"
"""Ends with whoever started it, however that ends."""
CLOCK = "import time\ntime.sleep(0.001)\nprint(time.time())"
FOUR_YEARS = 4 * 365 * 86_400


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


def shifted_clock() -> dict[str, str]:
    """The environment in which the wall clock is five years ahead; durations stay true."""
    shifted = {
        "LD_PRELOAD": str(_library()),
        "FAKETIME": AHEAD,
        "DONT_FAKE_MONOTONIC": "1",
        "PYTHONPATH": str(HERE / "shifted"),
    }
    if _clock(shifted) < _clock({}) + FOUR_YEARS:
        sys.exit(f"{shifted['LD_PRELOAD']} does not shift the clock: nothing would be proven")
    return shifted


@contextmanager
def busy_loops(count: int = 2) -> Iterator[None]:
    """As many processes that each want a processor, until the end of the block."""
    loops: list[subprocess.Popen[bytes]] = []
    try:
        for _ in range(count):
            loops.append(subprocess.Popen([sys.executable, "-c", BUSY]))  # noqa: PERF401  each is ended
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
        sys.exit(f"{PACKAGE} is missing, and there is no apt-get to fetch it: install it")
    CACHE.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        if not _downloaded(folder):
            if os.geteuid() != 0:
                sys.exit(f"apt-get cannot find {PACKAGE}: run `apt-get update` as root, or install")
            subprocess.run(["apt-get", "update", "--quiet"], check=True)
            if not _downloaded(folder):
                sys.exit(f"apt-get cannot fetch {PACKAGE}: install it")
        (package,) = Path(folder).glob("*.deb")
        unpacked = Path(folder) / "unpacked"
        subprocess.run(["dpkg", "-x", package, unpacked], check=True)
        shutil.rmtree(UNPACKED, ignore_errors=True)
        unpacked.rename(UNPACKED)
    return min(UNPACKED.glob(LIBRARY))


def _downloaded(folder: str) -> bool:
    """Whether apt-get has put the package into a folder, for which it need not be root."""
    command = ["apt-get", "download", "--quiet", PACKAGE]
    return subprocess.run(command, cwd=folder, check=False).returncode == 0


def _clock(environment: Mapping[str, str]) -> float:
    """What time it is for a process that has slept."""
    command = [sys.executable, "-c", CLOCK]
    env = {**os.environ, **environment}
    return float(subprocess.run(command, env=env, check=True, stdout=subprocess.PIPE).stdout)


def _pytest(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    command = [sys.executable, "-m", "pytest", "-n", "2", *arguments]
    return subprocess.run(command, env={**os.environ, **environment}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
