"""What leaves instead of the truth: refusals in providers' words, damaged and lost responses."""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random

from tests.faults.faults import Query, range_of
from tests.faults.node import Answer
from tests.faults.wordings import LAG, RANGE, RATE, RESULTS, TRANSIENT, Asked, Wording, choose

KINDS = {
    "range error": RANGE,
    "results error": RESULTS,
    "rate error": RATE,
    "lag error": LAG,
    "transient error": TRANSIENT,
}
HANG = 1.6
"""Seconds: longer than the client waits."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP response that leaves ``after`` so many seconds.

    ``sent`` is how much of the body leaves before the connection drops; -1 is not even a status.
    """

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    sent: int | None = None
    after: float = 0.0


def true_reply(answers: Sequence[Answer], *, is_batch: bool) -> Reply:
    """What the node says."""
    return Reply(json.dumps(answers if is_batch else answers[0]).encode())


def refusal(queries: Sequence[Query], wording: Wording, asked: Asked, *, is_batch: bool) -> Reply:
    """One error for the whole request."""
    if wording.code is None:
        return Reply(wording.message.encode(), wording.status)
    request_id = None if is_batch else queries[0]["id"]
    said = {"jsonrpc": "2.0", "id": request_id, "error": wording.error(asked)}
    return Reply(json.dumps(said).encode(), wording.status)


def refused(
    fault: str,
    random: Random,
    queries: Sequence[Query],
    answers: Sequence[Answer],
    used: Counter[tuple[str, str]],
    *,
    is_batch: bool,
) -> Reply:
    """In some provider's words, counted in ``used``; of a batch, sometimes only some requests."""
    kind = KINDS[fault]
    wording = choose(random, kind)
    used[kind, wording.provider] += 1
    asked = _hiccup(queries[0]) if kind in (RANGE, RESULTS) else Asked()
    if not is_batch or wording.code is None or random.random() < 0.5:
        return refusal(queries, wording, asked, is_batch=is_batch)
    unlucky = set(random.sample(range(len(queries)), random.randint(1, len(queries))))
    error = wording.error(asked)
    mixed = [
        {"jsonrpc": "2.0", "id": answer["id"], "error": error} if index in unlucky else answer
        for index, answer in enumerate(answers)
    ]
    return Reply(json.dumps(mixed).encode(), wording.status)


def damaged(fault: str, random: Random, answers: Sequence[Answer], *, is_batch: bool) -> Reply:
    """The response as the fault leaves it."""
    return DAMAGES[fault](random, list(answers), true_reply(answers, is_batch=is_batch).body)


def _hiccup(query: Query) -> Asked:
    """A limit of half the blocks, which holds for this once."""
    first, last = range_of(query)
    limit = (last - first + 1) // 2
    return Asked(first, last, limit, first + limit - 1)


def _retry_after(random: Random, _answers: list[Answer], _body: bytes) -> Reply:
    return Reply(b"", 429, {"Retry-After": random.choice(("0", "0.05", "0.2"))})


def _wrong_id(random: Random, answers: list[Answer], body: bytes) -> Reply:
    return _one_changed(random, answers, body, {"id": 10**9 + random.randrange(10**6)})


def _no_result(random: Random, answers: list[Answer], body: bytes) -> Reply:
    return _one_changed(random, answers, body, {})


def _one_changed(random: Random, answers: list[Answer], body: bytes, change: Answer) -> Reply:
    """One answer with another id, or, without a change, with nothing but its own."""
    index = random.randrange(len(answers))
    kept = answers[index] if change else {"jsonrpc": "2.0", "id": answers[index]["id"]}
    answers[index] = kept | change
    return true_reply(answers, is_batch=body[:1] == b"[")


def _fewer(random: Random, answers: list[Answer], _body: bytes) -> Reply:
    return true_reply(answers[: random.randrange(len(answers))], is_batch=True)


DAMAGES: dict[str, Callable[[Random, list[Answer], bytes], Reply]] = {
    "429": lambda _random, _answers, _body: Reply(b"slow down", 429),
    "429 with Retry-After": _retry_after,
    "413": lambda _random, _answers, _body: Reply(b"Request Entity Too Large", 413),
    "hang": lambda _random, _answers, body: Reply(body, after=HANG),
    "dropped before the answer": lambda _random, _answers, _body: Reply(sent=-1),
    "dropped within the answer": lambda random, _, body: Reply(
        body, sent=random.randrange(len(body))
    ),
    "truncated": lambda random, _, body: Reply(body[: random.randrange(1, len(body))]),
    "web page": lambda _random, _answers, _body: Reply(b"<!DOCTYPE html><p>Welcome</p>"),
    "not JSON": lambda _random, _answers, _body: Reply(b"upstream said nothing"),
    "wrong id": _wrong_id,
    "wrong length": _fewer,
    "no result": _no_result,
}
