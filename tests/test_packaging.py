"""The wheel is whole: built, installed into an empty environment elsewhere, and run there."""

import os
import subprocess
import sys
import zipfile

import pytest

from tests.docs import ROOT

KEPT = ("PIP_", "SSL_", "REQUESTS_", "http_proxy", "https_proxy", "no_proxy")
PIP_SETTINGS = {name: value for name, value in os.environ.items() if name.startswith(KEPT)}


def run(*arguments, cwd):
    """Run a command that must succeed."""
    ran = subprocess.run(
        [str(argument) for argument in arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": "/usr/bin:/bin", "HOME": str(cwd)} | PIP_SETTINGS,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel as it would be published."""
    folder = tmp_path_factory.mktemp("dist")
    run(
        sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT,
        cwd=folder,
    )  # fmt: skip
    (built,) = folder.glob("perpscope-*.whl")
    return built


def test_the_wheel_carries_what_it_reads(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    for folder, packaged in (("abis", "abis"), ("queries", "queries"), ("fixtures/demo", "demo")):
        for path in (ROOT / folder).rglob("*"):
            if path.is_file() and not path.name.startswith("."):
                relative = path.relative_to(ROOT / folder)
                assert f"analyzer/_data/{packaged}/{relative}" in names
    assert "analyzer/py.typed" in names
    assert not any(name.startswith(("abis/", "queries/", "tests/")) for name in names)


def test_the_wheel_runs_in_an_empty_environment(wheel, tmp_path):
    """Nothing but the declared dependencies is there: none that only development needs."""
    home = tmp_path / "elsewhere"
    home.mkdir()
    run(sys.executable, "-m", "venv", home / "venv", cwd=home)
    python = home / "venv" / "bin" / "python"
    run(python, "-m", "pip", "install", "--quiet", wheel, cwd=home)
    printed = run(home / "venv" / "bin" / "perpscope", "demo", cwd=home)
    assert "CRITICAL" in printed
    assert (home / "perpscope-demo" / "exports" / "liquidatable.parquet").exists()
    assert "ok    ABI files" in run(home / "venv" / "bin" / "perpscope", "doctor", cwd=home)
    installed = run(python, "-m", "pip", "list", "--format", "freeze", cwd=home).lower()
    assert "pytest" not in installed
