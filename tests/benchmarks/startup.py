"""How long the command line takes to say what it can do."""

import subprocess
import sys
from collections.abc import Iterator
from time import perf_counter

from tests.benchmarks.measure import Line, seconds


def lines() -> Iterator[Line]:
    """``perpscope --help`` against an empty Python program."""
    shown = seconds(lambda: _run("-m", "analyzer", "--help"), 5, perf_counter)
    empty = seconds(lambda: _run("-c", "pass"), 5, perf_counter)
    yield Line("perpscope --help", f"{shown:.2f} s", f"{shown / empty:.1f} x an empty program")


def _run(*arguments: str) -> None:
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
