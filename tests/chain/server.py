"""A JSON-RPC node on the loopback that plays a recorded chain with the manners of real providers.

    from tests.chain.server import Manners, RecordingServer

    with RecordingServer(path, Manners(max_range=100)) as server:
        chain = open_chain([server.url])

What the recording does not hold is answered as a node would answer it: headers between recorded
blocks are made up so that they fit the recorded parent hashes, calls that were not recorded fail
with an error that names them. The server takes nothing from the code under test.
"""

import gzip
import hashlib
import json
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from eth_abi import decode, encode

from tests.chain.manners import (
    NOTICES,
    NULL,
    RANGE_WORDINGS,
    RESULT_WORDINGS,
    RETRY_AFTER,
    TIME_IS_UP,
    Manners,
)

__all__ = ["Manners", "RecordingServer", "RpcError"]

MULTICALL3 = "0xca11bde05977b3631167028862be2a173976ca11"
AGGREGATE3 = "0x82ad56cb"
CODE = "0x01"


class RpcError(Exception):
    """An error object, and the HTTP status that it comes with."""

    def __init__(self, status: int, error: dict) -> None:
        super().__init__(error)
        self.status = status
        self.error = error


class RecordingServer:
    """Serves from ``with`` on, at ``url``; ``calls`` holds every (method, params) answered."""

    def __init__(self, recording: Path, manners: Manners | None = None, path: str = "/") -> None:
        """``path`` is the URL's, to which the server pays no heed."""
        self.manners = manners or Manners()
        self.calls: list[tuple[str, Any]] = []
        self.posts = 0
        self.chain = _load(recording)
        self._methods: Mapping[str, Callable[..., Any]] = {
            "eth_chainId": lambda: hex(self.chain.chain_id),
            "eth_blockNumber": lambda: hex(self.chain.head),
            "eth_getBlockByNumber": self._block,
            "eth_getLogs": self._logs,
            "eth_getCode": self._code,
            "eth_getStorageAt": self._storage,
            "eth_call": lambda call, pin: self._call(call, self._pinned(pin)),
        } | ({"eth_getBlockReceipts": self._receipts} if self.manners.receipts else {})
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler_of(self))
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}{path}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    def __enter__(self) -> "RecordingServer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Answer nobody any more."""
        self._stopped.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def counts(self) -> Counter[str]:
        """How often each method was answered."""
        return Counter(method for method, _ in self.calls)

    def fault(self) -> str | None:
        """What is to happen to the request that has just come in."""
        with self._lock:
            number, self.posts = self.posts, self.posts + 1
        return self.manners.faults.get(number)

    def hang(self) -> None:
        """Say nothing until the server stops."""
        self._stopped.wait()

    def respond(self, request: Any) -> tuple[int, Any]:
        """HTTP status and JSON-RPC answer to a request or a batch."""
        if not isinstance(request, list):
            return self._respond_to_one(request)
        if not self.manners.batches:
            return 400, _error(
                None, {"code": -32600, "message": "batch requests are not supported"}
            )
        limit = self.manners.max_batch
        if limit is not None and len(request) > limit:
            message = f"maximum {limit} calls in a batch"
            return 200, _error(None, {"code": -32005, "message": message})
        answers = [self._respond_to_one(entry)[1] for entry in request]
        return 200, answers[::-1]  # the specification allows any order

    def _respond_to_one(self, request: dict) -> tuple[int, dict]:
        method, params = request["method"], request["params"]
        with self._lock:
            self.calls.append((method, params))
        try:
            result = self._result(method, params)
        except RpcError as error:
            if self.manners.echo:
                error.error["message"] += self.manners.echo
            return error.status, _error(request["id"], error.error)
        return 200, {"jsonrpc": "2.0", "id": request["id"], "result": result}

    def _result(self, method: str, params: list) -> Any:
        if self.manners.answer is not None:
            special = self.manners.answer(method, params)
            if special is not None:
                return None if special is NULL else special
        if method not in self._methods:
            message = f"the method {method} does not exist/is not available"
            raise RpcError(200, {"code": -32601, "message": message})
        return self._methods[method](*params)

    def _block(self, which: str, _with_transactions: bool) -> dict | None:
        if which in ("latest", "safe", "finalized"):
            if which not in self.manners.tags:
                raise RpcError(200, {"code": -32602, "message": f"invalid block tag {which}"})
            which = hex(self.chain.head)
        return self.chain.header(int(which, 16))

    def _logs(self, query: dict) -> list[dict]:
        if "blockHash" in query:
            query = query | dict.fromkeys(
                ("fromBlock", "toBlock"), self.chain.number_of(query["blockHash"])
            )
        start, end = int(query["fromBlock"], 16), int(query["toBlock"], 16)
        manners = self.manners
        if manners.logs_disabled:
            raise RpcError(200, {"code": -32005, "message": "limit exceeded"})
        if start < manners.first_log_block:
            raise RpcError(200, {"code": 4444, "message": "pruned history unavailable"})
        if end > self.chain.head:
            message = "block range extends beyond current head block"
            raise RpcError(200, {"code": -32602, "message": message})
        addresses = query.get("address", [])
        addresses = {a.lower() for a in ([addresses] if isinstance(addresses, str) else addresses)}
        if manners.max_addresses is not None and len(addresses) > manners.max_addresses:
            message = (
                f"{len(addresses)} addresses specified in query, but only "
                f"{manners.max_addresses} are allowed"
            )
            raise RpcError(200, {"code": -32000, "message": message})
        if manners.max_range is not None and end - start + 1 > manners.max_range:
            raise RpcError(*RANGE_WORDINGS[manners.range_wording](manners.max_range, start, end))
        topics = [set(t) if isinstance(t, list) else {t} if t else set()
                  for t in query.get("topics", [])]  # fmt: skip
        found = [log for log in self.chain.logs
                 if start <= int(log["blockNumber"], 16) <= end
                 and _matches(log, addresses, topics)]  # fmt: skip
        if manners.max_logs is not None and len(found) > manners.max_logs:
            fits = int(found[manners.max_logs]["blockNumber"], 16) - 1
            raise RpcError(
                *RESULT_WORDINGS[manners.result_wording](manners.max_logs, start, max(start, fits))
            )
        return [self._with_manners(log) for log in found]

    def _with_manners(self, log: dict) -> dict:
        if self.manners.block_timestamps:
            header = self.chain.header(int(log["blockNumber"], 16))
            return log | {"blockTimestamp": header["timestamp"]}
        return {key: value for key, value in log.items() if key != "blockTimestamp"}

    def _receipts(self, which: str) -> list[dict]:
        number = int(which, 16)
        logs = [log for log in self.chain.logs if int(log["blockNumber"], 16) == number]
        transactions = sorted({log["transactionHash"] for log in logs})
        return [
            {"logs": [self._with_manners(log) for log in logs if log["transactionHash"] == one]}
            for one in transactions
        ]

    def _pinned(self, which: Any) -> int:
        """The number of the block that a state read is pinned to."""
        if isinstance(which, dict):
            if not self.manners.block_hash_calls:
                message = "invalid argument 1: json: cannot unmarshal object into Go value"
                raise RpcError(200, {"code": -32602, "message": message})
            number = self.chain.by_hash.get(which["blockHash"].lower())
            if number is None:
                raise RpcError(200, {"code": -32000, "message": "header for hash not found"})
        else:
            number = int(which, 16)
        if number < self.manners.first_state_block:
            message = "missing trie node 8b1604e0d19d9be9 (path ) state 0x8b16 is not available"
            raise RpcError(200, {"code": -32000, "message": message})
        return number

    def _code(self, address: str, pin: Any) -> str:
        self._pinned(pin)
        if address == MULTICALL3:
            return CODE if self.manners.multicall else "0x"
        return CODE if address.lower() in self.chain.contracts else "0x"

    def _storage(self, address: str, slot: str, pin: Any) -> str:
        number = self._pinned(pin)
        found = self.chain.storage.get((number, address.lower(), int(slot, 16)))
        if found is None:
            message = f"not recorded: slot {slot} of {address} at block {number}"
            raise RpcError(200, {"code": -32097, "message": message})
        return found

    def _call(self, call: dict, number: int) -> str:
        to, data = call["to"].lower(), call["data"].lower()
        if to == MULTICALL3 and self.manners.multicall and data.startswith(AGGREGATE3):
            return self._aggregate(bytes.fromhex(data[10:]), number)
        sender = call["from"].lower() if call.get("from") else None
        recorded = self.chain.calls.get((number, to, data, sender))
        if recorded is None:
            message = f"not recorded: call {data} to {to} at block {number}"
            raise RpcError(200, {"code": -32097, "message": message})
        if "error" in recorded:
            raise RpcError(200, dict(recorded["error"]))
        return recorded["result"]

    def _aggregate(self, arguments: bytes, number: int) -> str:
        """Multicall3's answer, composed of the recorded single calls."""
        (entries,) = decode(["(address,bool,bytes)[]"], arguments)
        limit = self.manners.max_multicall
        if limit is not None and len(entries) > limit:
            raise RpcError(200, {"code": -32000, "message": "out of gas"})
        results = []
        for to, _, data in entries:
            try:
                result = self._call({"to": to, "data": "0x" + data.hex()}, number)
                results.append((True, bytes.fromhex(result[2:])))
            except RpcError as error:
                if error.error["code"] != 3:
                    raise
                results.append((False, bytes.fromhex(error.error.get("data", "0x")[2:])))
        return "0x" + encode(["(bool,bytes)[]"], [results]).hex()


class _Chain:
    """A recording's document, by what is asked for."""

    def __init__(self, document: dict) -> None:
        self.chain_id = document["chain_id"]
        self.blocks = {int(block["number"], 16): block for block in document["blocks"]}
        self.head = max(self.blocks)
        self.by_hash = {block["hash"].lower(): number for number, block in self.blocks.items()}
        self.logs = sorted(
            document.get("logs", ()),
            key=lambda log: (int(log["blockNumber"], 16), int(log["logIndex"], 16)),
        )
        self.calls = {_call_key(call): call for call in document.get("calls", ())}
        self.contracts = {key[1] for key, call in self.calls.items() if "result" in call}
        self.storage = {
            (int(s["block"], 16), s["address"].lower(), int(s["slot"], 16)): s["result"]
            for s in document.get("storage", ())
        }
        self._times = sorted((n, block["timestamp"]) for n, block in self.blocks.items())

    def number_of(self, block_hash: str) -> str:
        """The number of a recorded block; no other has logs."""
        return next(b["number"] for b in self.blocks.values() if b["hash"] == block_hash)

    def header(self, number: int) -> dict | None:
        """The recorded header, or one made up to stand between its neighbours."""
        if number > self.head:
            return None
        if number in self.blocks:
            return self.blocks[number]
        earlier = [time for n, time in self._times if n < number]
        return {
            "number": hex(number),
            "hash": self._hash(number),
            "parentHash": self._hash(number - 1),
            "timestamp": earlier[-1] if earlier else "0x1",
        }

    def _hash(self, number: int) -> str:
        if number in self.blocks:
            return self.blocks[number]["hash"]
        if number + 1 in self.blocks:
            return self.blocks[number + 1]["parentHash"]
        before = next((n for n in range(number, -1, -1) if n in self.blocks), None)
        ancestor = self.blocks[before]["hash"] if before is not None else ""
        return "0x" + hashlib.sha256(f"{ancestor}{number}".encode()).hexdigest()


@cache
def _load(recording: Path) -> _Chain:
    with gzip.open(recording, "rt", encoding="utf-8") as file:
        return _Chain(json.load(file))


def _call_key(call: dict) -> tuple[int, str, str, str | None]:
    sender = call["from"].lower() if call.get("from") else None
    return int(call["block"], 16), call["to"].lower(), call["data"].lower(), sender


def _matches(log: dict, addresses: set[str], topics: list[set[str]]) -> bool:
    if addresses and log["address"].lower() not in addresses:
        return False
    own = [topic.lower() for topic in log["topics"]]
    return len(topics) <= len(own) and all(
        not accepted or topic in accepted for accepted, topic in zip(topics, own, strict=False)
    )


def _error(request_id: int | None, error: dict) -> dict:
    return {"jsonrpc": "2.0", "id": request_id, "error": error}


def _damaged(fault: str, answer: Any) -> bytes:
    """The answer, cut short or changed."""
    if fault == "truncate":
        return json.dumps(answer).encode()[:-10]
    first = answer[0] if isinstance(answer, list) else answer
    if fault == "wrong id":
        first["id"] = 123_456_789
    else:
        first.pop("result", None)
        first.pop("error", None)
    return json.dumps(answer).encode()


def _handler_of(server: RecordingServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = -1  # headers and body leave together

        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            fault = server.fault()
            if fault in ("drop", "hang"):
                if fault == "hang":
                    server.hang()
                self.close_connection = True
            elif fault == "time is up":
                self._send(TIME_IS_UP, b"")
            elif fault in NOTICES:
                status, notice = NOTICES[fault]
                text = notice if isinstance(notice, str) else json.dumps(_error(None, notice))
                self._send(status, text.encode(), RETRY_AFTER.get(fault))
            else:
                status, answer = server.respond(request)
                whole = json.dumps(answer).encode()
                self._send(status, _damaged(fault, answer) if fault else whole)

        def _send(self, status: int, body: bytes, retry_after: str | None = None) -> None:
            self.send_response(status)
            if retry_after is not None:
                self.send_header("Retry-After", retry_after)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Tests keep quiet."""

    return Handler
