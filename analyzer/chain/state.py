"""State reads, all of one block: by Multicall3, in JSON-RPC batches, or one by one.

The way does not show in the answers: what a multicall cannot tell apart (a call that reverted
without data, and one that ran out of its share of gas) is asked again on its own.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from typing import Any, Final, TypeVar

import msgspec

from analyzer.chain import multicall, wire
from analyzer.chain.failure import OVERSIZED, Kind, NodeError, RpcFailure, sentence
from analyzer.chain.headers import headers
from analyzer.chain.replies import Outcome
from analyzer.chain.reverts import revert_data, reverted
from analyzer.chain.rpc import Query, Rpc
from analyzer.chain.settings import Settings
from analyzer.chain.wire import describe
from analyzer.errors import AnalyzerError
from analyzer.evm import NOT_READ, Answer, Block, Call, Request, Slot
from analyzer.reads import MalformedError

WORTH_A_MULTICALL: Final = 4
"""Below this many calls a batch costs no more requests than asking for Multicall3's code."""

R = TypeVar("R", bound=Request)
Done = Callable[[int], None]
Job = tuple[list[int], Future[list[Answer]]]
"""The places that answers belong to, and the answers."""

REFUSES_HASH: Final = frozenset({Kind.INVALID_PARAMS, Kind.UNKNOWN})
"""How nodes say that they take block numbers only; nobody agrees on the words."""

FAILS_ON_HASH: Final = REFUSES_HASH | {Kind.TRANSIENT, Kind.TIMEOUT}
"""How nodes fail that do not know what to say; it means so only until a hash has worked once."""

WORTH_A_PROBE: Final = 4
"""From this many requests on, one goes ahead of them to find out whether hashes are taken."""

TELLS_NO_CODE: Final = frozenset({Kind.METHOD_DISABLED, Kind.UNKNOWN})


class StateReader:
    """Reads state from one node; what it learns about the node stays."""

    def __init__(self, rpc: Rpc, label: str, settings: Settings, pool: Executor) -> None:
        self._rpc = rpc
        self._label = label
        self._settings = settings
        self._pool = pool
        self._by_hash = True
        self._hash_has_worked = False
        self._multicall_size = settings.multicall_size
        self._multicall_since: int | None = None
        self._no_multicall_until = -1

    def answer(self, requests: Sequence[Request], block: Block, done: Done) -> list[Answer]:
        """The answers in order; pinned by hash, or by number with a look at the hash afterwards."""
        if self._by_hash:
            try:
                answers = self._answer(requests, block, done)
            except RpcFailure as failure:
                if not self._may_mean_the_hash(failure):
                    raise
            else:
                self._hash_has_worked = self._hash_has_worked or bool(requests)
                return answers
        return self._by_number(requests, block, done)

    def _may_mean_the_hash(self, failure: RpcFailure) -> bool:
        return self._by_hash and failure.kind in (
            REFUSES_HASH if self._hash_has_worked else FAILS_ON_HASH
        )

    def _by_number(self, requests: Sequence[Request], block: Block, done: Done) -> list[Answer]:
        knew_better, self._by_hash = self._by_hash, False
        if knew_better:
            self._no_multicall_until = -1
            self._rpc.batch_size = self._settings.batch_size
        try:
            answers = self._answer(requests, block, done)
        except (RpcFailure, AnalyzerError):
            self._by_hash = knew_better  # it was not the hash
            raise
        (now,) = headers(self._rpc, [block.number])
        if now.hash != block.hash:
            raise NodeError(
                f"block {block.number} of {self._label} was reorganised while being read",
                "run again",
            )
        return answers

    def _answer(self, requests: Sequence[Request], block: Block, done: Done) -> list[Answer]:
        bundled = [
            (i, r) for i, r in enumerate(requests) if isinstance(r, Call) and r.sender is None
        ]
        if len(bundled) < WORTH_A_MULTICALL or not self._has_multicall(block):
            bundled = []
        taken = {index for index, _ in bundled}
        single = [(i, r) for i, r in enumerate(requests) if i not in taken]
        answers: dict[int, Answer] = {}
        if self._by_hash and not self._hash_has_worked and len(single) >= WORTH_A_PROBE:
            index, request = single.pop(0)
            answers[index] = self._prove_hash(request, block)
            done(1)
        jobs = [
            *self._jobs(bundled, self._multicall_groups(bundled), self._bundle, block),
            *self._jobs(single, self._single_groups(single), self._ask, block),
        ]
        try:
            for indices, future in jobs:
                answers.update(zip(indices, future.result(), strict=True))
                done(len(indices))
        finally:
            for _, future in jobs:
                future.cancel()
        return [answers[index] for index in range(len(requests))]

    def _jobs(
        self,
        items: Sequence[tuple[int, R]],
        sizes: Sequence[int],
        work: Callable[[Sequence[R], Block], list[Answer]],
        block: Block,
    ) -> list[Job]:
        """The groups of requests, of so many each, under way."""
        jobs: list[Job] = []
        start = 0
        for size in sizes:
            part = items[start : start + size]
            requests = [request for _, request in part]
            jobs.append(([index for index, _ in part], self._pool.submit(work, requests, block)))
            start += size
        return jobs

    def _multicall_groups(self, bundled: Sequence[tuple[int, Call]]) -> list[int]:
        calls = [call for _, call in bundled]
        groups = multicall.chunks(calls, self._multicall_size, self._settings.multicall_bytes)
        return [len(group) for group in groups]

    def _single_groups(self, single: Sequence[tuple[int, Request]]) -> list[int]:
        size = self._settings.batch_size
        return [min(size, len(single) - start) for start in range(0, len(single), size)]

    def _has_multicall(self, block: Block) -> bool:
        """Whether Multicall3 has code at the block; once there it stays, before it was absent."""
        if self._multicall_since is not None and block.number >= self._multicall_since:
            return True
        if block.number <= self._no_multicall_until:
            return False
        if self._has_code(block):
            self._multicall_since = block.number
            return True
        self._no_multicall_until = block.number
        return False

    def _has_code(self, block: Block) -> bool:
        """Whether the node says so; one that does not tell code is read in batches."""
        try:
            at = [multicall.ADDRESS, self._pin(block)]
            raw = self._rpc.call("eth_getCode", at, FAILS_ON_HASH if self._by_hash else frozenset())
            return bool(wire.payload(_decoded(raw), "code"))
        except MalformedError:
            return False
        except RpcFailure as failure:
            if failure.kind in TELLS_NO_CODE and not self._may_mean_the_hash(failure):
                return False
            raise

    def _bundle(self, calls: Sequence[Call], block: Block) -> list[Answer]:  # noqa: PLR0911
        """The answers through one multicall; in halves where that is too much for the node."""
        if len(calls) > self._multicall_size:
            return self._in_halves(calls, block)
        query = [wire.call_object(multicall.aggregate(calls)), self._pin(block)]
        try:
            raw = self._rpc.call("eth_call", query, OVERSIZED)
            outcomes = multicall.results(wire.payload(_decoded(raw)), len(calls))
        except MalformedError:
            return self._ask(calls, block)  # something else lives at Multicall3's address
        except RpcFailure as failure:
            if failure.kind is Kind.REVERT or (failure.kind in OVERSIZED and len(calls) == 1):
                return self._ask(calls, block)
            if failure.kind is Kind.UNKNOWN and any(call.is_optional for call in calls):
                return self._apart(calls, block)
            if failure.kind not in OVERSIZED:
                raise
            half = (len(calls) + 1) // 2
            if failure.kind in (Kind.TIMEOUT, Kind.TRANSIENT):
                if self._may_mean_the_hash(failure):
                    self._prove_hash(calls[0], block)
                answers = self._in_halves(calls, block)
                if failure.kind is Kind.TRANSIENT:
                    self._multicall_size = min(self._multicall_size, half)
                return answers
            self._multicall_size = min(self._multicall_size, half)
            return self._in_halves(calls, block)
        unclear = [i for i, (success, data) in enumerate(outcomes) if not success and not data]
        again = iter(self._ask([calls[index] for index in unclear], block))
        return [
            Answer(data) if success else reverted(data) if data else next(again)
            for success, data in outcomes
        ]

    def _prove_hash(self, request: Request, block: Block) -> Answer:
        """One answer by the block's hash; the failure where the node does not take it."""
        outcome: Outcome
        try:
            outcome = self._rpc.call(*self._query(request, block), FAILS_ON_HASH)
        except RpcFailure as failure:
            outcome = failure
        answer = self._read(request, outcome, block)
        self._hash_has_worked = True
        return answer

    def _in_halves(self, calls: Sequence[Call], block: Block) -> list[Answer]:
        middle = (len(calls) + 1) // 2
        return [*self._bundle(calls[:middle], block), *self._bundle(calls[middle:], block)]

    def _apart(self, calls: Sequence[Call], block: Block) -> list[Answer]:
        """Those that may be left out one by one, so that none of them fails all others."""
        needed = [call for call in calls if not call.is_optional]
        answers = iter(self._bundle(needed, block) if needed else [])
        others = iter(self._ask([call for call in calls if call.is_optional], block))
        return [next(others) if call.is_optional else next(answers) for call in calls]

    def _ask(self, requests: Sequence[Request], block: Block) -> list[Answer]:
        """The answers one by one, in JSON-RPC batches where the node takes them."""
        outcomes = self._rpc.many([self._query(request, block) for request in requests])
        return [
            self._read(request, outcome, block)
            for request, outcome in zip(requests, outcomes, strict=True)
        ]

    def _query(self, request: Request, block: Block) -> Query:
        if isinstance(request, Slot):
            place = f"0x{request.slot:064x}"
            return "eth_getStorageAt", [request.address, place, self._pin(block)]
        return "eth_call", [wire.call_object(request), self._pin(block)]

    def _read(self, request: Request, outcome: Outcome, block: Block) -> Answer:
        if isinstance(outcome, RpcFailure):
            if outcome.kind is Kind.REVERT:
                return reverted(revert_data(outcome.data), outcome.words)
            if self._may_be_left_out(request, outcome):
                return NOT_READ
            if self._may_mean_the_hash(outcome):
                raise outcome
            raise sentence(outcome, self._label, f"{describe(request)} at block {block.number}")
        try:
            raw = _decoded(outcome)
            return Answer(wire.slot_value(raw) if isinstance(request, Slot) else wire.payload(raw))
        except MalformedError as error:
            failure = RpcFailure(Kind.MALFORMED, "eth_call", str(error))
            raise sentence(failure, self._label, describe(request)) from None

    def _may_be_left_out(self, request: Request, failure: RpcFailure) -> bool:
        """Whether the node has nothing for this one read, and what needs it may be unknown."""
        is_optional = isinstance(request, Call) and request.is_optional
        is_about_it = self._hash_has_worked or not self._by_hash
        return is_optional and is_about_it and failure.kind is Kind.UNKNOWN

    def _pin(self, block: Block) -> str | dict[str, str]:
        return {"blockHash": block.hash} if self._by_hash else hex(block.number)


def _decoded(raw: msgspec.Raw) -> Any:
    return msgspec.json.decode(raw)
