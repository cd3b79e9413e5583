"""What a node's reply means: the result, or why there is none; single requests and batches."""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final

import msgspec

from analyzer.chain.classify import classify, named_limits, suggested_range
from analyzer.chain.failure import Kind, RpcFailure
from analyzer.chain.hiding import Hider
from analyzer.chain.pace import hinted_wait, retry_after
from analyzer.chain.text_layout import SPACE
from analyzer.chain.transport import Reply

Outcome = msgspec.Raw | RpcFailure
Sent = dict[str, Any]
"""A request as it was sent."""

BATCH: Final = "a batch of requests"
MAX_WORDS: Final = 1_000
HTTP_TOO_LARGE: Final = 413
REFUSES_BATCH: Final = {Kind.UNKNOWN, Kind.BATCH_TOO_LARGE, Kind.BATCH_UNSUPPORTED}

UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What reading a text as JSON raises where it is none, or lists in lists without end."""

LONG: Final = frozenset({"eth_getLogs"})
"""Methods whose results are long, and whose reader tells damaged JSON itself."""
LONG_BYTES: Final = 1 << 16
_ANY_SPACE: Final = b"[" + SPACE + b"]*"
_USUAL_HEAD: Final = re.compile(
    rb'~\{~(?:"jsonrpc"~:~"2\.0"~,~|"id"~:~(?P<id>0|[1-9]\d{0,17})~,~)*"result"~:'.replace(
        b"~", _ANY_SPACE
    )
)
_USUAL_TAIL: Final = re.compile(rb"\}~\]~(?P<end>\}~$)".replace(b"~", _ANY_SPACE))


class _Envelope(msgspec.Struct):
    id: Any = None
    result: msgspec.Raw = msgspec.Raw(b"")
    error: Any = None


_SINGLE: Final = msgspec.json.Decoder(_Envelope)
_SEVERAL: Final = msgspec.json.Decoder(list[_Envelope] | _Envelope)


class ReplyReader:
    """Reads one node's replies; what it quotes of them has been cleared of secrets."""

    def __init__(self, hider: Hider, now: Callable[[], float]) -> None:
        self._hider = hider
        self._now = now

    def single(self, sent: Sent, reply: Reply) -> Outcome:
        """The outcome of one request."""
        method = sent["method"]
        if method in LONG and (result := _long_result(reply, sent["id"])) is not None:
            return result
        try:
            envelope = _SINGLE.decode(reply.body)
        except UNREADABLE:
            return self._not_json(method, reply)
        return self._open(sent, envelope, reply)

    def batch(self, sent: Sequence[Sent], reply: Reply) -> list[Outcome] | RpcFailure:
        """The outcome of each request, or the failure with which the batch itself was refused."""
        try:
            envelopes = _SEVERAL.decode(reply.body)
        except UNREADABLE:
            failure = self._not_json(BATCH, reply)
        else:
            if isinstance(envelopes, list) and len(envelopes) == len(sent):
                outcomes = self._sort(sent, envelopes, reply)
                return _common_refusal(outcomes) or outcomes
            failure = self._refused_batch(envelopes, reply)
        if reply.status == HTTP_TOO_LARGE:
            return replace(failure, kind=Kind.BATCH_TOO_LARGE)
        return failure

    def _sort(
        self, sent: Sequence[Sent], envelopes: Sequence[_Envelope], reply: Reply
    ) -> list[Outcome]:
        by_id = {envelope.id: envelope for envelope in envelopes if isinstance(envelope.id, int)}
        if len(by_id) != len(envelopes) or not by_id.keys() <= {one["id"] for one in sent}:
            failure = RpcFailure(Kind.MALFORMED, BATCH, "answers that belong to no request")
            return [failure] * len(sent)
        return [self._open(one, by_id[one["id"]], reply) for one in sent]

    def _refused_batch(self, envelopes: _Envelope | list[_Envelope], reply: Reply) -> RpcFailure:
        """What an answer means that is not one for each request."""
        several = envelopes if isinstance(envelopes, list) else [envelopes]
        for envelope in several:
            if envelope.error is not None:
                return self._refused(BATCH, envelope.error, reply)
        if isinstance(envelopes, list):
            return RpcFailure(Kind.MALFORMED, BATCH, f"{len(envelopes)} answers to a batch")
        return RpcFailure(Kind.BATCH_UNSUPPORTED, BATCH, "one answer to a batch")

    def _open(self, sent: Sent, envelope: _Envelope, reply: Reply) -> Outcome:
        method = sent["method"]
        if envelope.error is not None:
            return self._refused(method, envelope.error, reply)
        if reply.status != 200:
            return self._refused(method, f"HTTP {reply.status}", reply)
        if not bytes(envelope.result):
            return RpcFailure(Kind.MALFORMED, method, "neither a result nor an error")
        if envelope.id != sent["id"]:
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
        wait = retry_after(reply.headers, self._now)
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

    What lies between the envelope's head and the brace behind a list of objects is one JSON value,
    or else damaged for the result's reader. Whatever else ends the envelope is read as a whole.
    """
    if reply.status != 200 or len(reply.body) < LONG_BYTES:
        return None
    head = _USUAL_HEAD.match(reply.body[:256])
    tail = _USUAL_TAIL.search(reply.body, len(reply.body) - 64)
    if head is None or tail is None or head["id"] is None or int(head["id"]) != request_id:
        return None
    return msgspec.Raw(memoryview(reply.body)[head.end() : tail.start("end")])


def _common_refusal(outcomes: Sequence[Outcome]) -> RpcFailure | None:
    """The failure with which a node refused each request of a batch alike, if it did."""
    failures = [outcome for outcome in outcomes if isinstance(outcome, RpcFailure)]
    if len(failures) < len(outcomes) or len({failure.detail for failure in failures}) > 1:
        return None
    return failures[0] if failures[0].kind in REFUSES_BATCH else None
