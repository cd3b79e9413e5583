"""JSON-RPC: a short list of methods, batches as large as a node takes, retries that know why.

Read-only is a property of this module: nothing but ``ALLOWED`` can leave it.
"""

import itertools
import threading
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

from analyzer.chain.failure import PATIENCE, WORTH_A_SECOND_TRY, Kind, RpcFailure
from analyzer.chain.hiding import Hider
from analyzer.chain.pace import Pace
from analyzer.chain.replies import BATCH, Outcome, ReplyReader, Sent
from analyzer.chain.settings import Settings
from analyzer.chain.transport import LostError, Reply, Transport

ALLOWED: Final = frozenset({
    "eth_blockNumber", "eth_call", "eth_chainId", "eth_getBlockByHash", "eth_getBlockByNumber",
    "eth_getBlockReceipts", "eth_getCode", "eth_getLogs", "eth_getStorageAt", "eth_subscribe",
    "net_version",
})  # fmt: skip

Query = tuple[str, list[Any]]
ROUNDS_OF_SILENCE: Final = 2
"""So many times as many requests as are under way at once may hang in a row; then nobody is there,
where without another node it would be worth asking for ever less."""


class Rpc:
    """One node. ``requests`` counts what was sent, batches as one; it ``has_answered`` or not."""

    def __init__(
        self, transport: Transport, hider: Hider, settings: Settings, notify: Callable[[str], None]
    ) -> None:
        self.requests = 0
        self.has_answered = False
        self.batch_size = settings.batch_size
        self.max_attempts = settings.max_attempts
        self._transport = transport
        self._replies = ReplyReader(hider, settings.now)
        self._settings = settings
        self._notify = notify
        self._closed = threading.Event()
        self._sleep = settings.sleep or self._closed.wait
        self._pace = Pace(settings.requests_per_second, self._sleep)
        self._ids = itertools.count(1)
        self._lock = threading.Lock()
        self._silence = 0

    def call(
        self, method: str, params: list[Any], final: frozenset[Kind] = frozenset()
    ) -> msgspec.Raw:
        """The undecoded result; a failure of a ``final`` kind is raised with at most one retry."""
        for attempt in itertools.count(1):
            outcome = self._ask((method, params))
            if not isinstance(outcome, RpcFailure):
                return outcome
            is_final = outcome.kind in final and (
                attempt > 1 or outcome.kind not in WORTH_A_SECOND_TRY
            )
            if is_final or not self._may_retry(outcome, attempt):
                raise outcome
            self.back_off(outcome, attempt)
        raise AssertionError

    def many(self, queries: Sequence[Query]) -> list[Outcome]:
        """Results, or the failure of each, in order; batched as far as the node lets us."""
        outcomes: dict[int, Outcome] = {}
        pending, attempt = list(range(len(queries))), 1
        while pending:
            size = max(1, self.batch_size)
            for start in range(0, len(pending), size):
                indices = pending[start : start + size]
                got = self._ask_together([queries[index] for index in indices])
                outcomes.update(zip(indices, got, strict=True))
            failures = {i: out for i in pending if isinstance(out := outcomes[i], RpcFailure)}
            pending = [i for i, failure in failures.items() if self._may_retry(failure, attempt)]
            if pending:
                waits = [failures[index] for index in pending]
                self.back_off(max(waits, key=lambda failure: failure.wait or 0.0), attempt)
            attempt += 1
        return [outcomes[index] for index in range(len(queries))]

    def back_off(self, failure: RpcFailure, attempt: int) -> None:
        """Wait before the next try: as long as the provider asked for, else ever longer."""
        own = self._settings.backoff * 2 ** (attempt - 1)
        seconds = min(failure.wait if failure.wait is not None else own, self._settings.max_wait)
        if failure.kind is Kind.RATE_LIMIT:
            self._notify(f"asked to slow down, going on in {seconds:.1f} s")
            self._pace.pause(seconds)
        else:
            self._sleep(seconds)

    def close(self) -> None:
        """Stop waiting and let go of the connection."""
        self._closed.set()
        self._transport.close()

    def _may_retry(self, failure: RpcFailure, attempt: int) -> bool:
        if self._closed.is_set() or (failure.wait or 0.0) > self._settings.max_wait:
            return False
        limit = round(PATIENCE.get(failure.kind, 0.0) * self._settings.max_attempts)
        if failure.kind in (Kind.UNREACHABLE, Kind.TIMEOUT):
            if not self.has_answered:
                limit = min(limit, 2)  # a node that never answered is more likely absent than shaky
            if self._settings.replaceable:
                limit = min(limit, 2 if self.has_answered and failure.kind is Kind.TIMEOUT else 1)
        return attempt < limit

    def _ask(self, query: Query) -> Outcome:
        request = self._request(query)
        reply = self._exchange(query[0], msgspec.json.encode(request))
        if isinstance(reply, RpcFailure):
            return reply
        return self._replies.single(request, reply)

    def _ask_together(self, queries: list[Query]) -> list[Outcome]:
        """One batch; where the node refuses it, smaller ones or single requests."""
        if len(queries) == 1 or self.batch_size <= 1:
            return [self._ask(query) for query in queries]
        requests = [self._request(query) for query in queries]
        reply = self._exchange(BATCH, msgspec.json.encode(requests))
        got = reply if isinstance(reply, RpcFailure) else self._replies.batch(requests, reply)
        if isinstance(got, list):
            return got
        if not self._shrink_batches(got, len(queries)):
            return [got] * len(queries)
        size = max(1, self.batch_size)
        parts = [queries[start : start + size] for start in range(0, len(queries), size)]
        return [outcome for part in parts for outcome in self._ask_together(part)]

    def _shrink_batches(self, failure: RpcFailure, size: int) -> bool:
        """Whether to ask again at once in smaller batches; the size is kept for what follows."""
        match failure.kind:
            case Kind.BATCH_UNSUPPORTED | Kind.INVALID_PARAMS | Kind.UNKNOWN | Kind.METHOD_DISABLED:
                smaller = 1
            case Kind.BATCH_TOO_LARGE:
                smaller = max((n for n in failure.limits if n < size), default=size // 2)
            case Kind.TOO_MANY_RESULTS | Kind.CALL_TOO_LARGE | Kind.TIMEOUT:
                smaller = size // 2
            case Kind.MALFORMED | Kind.TRANSIENT:
                smaller = size // 10
            case _:
                return False
        self.batch_size = min(self.batch_size, max(1, smaller))
        # What may pass by itself costs time: it counts as a try.
        return failure.kind not in (Kind.TIMEOUT, Kind.MALFORMED, Kind.TRANSIENT)

    def _request(self, query: Query) -> Sent:
        method, params = query
        if method not in ALLOWED:
            raise PermissionError(f"{method} is not on the list of read-only methods")
        return {"jsonrpc": "2.0", "id": next(self._ids), "method": method, "params": params}

    def _exchange(self, method: str, payload: bytes) -> Reply | RpcFailure:
        self._pace.wait()
        if self._closed.is_set():
            return RpcFailure(Kind.UNREACHABLE, method, "the connection has been closed")
        with self._lock:
            self.requests += 1
        try:
            reply = self._transport.exchange(payload)
        except LostError as lost:
            with self._lock:
                self._silence += lost.kind is Kind.TIMEOUT
                is_gone = self._silence > ROUNDS_OF_SILENCE * self._settings.concurrency
            if is_gone and self._settings.replaceable:
                return RpcFailure(Kind.UNREACHABLE, method, "it no longer answers")
            return RpcFailure(lost.kind, method, lost.detail)
        self.has_answered = True
        self._silence = 0
        return reply
