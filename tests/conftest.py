"""What every test may ask for."""

import gzip
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from analyzer.__main__ import main

FIXTURES = Path(__file__).parent.parent / "fixtures"
NOW = datetime(2026, 12, 1, tzinfo=UTC)
"""The time of a test's run, later than every recorded block: what is found is the same any day."""
GMX_V1_RECORDING = FIXTURES / "demo" / "gmx_v1.json.gz"


@dataclass(frozen=True)
class Ran:
    """What a command did."""

    code: int
    out: str
    err: str


@pytest.fixture
def perpscope(capfd, monkeypatch, tmp_path) -> Callable[..., Ran]:
    """The command line, in this process, in an empty folder without any configuration."""
    for name in list(os.environ):
        if name.startswith(("PERPSCOPE_", "ETH_RPC_URL")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> Ran:
        capfd.readouterr()
        with pytest.raises(SystemExit) as exited:
            main([str(argument) for argument in arguments], NOW)
        out, err = capfd.readouterr()
        return Ran(int(exited.value.code or 0), out, err)

    return run


@pytest.fixture(scope="session")
def gmx_v1_recording() -> dict:
    """The recorded GMX v1 chain as JSON."""
    with gzip.open(GMX_V1_RECORDING, "rt") as file:
        return json.load(file)


@pytest.fixture
def write_recording(tmp_path) -> Callable[..., Path]:
    """Writes a document as a recorded chain."""

    def write(document: dict, name: str = "chain.json.gz") -> Path:
        path = tmp_path / name
        with gzip.open(path, "wt") as file:
            json.dump(document, file)
        return path

    return write
