"""A local chain that runs the published contracts: anvil, and a client that deploys and sends.

    with Anvil() as node:
        token = node.deploy(mock("Token"), "USDC", 6)
        token.send("mint", account, 10**12)
        token.call("balanceOf", account)

Times are set, never taken from a clock: every transaction has its own block, two seconds after the
one before, unless ``node.wait`` says otherwise.
"""

import json
import socket
import subprocess
import urllib.request
from pathlib import Path
from time import sleep
from typing import Any

from eth_abi.abi import decode, encode
from eth_utils.abi import collapse_if_tuple
from eth_utils.crypto import keccak

from tests.contracts.fetch import MOCKS, anvil_package, folder

START = 1_700_000_000
BLOCK_SECONDS = 2
GAS = 30_000_000
MISSING = "the test packages are missing: run `python -m tests.contracts.fetch`"


class RevertedError(Exception):
    """A transaction or call that reverted; the text is the contract's reason."""


def artifact(package: str, path: str) -> dict[str, Any]:
    """ABI and creation bytecode of a published contract."""
    return _json(folder(package) / path)


def mock(name: str) -> dict[str, Any]:
    """ABI and creation bytecode of one of our mocks."""
    return _json(MOCKS)["contracts"][name]


def _json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise RuntimeError(MISSING)
    return json.loads(path.read_text())


class Contract:
    """A deployed contract; names with several shapes are chosen by their number of arguments."""

    def __init__(self, node: "Anvil", abi: list[dict[str, Any]], address: str) -> None:
        self.node = node
        self.address = address
        self._functions: dict[tuple[str, int], dict[str, Any]] = {
            (entry["name"], len(entry["inputs"])): entry
            for entry in abi
            if entry["type"] == "function"
        }

    def data(self, function: str, *arguments: Any) -> str:
        """Call data as hex."""
        entry = self._functions[function, len(arguments)]
        kinds = [collapse_if_tuple(i) for i in entry["inputs"]]
        selector = keccak(text=f"{function}({','.join(kinds)})")[:4]
        return "0x" + (selector + encode(kinds, arguments)).hex()

    def call(self, function: str, *arguments: Any, sender: str | None = None) -> Any:
        """The answer of a view, or of a simulated transaction."""
        call = {"to": self.address, "data": self.data(function, *arguments)}
        said = self.node.rpc("eth_call", call | ({"from": sender} if sender else {}), "latest")
        outputs = self._functions[function, len(arguments)]["outputs"]
        values = decode([collapse_if_tuple(o) for o in outputs], bytes.fromhex(said[2:]))
        return values[0] if len(values) == 1 else values

    def send(self, function: str, *arguments: Any, sender: str | None = None) -> None:
        """Mine one transaction; raises ``RevertedError`` where it fails."""
        self.node.transact(self.address, self.data(function, *arguments), sender)


class Anvil:
    """One anvil process on the loopback."""

    def __init__(self, accounts: int = 40) -> None:
        binary = folder(anvil_package()) / "bin" / "anvil"
        if not binary.is_file():
            raise RuntimeError(MISSING)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self._process = subprocess.Popen(
            [
                str(binary), "--host", "127.0.0.1", "--port", str(port), "--accounts",
                str(accounts), "--timestamp", str(START), "--hardfork", "shanghai", "--gas-limit",
                "1000000000", "--disable-code-size-limit", "--base-fee", "0", "--gas-price", "0",
                "--auto-impersonate",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self.now = START
        try:
            self._await_listening()
            self.accounts: list[str] = self.rpc("eth_accounts")
        except BaseException:
            self.stop()
            raise

    def __enter__(self) -> "Anvil":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End this process."""
        self._process.terminate()
        self._process.wait()

    def rpc(self, method: str, *params: Any) -> Any:
        """One JSON-RPC call."""
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(self.url, data=body, headers=headers)
        with urllib.request.urlopen(request, timeout=60) as response:
            said = json.load(response)
        if "error" in said:
            text = str(said["error"].get("message", ""))
            raise RevertedError(text.removeprefix("execution reverted").removeprefix(": "))
        return said["result"]

    def deploy(self, made: dict[str, Any], *arguments: Any) -> Contract:
        """A new contract."""
        constructor = next((e for e in made["abi"] if e["type"] == "constructor"), None)
        kinds = [collapse_if_tuple(i) for i in constructor["inputs"]] if constructor else []
        receipt = self.transact(None, made["bytecode"] + encode(kinds, arguments).hex())
        return Contract(self, made["abi"], receipt["contractAddress"].lower())

    def transact(self, to: str | None, data: str, sender: str | None = None) -> dict[str, Any]:
        """One transaction in a block of its own, from the first account unless it is named."""
        sent = {"from": sender or self.accounts[0], "data": data, "gas": hex(GAS)}
        sent["gasPrice"] = "0x0"
        sent |= {"to": to} if to else {}
        if to:
            self.rpc("eth_call", sent, "latest")
        self.now += BLOCK_SECONDS
        self.rpc("evm_setNextBlockTimestamp", self.now)
        receipt = self._mined(self.rpc("eth_sendTransaction", sent))
        if receipt["status"] != "0x1":
            raise RevertedError(f"a transaction to {to} failed when it was mined")
        return receipt

    def wait(self, seconds: int) -> None:
        """Mine an empty block so many seconds after the newest."""
        self.now += seconds
        self.rpc("evm_setNextBlockTimestamp", self.now)
        self.rpc("evm_mine")

    def _mined(self, transaction: str) -> dict[str, Any]:
        for _ in range(2_000):
            receipt = self.rpc("eth_getTransactionReceipt", transaction)
            if receipt is not None:
                return receipt
            sleep(0.005)
        raise RuntimeError("anvil does not mine")

    def _await_listening(self) -> None:
        for _ in range(600):
            if self._process.poll() is not None:
                raise RuntimeError(f"anvil did not start: it ended with {self._process.returncode}")
            try:
                self.rpc("eth_chainId")
            except OSError:
                sleep(0.05)
            else:
                return
        raise RuntimeError("anvil does not listen")
