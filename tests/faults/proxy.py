"""A JSON-RPC server between a chain and us that commits the faults of a plan, and counts them."""

import json
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from random import Random
from typing import Any

from tests.faults.faults import Faults, Query, range_of
from tests.faults.lies import Asked, tell
from tests.faults.node import Answer, Behind, Node, Refused, View
from tests.faults.plan import LIES, Plan
from tests.faults.replies import KINDS, Reply, damaged, refusal, refused, true_reply
from tests.faults.traded_chain import Branch

LAGS = ("behind head", "silently behind head")
LONGEST_LAG = 24
EPISODE = (1, 6)
"""Requests for which a node stays behind, or on a branch that was replaced."""


class Proxy:
    """Serves a plan's node on the loopback. ``arrive`` is called before each request is answered.

    ``met`` counts the faults that were committed, by class, and how often a limit was in the way;
    ``wordings`` the providers' words, by kind and provider.
    """

    def __init__(self, node: Node, plan: Plan, arrive: Callable[[], None]) -> None:
        self.met: Counter[str] = Counter()
        self.wordings: Counter[tuple[str, str]] = Counter()
        self._node = node
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
        is_batch = isinstance(request, list)
        queries: list[Query] = request if is_batch else [request]
        with self._gate:
            self._arrive()
            fault, random = self._faults.draw(queries)
            view = self._next_view(fault, random)
            try:
                answers = self._node.answer(queries, view)
            except Refused as no:
                self.met[no.what] += 1
                self.wordings[no.wording.kind, no.wording.provider] += 1
                return refusal(queries, no.wording, no.asked, is_batch=is_batch)
            if fault is None or fault in LAGS:
                return true_reply(answers, is_batch=is_batch)
            if fault in LIES:
                return true_reply(self._lied(fault, random, queries, answers), is_batch=is_batch)
            self.met[fault] += 1
            if fault in KINDS:
                return refused(fault, random, queries, answers, self.wordings, is_batch=is_batch)
        return damaged(fault, random, answers, is_batch=is_batch)

    def _next_view(self, fault: str | None, random: Random) -> View:
        """What this request sees; an episode goes on for some requests after it began."""
        if fault in LAGS and self._view_left == 0:
            self._view = Behind(random.randint(1, LONGEST_LAG), fault == "silently behind head")
            self._view_left = random.randint(*EPISODE)
            self.met[fault] += 1
        if self._view_left == 0:
            return None
        self._view_left -= 1
        if isinstance(self._view, Branch):
            self.met["stale fork"] += 1
        return self._view

    def _lied(
        self, lie: str, random: Random, queries: Sequence[Query], answers: list[Answer]
    ) -> list[Answer]:
        """The answer with a lie in it, where it can be told."""
        first, last = range_of(queries[0])
        asked = Asked(first, last, self._node.chain.highest)
        told = tell(lie, random, answers[0].get("result", []), asked)
        if told is None:
            return answers
        self.met[lie] += 1
        return [answers[0] | {"result": told}]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # headers and body leave together
    proxy: Proxy

    def handle(self) -> None:
        """Serve a connection; one whose client was killed or stopped waiting just ends."""
        try:
            super().handle()
        except ConnectionError:
            self.close_connection = True

    def do_POST(self) -> None:
        """Answer one request, unless its client was killed while it asked."""
        length = int(self.headers["Content-Length"])
        body = self.rfile.read(length)
        if len(body) < length:
            self.close_connection = True
            return
        reply = self.proxy.reply(json.loads(body))
        if reply.after:
            self.proxy.wait(reply.after)
        self.close_connection = self.close_connection or reply.sent is not None
        if reply.sent == -1:
            return
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        self.wfile.write(reply.body[: reply.sent])
        self.wfile.flush()

    def finish(self) -> None:
        """Let go of a connection, whatever its client has done."""
        try:
            super().finish()
        except ConnectionError:
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Tests keep quiet."""


def _handler_of(serving: Proxy) -> type[_Handler]:
    class Handler(_Handler):
        proxy = serving

    return Handler
