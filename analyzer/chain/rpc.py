"""JSON-RPC: a short list of methods, whole and well-formed answers, retries that know why.

Read-only is a property of this module: nothing but ``ALLOWED`` can leave it.
"""

import itertools
import re
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final

import msgspec

from analyzer.chain.classify import classify, named_limits, suggested_range
from analyzer.chain.failure import PATIENCE, WORTH_A_SECOND_TRY, Kind, RpcFailure
from analyzer.chain.hiding import Hider
from analyzer.chain.pace import Pace, hinted_wait, retry_after
from analyzer.chain.settings import Settings
from analyzer.chain.transport import LostError, Reply, Transport

ALLOWED: Final = frozenset({
    "eth_blockNumber", "eth_call", "eth_chainId", "eth_getBlockByHash", "eth_getBlockByNumber",
    "eth_getBlockReceipts", "eth_getCode", "eth_getLogs", "eth_getStorageAt", "eth_subscribe",
    "net_version",
})  # fmt: skip

Query = tuple[str, list[Any]]
Outcome = msgspec.Raw | RpcFailure
BATCH: Final = "a batch of requests"
MAX_WORDS: Final = 1_000
HTTP_TOO_LARGE: Final = 413
ROUNDS_OF_SILENCE: Final = 2
"""So many times as many requests as are under way at once may hang in a row; then nobody is there,
where without another node it would be worth asking for ever less."""
REFUSES_BATCH: Final = {Kind.UNKNOWN, Kind.BATCH_TOO_LARGE, Kind.BATCH_UNSUPPORTED}


class _Envelope(msgspec.Struct):
    id: Any = None
    result: msgspec.Raw = msgspec.Raw(b"")
    error: Any = None


LONG: Final = frozenset({"eth_getLogs"})
"""Methods whose results are long, and whose reader tells damaged JSON itself."""
LONG_BYTES: Final = 1 << 16
_USUAL_HEAD: Final = re.compile(
    rb'\s*\{\s*(?:"jsonrpc"\s*:\s*"2\.0"\s*,\s*|"id"\s*:\s*(?P<id>\d{1,18})\s*,\s*)*"result"\s*:'
)

_SINGLE: Final = msgspec.json.Decoder(_Envelope)
_SEVERAL: Final = msgspec.json.Decoder(list[_Envelope] | _Envelope)


class Rpc:
    """One node. ``requests`` counts what was sent, batches as one."""

    def __init__(
        self, transport: Transport, hider: Hider, settings: Settings, notify: Callable[[str], None]
    ) -> None:
        self.requests = 0
        self.batch_size = settings.batch_size
        self.max_attempts = settings.max_attempts
        self._transport = transport
        self._hider = hider
        self._settings = settings
        self._notify = notify
        self._closed = threading.Event()
        self._sleep = settings.sleep or self._closed.wait
        self._pace = Pace(settings.requests_per_second, self._sleep)
        self._ids = itertools.count(1)
        self._lock = threading.Lock()
        self._answered = False
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
            if not self._answered:
                limit = min(limit, 2)  # a node that never answered is more likely absent than shaky
            if self._settings.replaceable:
                limit = min(limit, 2 if self._answered and failure.kind is Kind.TIMEOUT else 1)
        return attempt < limit

    def _ask(self, query: Query) -> Outcome:
        request = self._request(query)
        reply = self._exchange(query[0], msgspec.json.encode(request))
        if isinstance(reply, RpcFailure):
            return reply
        if query[0] in LONG and (result := _long_result(reply, request["id"])) is not None:
            return result
        try:
            envelope = _SINGLE.decode(reply.body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return self._not_json(query[0], reply)
        return self._open(query[0], envelope, request["id"], reply)

    def _ask_together(self, queries: list[Query]) -> list[Outcome]:
        """One batch; where the node refuses it, smaller ones or single requests."""
        if len(queries) == 1 or self.batch_size <= 1:
            return [self._ask(query) for query in queries]
        requests = [self._request(query) for query in queries]
        reply = self._exchange(BATCH, msgspec.json.encode(requests))
        got = reply if isinstance(reply, RpcFailure) else self._batch(queries, requests, reply)
        if isinstance(got, list):
            return got
        failure = got
        if not self._shrink_batches(failure, len(queries)):
            return [failure] * len(queries)
        half = max(1, self.batch_size)
        parts = [queries[start : start + half] for start in range(0, len(queries), half)]
        return [outcome for part in parts for outcome in self._ask_together(part)]

    def _batch(
        self, queries: list[Query], requests: list[dict[str, Any]], reply: Reply
    ) -> list[Outcome] | RpcFailure:
        """The outcome of each request, or the failure with which the batch itself was refused."""
        try:
            envelopes = _SEVERAL.decode(reply.body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            failure = self._not_json(BATCH, reply)
        else:
            if isinstance(envelopes, list) and len(envelopes) == len(queries):
                outcomes = self._sort(queries, requests, envelopes, reply)
                return _common_refusal(outcomes) or outcomes
            failure = self._refused_batch(envelopes, reply)
        if reply.status == HTTP_TOO_LARGE:
            return replace(failure, kind=Kind.BATCH_TOO_LARGE)
        return failure

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

    def _refused_batch(self, envelopes: _Envelope | list[_Envelope], reply: Reply) -> RpcFailure:
        """What an answer means that is not one for each request."""
        several = envelopes if isinstance(envelopes, list) else [envelopes]
        for envelope in several:
            if envelope.error is not None:
                return self._refused(BATCH, envelope.error, reply)
        if isinstance(envelopes, list):
            return RpcFailure(Kind.MALFORMED, BATCH, f"{len(envelopes)} answers to a batch")
        return RpcFailure(Kind.BATCH_UNSUPPORTED, BATCH, "one answer to a batch")

    def _sort(
        self,
        queries: list[Query],
        requests: list[dict[str, Any]],
        envelopes: list[_Envelope],
        reply: Reply,
    ) -> list[Outcome]:
        by_id = {envelope.id: envelope for envelope in envelopes if isinstance(envelope.id, int)}
        if len(by_id) != len(envelopes) or not by_id.keys() <= {r["id"] for r in requests}:
            failure = RpcFailure(Kind.MALFORMED, BATCH, "answers that belong to no request")
            return [failure] * len(queries)
        missing = _Envelope(error=None)
        return [
            self._open(query[0], by_id.get(request["id"], missing), request["id"], reply)
            for query, request in zip(queries, requests, strict=True)
        ]

    def _request(self, query: Query) -> dict[str, Any]:
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
        self._answered = True
        self._silence = 0
        return reply

    def _open(
        self, method: str, envelope: _Envelope, request_id: int | None, reply: Reply
    ) -> Outcome:
        if envelope.error is not None:
            return self._refused(method, envelope.error, reply)
        if reply.status != 200:
            return self._refused(method, f"HTTP {reply.status}", reply)
        if not bytes(envelope.result):
            return RpcFailure(Kind.MALFORMED, method, "neither a result nor an error")
        if request_id is not None and envelope.id != request_id:
            return RpcFailure(Kind.MALFORMED, method, "the answer to another request")
        return envelope.result.copy()

    def _not_json(self, method: str, reply: Reply) -> RpcFailure:
        text = reply.body[:MAX_WORDS].decode("utf-8", "replace")
        is_page = text.lstrip()[:1] == "<"
        if reply.status != 200:
            words = "a web page" if is_page else text.strip()
            return self._refused(
                method, f"HTTP {reply.status}" + (f": {words}" if words else ""), reply
            )
        if is_page:
            return RpcFailure(Kind.MALFORMED, method, "a web page instead of JSON")
        what = "JSON that is cut short or damaged" if text.lstrip()[:1] in ("{", "[") else "no JSON"
        return RpcFailure(Kind.MALFORMED, method, what)

    def _refused(self, method: str, error: Any, reply: Reply) -> RpcFailure:
        code, message, data = None, error, None
        if isinstance(error, dict):
            code, data = error.get("code"), error.get("data")
            message = error.get("message") or (data if isinstance(data, str) else f"code {code}")
        text = str(message)[:MAX_WORDS]
        wait = retry_after(reply.headers)
        return RpcFailure(
            kind=classify(method, text, code, reply.status),
            method=method,
            detail=f'"{self._hider.clear(text)}"',
            words=self._hider.clear(text, MAX_WORDS),
            data=data,
            suggestion=suggested_range(text),
            limits=named_limits(text),
            wait=wait if wait is not None else hinted_wait(data, text),
        )


def _long_result(reply: Reply, request_id: int) -> msgspec.Raw | None:
    """A long result, cut out of an envelope that is written as usual without reading it twice.

    What lies between the envelope's head and its last brace is one JSON value, or else damaged for
    the result's reader as it would have been for the envelope's.
    """
    if reply.status != 200 or len(reply.body) < LONG_BYTES:
        return None
    head = _USUAL_HEAD.match(reply.body[:256])
    tail = reply.body[-64:].rstrip()
    if head is None or head["id"] is None or int(head["id"]) != request_id or tail[-1:] != b"}":
        return None
    end = len(reply.body) - len(reply.body[-64:]) + len(tail) - 1
    return msgspec.Raw(memoryview(reply.body)[head.end() : end])


def _common_refusal(outcomes: Sequence[Outcome]) -> RpcFailure | None:
    """The failure with which a node refused each request of a batch alike, if it did."""
    failures = [outcome for outcome in outcomes if isinstance(outcome, RpcFailure)]
    if len(failures) < len(outcomes) or len({failure.detail for failure in failures}) > 1:
        return None
    return failures[0] if failures[0].kind in REFUSES_BATCH else None
