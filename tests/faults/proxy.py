"""A JSON-RPC server between a chain and us that commits the faults of a plan, and counts them."""

import json
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from random import Random
from typing import Any

from tests.faults.faults import Faults, Query
from tests.faults.lies import tell
from tests.faults.node import Answer, Behind, Node, Refused, View
from tests.faults.plan import LIES, Plan
from tests.faults.traded_chain import Branch
from tests.faults.wordings import (
    LAG,
    RANGE,
    RATE,
    RESULTS,
    TRANSIENT,
    Asked,
    Wording,
    choose,
)

KINDS = {
    "range error": RANGE,
    "results error": RESULTS,
    "rate error": RATE,
    "lag error": LAG,
    "transient error": TRANSIENT,
}
PAGES = {
    "web page": b"<!DOCTYPE html><html><title>Welcome</title></html>",
    "not JSON": b"upstream said nothing",
}
HANG = 1.6
LONGEST_LAG = 24
EPISODE = (1, 6)
"""Requests for which a node stays behind, or on the branch that was replaced."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP response. ``sent`` is how much of the body leaves before the connection drops."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    sent: int | None = None
    after: float = 0.0


DROPPED = Reply(sent=-1)


class Proxy:
    """Serves a plan's node on the loopback. ``arrive`` is called before each request is answered.

    ``met`` counts the faults that were committed, by class, and how often a limit was in the way.
    """

    def __init__(self, node: Node, plan: Plan, arrive: Callable[[], None]) -> None:
        self.met: Counter[str] = Counter()
        self.refusals: Counter[tuple[str, str]] = Counter()
        self._node = node
        self._plan = plan
        self._arrive = arrive
        self._faults = Faults(plan)
        self._gate = threading.Lock()
        self._ended = threading.Event()
        self._view: View = None
        self._view_left = 0
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler_of(self))
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/key"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    def __enter__(self) -> "Proxy":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def show_branch(self, branch: Branch, random: Random) -> None:
        """For some requests, another node answers that has not heard of the new branch."""
        self._view, self._view_left = branch, random.randint(*EPISODE)

    def wait(self, seconds: float) -> None:
        """Hang, at most until the proxy ends."""
        self._ended.wait(seconds)

    def reply(self, request: Any) -> Reply:
        """The response to one HTTP request."""
        queries: list[Query] = request if isinstance(request, list) else [request]
        is_batch = isinstance(request, list)
        with self._gate:
            self._arrive()
            fault, random = self._faults.draw(queries)
            if fault in ("behind head", "silently behind head") and self._view_left == 0:
                is_silent = fault == "silently behind head"
                self._view = Behind(random.randint(1, LONGEST_LAG), is_silent)
                self._view_left = random.randint(*EPISODE)
                self._count(fault)
            view = self._next_view()
            try:
                answers = self._node.answer(queries, view)
            except Refused as refused:
                self._count(refused.what)
                self.refusals[refused.wording.kind, refused.wording.provider] += 1
                return _worded(queries, refused.wording, refused.asked, is_batch=is_batch)
        if fault in LIES:
            answers = self._lied(fault, random, queries, answers)
            fault = None
        if fault is None or fault in ("behind head", "silently behind head"):
            return Reply(_body(answers, is_batch=is_batch))
        self._count(fault)
        return self._failed(fault, random, queries, answers, is_batch=is_batch)

    def _count(self, what: str) -> None:
        self.met[what] += 1

    def _next_view(self) -> View:
        """What this request sees."""
        if self._view_left == 0:
            return None
        self._view_left -= 1
        if isinstance(self._view, Branch):
            self._count("stale fork")
        return self._view

    def _lied(
        self, lie: str, random: Random, queries: Sequence[Query], answers: list[Answer]
    ) -> list[Answer]:
        told = tell(lie, random, answers[0].get("result", []), queries[0]["params"][0])
        if told is None:
            return answers
        self._count(lie)
        return [answers[0] | {"result": told}]

    def _failed(
        self,
        fault: str,
        random: Random,
        queries: Sequence[Query],
        answers: list[Answer],
        *,
        is_batch: bool,
    ) -> Reply:
        whole = _body(answers, is_batch=is_batch)
        match fault:
            case "hang":
                return Reply(whole, after=HANG)
            case "429":
                return Reply(b"slow down", 429)
            case "429 with Retry-After":
                return Reply(b"", 429, {"Retry-After": random.choice(("0", "0.05", "0.2"))})
            case "413":
                return Reply(b"Request Entity Too Large", 413)
            case "dropped before the answer":
                return DROPPED
            case "dropped within the answer":
                return Reply(whole, sent=random.randrange(len(whole)))
            case "truncated":
                return Reply(whole[: random.randrange(1, len(whole))])
            case "web page" | "not JSON":
                return Reply(PAGES[fault])
            case "wrong length":
                return Reply(_body(answers[: random.randrange(len(answers))], is_batch=True))
            case "wrong id" | "no result":
                return Reply(_body(_damaged(fault, random, answers), is_batch=is_batch))
        return self._refused(KINDS[fault], random, queries, answers, is_batch=is_batch)

    def _refused(
        self,
        kind: str,
        random: Random,
        queries: Sequence[Query],
        answers: list[Answer],
        *,
        is_batch: bool,
    ) -> Reply:
        """In some provider's words; of a batch, sometimes only some of its requests."""
        wording = choose(random, kind)
        self.refusals[kind, wording.provider] += 1
        asked = _hiccup(queries[0]) if kind in (RANGE, RESULTS) else Asked()
        if not is_batch or wording.code is None or random.random() < 0.5:
            return _worded(queries, wording, asked, is_batch=is_batch)
        unlucky = set(random.sample(range(len(queries)), random.randint(1, len(queries))))
        error = wording.error(asked)
        mixed = [
            {"jsonrpc": "2.0", "id": query["id"], "error": error} if index in unlucky else answer
            for index, (query, answer) in enumerate(zip(queries, answers, strict=True))
        ]
        return Reply(_body(mixed, is_batch=True), wording.status)


def _hiccup(query: Query) -> Asked:
    """A limit of half the blocks, which holds for this once."""
    first, last = (int(query["params"][0][end], 16) for end in ("fromBlock", "toBlock"))
    limit = (last - first + 1) // 2
    return Asked(first, last, limit, first + limit - 1)


def _worded(
    queries: Sequence[Query], wording: Wording, asked: Asked, *, is_batch: bool
) -> Reply:
    if wording.code is None:
        return Reply(wording.message.encode(), wording.status)
    request_id = None if is_batch else queries[0]["id"]
    refused = {"jsonrpc": "2.0", "id": request_id, "error": wording.error(asked)}
    return Reply(json.dumps(refused).encode(), wording.status)


def _damaged(fault: str, random: Random, answers: Sequence[Answer]) -> list[Answer]:
    """One answer with another id, or with neither result nor error."""
    chosen = random.randrange(len(answers))
    found = [dict(answer) for answer in answers]
    if fault == "wrong id":
        found[chosen]["id"] = 10**9 + random.randrange(10**6)
    else:
        found[chosen] = {"jsonrpc": "2.0", "id": found[chosen]["id"]}
    return found


def _body(answers: Sequence[Answer], *, is_batch: bool) -> bytes:
    return json.dumps(answers if is_batch else answers[0]).encode()


def _handler_of(proxy: Proxy) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = -1  # headers and body leave together

        def do_POST(self) -> None:
            try:
                self._send(proxy.reply(json.loads(self._body())))
            except (BrokenPipeError, ConnectionError, TimeoutError):
                self.close_connection = True  # the client was killed, or has stopped waiting

        def _body(self) -> bytes:
            return self.rfile.read(int(self.headers["Content-Length"]))

        def _send(self, reply: Reply) -> None:
            if reply.after:
                proxy.wait(reply.after)
            if reply is DROPPED:
                self.close_connection = True
                return
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(reply.body)))
            self.end_headers()
            self.wfile.write(reply.body[: reply.sent])
            self.wfile.flush()
            self.close_connection = reply.sent is not None or self.close_connection

        def handle(self) -> None:
            try:
                super().handle()
            except ConnectionError:
                """A client that was killed leaves its connection as it is."""

        def log_message(self, *_: object) -> None:
            """Tests keep quiet."""

    return Handler
