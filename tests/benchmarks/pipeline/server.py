"""The recorded server: a node that has every answer ready, over HTTP on the loopback.

    python -m tests.benchmarks.pipeline.server FOLDER

It says its URL on its first line, and ends when its standard input does. Nothing is encoded for a
request: any range of logs is one slice of a file in memory. One thread a connection, which sends
without holding the interpreter.
"""

import mmap
import re
import socket
import sys
import threading
from array import array
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import msgspec

from tests.benchmarks.pipeline.chain import BLOCKS, CHAIN_ID, HEADERS, LOGS, read_about

Parts = list[bytes | memoryview]
TAGS: Final = ("latest", "safe", "finalized", "pending")
NOTHING: Final[Parts] = [b"null"]
HASH: Final = rb'"hash":"(0x[0-9a-f]{64})","parentHash"'
MOST_PARTS: Final = 512
"""Buffers handed to the system at once; Linux takes 1,024."""


class Pieces:
    """Serialised pieces of consecutive blocks, cut anywhere between two blocks."""

    def __init__(self, folder: Path, name: str) -> None:
        with (folder / f"{name}.json").open("rb") as file:
            self._bytes = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        self._starts = array("Q", (folder / f"{name}.offsets").read_bytes())

    def between(self, first: int, last: int) -> memoryview:
        """The pieces of blocks counted from 0, without the comma after the last."""
        start, end = self._starts[first], self._starts[last + 1]
        return self._bytes[start : max(start, end - 1)]


class Node:
    """What the chain in a folder answers."""

    def __init__(self, folder: Path) -> None:
        self.about = read_about(folder)
        self._logs, self._headers, self._blocks = (
            Pieces(folder, name) for name in (LOGS, HEADERS, BLOCKS)
        )
        self._topics = [set(values) for values in self.about.topics]
        self._methods: dict[str, Callable[[list[Any]], Parts]] = {
            "eth_getLogs": self._get_logs,
            "eth_getBlockByNumber": self._get_block,
            "eth_chainId": lambda _: [b'"%#x"' % CHAIN_ID],
            "net_version": lambda _: [b'"%d"' % CHAIN_ID],
            "eth_blockNumber": lambda _: [b'"%#x"' % self.about.head],
            "web3_clientVersion": lambda _: [b'"recorded/1.0"'],
            "eth_syncing": lambda _: [b"false"],
            "eth_gasPrice": lambda _: [b'"0x0"'],
        }

    def answer(self, body: bytes) -> Parts:
        """The response to a request or a batch of them, in pieces."""
        asked = msgspec.json.decode(body)
        if not isinstance(asked, list):
            return self._one(asked)
        parts: Parts = [b"["]
        for request in asked:
            parts += self._one(request)
            parts.append(b",")
        parts[-1] = b"]"
        return parts

    def _one(self, request: dict[str, Any]) -> Parts:
        identity = msgspec.json.encode(request.get("id"))
        method = self._methods.get(request["method"])
        if method is None:
            said = f"the method {request['method']} does not exist"
            error = msgspec.json.encode({"code": -32601, "message": said})
            return [b'{"jsonrpc":"2.0","id":', identity, b',"error":', error, b"}"]
        result = method(request.get("params", []))
        return [b'{"jsonrpc":"2.0","id":', identity, b',"result":', *result, b"}"]

    def _get_logs(self, params: list[Any]) -> Parts:
        wanted = params[0]
        if "blockHash" in wanted:
            index = self._by_hash[wanted["blockHash"].encode()]
            return [b"[", self._logs.between(index, index), b"]"]
        first = self._number(wanted.get("fromBlock", "latest"))
        last = min(self._number(wanted.get("toBlock", "latest")), self.about.head)
        first = max(first, self.about.base)
        if first > last or not self._matches(wanted):
            return [b"[]"]
        start = self.about.base
        return [b"[", self._logs.between(first - start, last - start), b"]"]

    def _matches(self, wanted: dict[str, Any]) -> bool:
        """Whether a filter takes all logs; what takes only some of them is refused."""
        addresses = wanted.get("address") or [self.about.address]
        addresses = [addresses] if isinstance(addresses, str) else addresses
        verdicts = [self.about.address in {address.lower() for address in addresses}]
        for position, topic in enumerate(wanted.get("topics") or []):
            if topic is None or topic == []:
                continue
            accepted = {topic} if isinstance(topic, str) else set(topic)
            if position >= len(self._topics):
                raise ValueError("a filter that the recorded server cannot apply")
            here = self._topics[position]
            if accepted & here and not here <= accepted:
                raise ValueError("a filter that takes some of the logs only")
            verdicts.append(here <= accepted)
        return all(verdicts)

    @cached_property
    def _by_hash(self) -> dict[bytes, int]:
        """The place of a block, counted from 0, by its hash."""
        headers = self._headers.between(0, self.about.head - self.about.base)
        return {found: index for index, found in enumerate(re.findall(HASH, headers))}

    def _get_block(self, params: list[Any]) -> Parts:
        index = self._number(params[0]) - self.about.base
        if not 0 <= index <= self.about.head - self.about.base:
            return NOTHING
        pieces = self._blocks if len(params) > 1 and params[1] else self._headers
        return [pieces.between(index, index)]

    def _number(self, which: str) -> int:
        if which == "earliest":
            return self.about.base
        return self.about.head if which in TAGS else int(which, 16)


def serve_connection(connection: socket.socket, node: Node) -> None:
    """Answer one client until it goes."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    held = b""
    with connection:
        while True:
            while (end := held.find(b"\r\n\r\n")) < 0:
                if not (got := connection.recv(1 << 16)):
                    return
                held += got
            length = _content_length(held[:end])
            while len(held) < end + 4 + length:
                if not (got := connection.recv(1 << 16)):
                    return
                held += got
            body, held = held[end + 4 : end + 4 + length], held[end + 4 + length :]
            parts = node.answer(body)
            head = (
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
            )
            send(connection, [head % sum(map(len, parts)), *parts])


def send(connection: socket.socket, parts: Sequence[bytes | memoryview]) -> None:
    """All of it, however much the system takes at once."""
    left = [memoryview(part) for part in parts]
    while left:
        sent = connection.sendmsg(left[:MOST_PARTS])
        while left and sent >= len(left[0]):
            sent -= len(left.pop(0))
        if sent:
            left[0] = left[0][sent:]


def _content_length(head: bytes) -> int:
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length":
            return int(value)
    return 0


def _serve_quietly(connection: socket.socket, node: Node) -> None:
    try:
        serve_connection(connection, node)
    except ConnectionError:
        return


def main() -> None:
    """Serve until the standard input ends."""
    node = Node(Path(sys.argv[1]))
    listener = socket.create_server(("127.0.0.1", 0), backlog=256)
    sys.stdout.write(f"http://127.0.0.1:{listener.getsockname()[1]}\n")
    sys.stdout.flush()

    def accept() -> None:
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=_serve_quietly, args=(connection, node), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    sys.stdin.read()


if __name__ == "__main__":
    main()
