"""A local chain on loopback, and what tests do with it: send, call, mine, turn back."""

import http.client
import json
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eth_abi.abi import decode, encode
from eth_utils.abi import collapse_if_tuple
from eth_utils.crypto import keccak

from tests.contracts.fetch import folder, mocks

GENESIS = 1_700_000_000
BLOCK_SECONDS = 2
GAS = hex(300_000_000)
STARTING_SECONDS = 20


class RevertedError(Exception):
    """A transaction or a call was refused, with the contract's reason."""


@dataclass(frozen=True)
class Artifact:
    """A compiled contract: its ABI and creation bytecode."""

    name: str
    abi: list[dict[str, Any]]
    bytecode: str

    def encode(self, function: str, *arguments: Any) -> str:
        entry = next(
            e
            for e in self.abi
            if e.get("name") == function
            and e["type"] == "function"
            and len(e["inputs"]) == len(arguments)
        )
        kinds = _types(entry["inputs"])
        selector = keccak(text=f"{function}({','.join(kinds)})")[:4]
        return "0x" + (selector + encode(kinds, arguments)).hex()

    def decode(self, function: str, count: int, data: bytes) -> Any:
        entry = next(e for e in self.abi if e.get("name") == function and len(e["inputs"]) == count)
        values = decode(_types(entry["outputs"]), data)
        return values[0] if len(values) == 1 else values

    def creation(self, *arguments: Any) -> str:
        entry = next((e for e in self.abi if e["type"] == "constructor"), {"inputs": []})
        return self.bytecode + encode(_types(entry["inputs"]), arguments).hex()


@dataclass(frozen=True)
class Deployed:
    """A contract at an address of the local chain."""

    chain: "Anvil"
    artifact: Artifact
    address: str

    def send(self, sender: str, function: str, *arguments: Any) -> None:
        """One transaction in a block of its own; raises ``RevertedError`` if it is refused."""
        self.chain.send(sender, self.address, self.artifact.encode(function, *arguments))

    def call(self, function: str, *arguments: Any, sender: str | None = None) -> Any:
        """A view at the newest block; raises ``RevertedError`` with the contract's reason."""
        data = self.artifact.encode(function, *arguments)
        answer = self.chain.call(self.address, data, sender)
        return self.artifact.decode(function, len(arguments), answer)


class Anvil:
    """The JSON-RPC of one local chain."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._port = port
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    def rpc(self, method: str, *parameters: Any) -> Any:
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters})
        self._connection.request("POST", "/", body, {"Content-Type": "application/json"})
        answer = json.loads(self._connection.getresponse().read())
        if "error" in answer:
            message = str(answer["error"].get("message", ""))
            raise RevertedError(message.removeprefix("execution reverted: "))
        return answer["result"]

    def close(self) -> None:
        """Drop the connection; the next request opens another."""
        self._connection.close()

    def send(self, sender: str, to: str | None, data: str) -> dict[str, Any]:
        transaction = {"from": sender, "data": data, "gas": GAS, "gasPrice": "0x0"}
        if to is not None:
            transaction["to"] = to
        digest = self.rpc("eth_sendTransaction", transaction)
        receipt = self._receipt(digest)
        if receipt["status"] != "0x1":
            self.call(to or "", data, sender)
            raise RevertedError("without a reason")
        return receipt

    def _receipt(self, digest: str) -> dict[str, Any]:
        """The receipt of a transaction, which is mined a moment after it was taken."""
        end = time.monotonic() + STARTING_SECONDS
        while time.monotonic() < end:
            receipt: dict[str, Any] | None = self.rpc("eth_getTransactionReceipt", digest)
            if receipt is not None:
                return receipt
            time.sleep(0.001)
        raise TimeoutError(f"transaction {digest} was not mined")

    def call(self, to: str, data: str, sender: str | None = None) -> bytes:
        request = {"to": to, "data": data} | ({"from": sender} if sender else {})
        return bytes.fromhex(self.rpc("eth_call", request, "latest")[2:])

    def deploy(self, sender: str, artifact: Artifact, *arguments: Any) -> Deployed:
        receipt = self.send(sender, None, artifact.creation(*arguments))
        return Deployed(self, artifact, receipt["contractAddress"].lower())

    def pass_time(self, seconds: int) -> None:
        """An empty block, so many seconds after the newest one."""
        self.rpc("evm_setNextBlockTimestamp", self.time() + seconds)
        self.rpc("evm_mine")

    def time(self) -> int:
        return int(self.rpc("eth_getBlockByNumber", "latest", False)["timestamp"], 16)

    def block_number(self) -> int:
        return int(self.rpc("eth_blockNumber"), 16)


@contextmanager
def running() -> Iterator[Anvil]:
    """A fresh chain, gone afterwards."""
    (program,) = folder("@foundry-rs/anvil-linux-amd64").glob("bin/anvil")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program.chmod(0o755)
    options = {
        "--host": "127.0.0.1",
        "--port": port,
        "--timestamp": GENESIS,
        "--hardfork": "shanghai",
        "--gas-limit": 1_000_000_000,
        "--base-fee": 0,
        "--gas-price": 0,
        "--accounts": 1,
    }
    arguments = [str(word) for pair in options.items() for word in pair]
    with subprocess.Popen(
        [str(program), *arguments, "--auto-impersonate", "--quiet"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    ) as process:
        chain = Anvil(port)
        try:
            _wait(chain, process)
            chain.rpc("anvil_setBlockTimestampInterval", BLOCK_SECONDS)
            yield chain
        finally:
            chain.close()
            process.terminate()


def _wait(chain: Anvil, process: "subprocess.Popen[bytes]") -> None:
    end = time.monotonic() + STARTING_SECONDS
    while True:
        try:
            chain.rpc("eth_chainId")
        except (OSError, http.client.HTTPException):
            chain.close()
            if process.poll() is not None or time.monotonic() > end:
                raise
            time.sleep(0.05)
        else:
            return


def published(package: str, path: str) -> Artifact:
    """A contract as its package has it."""
    file = folder(package) / "artifacts" / "contracts" / path
    found = json.loads(file.read_text(encoding="utf-8"))
    return Artifact(Path(path).stem, found["abi"], found["bytecode"])


def mock(name: str) -> Artifact:
    """One of our own contracts."""
    found = mocks()[name]
    return Artifact(name, found["abi"], found["bytecode"])


def _types(parameters: Sequence[dict[str, Any]]) -> list[str]:
    return [collapse_if_tuple(dict(parameter)) for parameter in parameters]
