"""One lie at a time about a state read: what ``index`` makes of it, and whether ``verify`` sees it.

A chain tells one lie while it is indexed and none while it is verified.
"""

import shutil
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from unittest.mock import patch

from analyzer.chain.interface import Chain
from analyzer.chain.recording import RecordedChain
from analyzer.codec import decode
from analyzer.errors import AnalyzerError
from analyzer.evm import Answer, Block, Request
from analyzer.indexer.deployments import deployment_of
from analyzer.indexer.plan import Plan
from analyzer.indexer.run import index
from analyzer.indexer.snapshot import stored_state, take_again
from analyzer.indexer.verify import verify_database
from analyzer.protocol import Deployment, State
from analyzer.rows import DataQuality, Deployments, Row, Tokens
from analyzer.store import derived, raw_state
from analyzer.store.database import open_for_writing, transaction
from tests.conftest import FIXTURES
from tests.lying_reads.lies import lies, name_of

RECORDINGS = {
    path.name.removesuffix(".json.gz"): path
    for path in sorted((FIXTURES / "demo").glob("*.json.gz"))
}
REFUSED, NOTHING, FOUND, UNKNOWN, MISSED = "refused", "nothing", "found", "unknown", "missed"
OTHERS = 40
"""Answers to other reads of a function, among which another address is looked for."""
OUTCOMES = (REFUSED, NOTHING, FOUND, UNKNOWN, MISSED)


@dataclass(frozen=True)
class Lie:
    """One false answer."""

    request: Request
    name: str
    answer: Answer


@dataclass(frozen=True)
class Told:
    """What became of a lie about a function."""

    protocol: str
    function: str
    lie: str
    outcome: str
    detail: str = ""


class LyingChain:
    """A recorded chain with one false answer; what was not recorded has no code and answers so."""

    def __init__(self, chain: Chain, lie: Lie) -> None:
        self._chain, self._lie = chain, lie

    def __getattr__(self, name: str):
        return getattr(self._chain, name)

    def answer(self, requests: Sequence[Request], block: Block) -> list[Answer]:
        """Answers, each by itself."""
        return [self._answer(request, block) for request in requests]

    def _answer(self, request: Request, block: Block) -> Answer:
        if request == self._lie.request:
            return self._lie.answer
        try:
            return self._chain.answer([request], block)[0]
        except AnalyzerError:
            return Answer()


@dataclass(frozen=True)
class Case:
    """A deployment of a recorded chain, with its database before any snapshot was taken."""

    protocol: str
    chain: RecordedChain
    plan: Plan
    base: Path
    raw: raw_state.RawSnapshot
    state: State | None
    answers: dict[Request, Answer]
    rows: frozenset[str]


def case_of(protocol: str, name: str, folder: Path, most_accounts: int | None = None) -> Case:
    """A deployment, indexed up to its snapshot, and what its chain answers.

    With ``most_accounts``, the snapshot is of so many of its accounts alone.
    """
    chain = RecordedChain(RECORDINGS[protocol])
    declared = map(_deployment, chain.deployments)
    (deployment,) = [one for one in declared if (one.protocol, one.name) == (protocol, name)]
    base = folder / f"{protocol}-{name}.duckdb"
    plan = Plan(deployments=[deployment])
    raw, accounts = _indexed(chain, base, plan)
    if most_accounts is not None:
        plan = replace(plan, accounts=tuple(accounts[:: -(-len(accounts) // most_accounts)]))
        raw, _ = _indexed(chain, base, plan)
    with open_for_writing(base) as connection:
        state = stored_state(connection, deployment, raw)
    answer = raw_state.Transcript(lambda requests: chain.answer(requests, raw.block))
    rows = take_again(deployment, raw, state, answer)
    return Case(protocol, chain, plan, base, raw, state, answer.answers, _weighed(rows))


def _indexed(chain: Chain, base: Path, plan: Plan) -> tuple[raw_state.RawSnapshot, list[str]]:
    """Index, and take the snapshot back out; what it was and which accounts it had."""
    (outcome,) = index(chain, base, plan)
    assert outcome.error is None
    deployment = outcome.deployment
    with open_for_writing(base) as connection:
        (raw,) = raw_state.raw_snapshots(connection, deployment)
        rows = connection.execute("select distinct account from margin_accounts order by all")
        accounts = [account for (account,) in rows.fetchall()]
        with transaction(connection):
            derived.forget_snapshot(connection, deployment, raw.block.number)
            raw_state.forget_snapshot(connection, deployment, raw.block.number)
    return raw, accounts


def deployments(protocol: str) -> list[str]:
    """The names of the deployments of a recorded chain."""
    return [_deployment(table).name for table in RecordedChain(RECORDINGS[protocol]).deployments]


def lies_of(case: Case) -> dict[Request, list[Lie]]:
    """Every lie about every read."""
    of_function: dict[str, list[Request]] = defaultdict(list)
    for request in case.answers:
        of_function[name_of(case.protocol, request)].append(request)
    found: dict[Request, list[Lie]] = {}
    for requests in of_function.values():
        for request in requests:
            others = [case.answers[other] for other in requests if other != request][:OTHERS]
            answers = lies(case.protocol, request, case.answers[request], others)
            found[request] = [Lie(request, name, answer) for name, answer in answers.items()]
    return found


def tell_part(
    protocol: str, deployment: str, part: int, parts: int, seed: int | None
) -> list[Told]:
    """Lies about each of a part of a deployment's reads: one, or without a seed all there are."""
    with TemporaryDirectory() as folder, decoding_once():
        case = case_of(protocol, deployment, Path(folder))
        random = Random(f"{seed} {deployment} {part}")
        return [
            tell(case, lie)
            for lies in list(lies_of(case).values())[part::parts]
            for lie in (lies if seed is None else random.sample(lies, 1))
        ]


@contextmanager
def decoding_once() -> Iterator[None]:
    """The same answers are decoded for every lie: each of them once is enough."""
    once = lru_cache(1 << 16)(decode)
    with patch("analyzer.abi.decode", lambda kinds, data: once(tuple(kinds), data)):
        yield


def tell(case: Case, lie: Lie) -> Told:
    """Index with a lie, and verify without it if it changed any row that counts."""
    liar = LyingChain(case.chain, lie)
    answer = raw_state.Transcript(lambda requests: liar.answer(requests, case.raw.block))
    (deployment,) = case.plan.deployments
    try:
        rows = take_again(deployment, case.raw, case.state, answer)
        outcome, detail = NOTHING, ""
        if _weighed(rows) != case.rows:
            outcome, detail = _verified(case, liar)
    except AnalyzerError as error:
        outcome, detail = REFUSED, str(error)
    return Told(case.protocol, name_of(case.protocol, lie.request), lie.name, outcome, detail)


def _verified(case: Case, liar: LyingChain) -> tuple[str, str]:
    """What comes of indexing a chain that lies and of verifying with one that does not."""
    path = case.base.with_suffix(".lied.duckdb")
    shutil.copy(case.base, path)
    (outcome,) = index(liar, path, case.plan)
    if outcome.error is not None:
        return REFUSED, str(outcome.error)
    try:
        (verified,) = verify_database(case.chain, path)
    except AnalyzerError as error:
        if outcome.complete:
            raise
        return UNKNOWN, str(error)
    found = verified.comparison
    if found.differences:
        return FOUND, " ".join(sorted({difference.kind for difference in found.differences}))
    if found.skipped:
        return UNKNOWN, found.skip_reasons[0]
    return MISSED, ""


def _weighed(rows: Sequence[Row]) -> frozenset[str]:
    """The rows in which a verdict, a price or an amount stands, or what it rests on."""
    return frozenset(
        repr(replace(row, symbol=None) if isinstance(row, Tokens) else row)
        for row in rows
        if not isinstance(row, Deployments | DataQuality)
    )


def _deployment(table) -> Deployment:
    return deployment_of(table, "the recorded chain", for_people=True)
