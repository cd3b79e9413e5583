"""Whatever is not known of a stored account: `verify` skips it by name, `explain` explains it."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from analyzer.chain.recording import RecordedChain
from analyzer.errors import AnalyzerError
from analyzer.evm import Answer
from analyzer.indexer.deployments import deployment_of
from analyzer.indexer.plan import Plan
from analyzer.indexer.run import index
from analyzer.indexer.stored import StoredSnapshot, Wanted, stored_snapshots
from analyzer.protocol import Comparison, StoredAccount
from analyzer.protocols import protocols
from analyzer.reads import drive
from tests.lying_reads.sweep import RECORDINGS

REASON = "a log of it cannot be read"
UNKNOWN = {"unknown": REASON}
OUTPUTS: Mapping[str, Mapping[str, Any]] = {
    "gmx_v1": {
        "stored": UNKNOWN, "executable": UNKNOWN, "getPositionLeverage": None,
        "getNextFundingRate": UNKNOWN,
    },
    "gmx_v2": {
        "stored": UNKNOWN, "executable": UNKNOWN,
        "flips_stored": {"kind": "unknown", "flips": []},
        "flips_executable": {"kind": "unknown", "flips": []},
    },
    "perp_v1": {},
    "perp_v2": {},
}  # fmt: skip
"""What stands in ``outputs`` where there is no verdict."""

all_protocols = pytest.mark.parametrize("protocol", sorted(RECORDINGS))


@cache
def stored(protocol: str) -> tuple[RecordedChain, StoredSnapshot]:
    """The last deployment of a recorded chain as it is stored."""
    chain = RecordedChain(RECORDINGS[protocol])
    deployment = deployment_of(chain.deployments[-1], "the recorded chain", for_people=True)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "x.duckdb"
        (outcome,) = index(chain, path, Plan(deployments=[deployment]))
        assert outcome.error is None
        (snapshot,) = stored_snapshots(path, Wanted(chain.chain_id()), chain.label)
    return chain, snapshot


def verified(protocol: str, account: StoredAccount) -> Comparison:
    chain, snapshot = stored(protocol)
    block = chain.block("latest")

    def answer(requests):
        return [_answer(request) for request in requests]

    def _answer(request):
        try:
            return chain.answer([request], block)[0]
        except AnalyzerError:  # what a view of another argument would say was not recorded
            return Answer(error="not recorded", read=False)

    reads = protocols()[protocol].verify(snapshot.deployment, block, [account])
    return drive(reads, answer)


def samples(protocol: str) -> list[StoredAccount]:
    """Accounts with the most to know of them: of each state, with most inputs, with positions."""
    _, snapshot = stored(protocol)
    found: dict[str, list[StoredAccount]] = {}
    for account in snapshot.accounts:
        if account.positions:
            found.setdefault(account.state, []).append(account)
    size = lambda account: len(str(account.inputs) + str(account.positions))  # noqa: E731
    return [max(accounts, key=size) for accounts in found.values()]


def without(values: Any) -> Any:
    """The same, with nothing known."""
    if isinstance(values, Mapping):
        return {name: without(value) for name, value in values.items()}
    return None


def each_without(values: Any) -> Iterator[Any]:
    """The same, with one thing not known, for each of them."""
    if isinstance(values, Mapping | list):
        pairs = values.items() if isinstance(values, Mapping) else enumerate(values)
        for name, value in pairs:
            for changed in (None, *each_without(value)):
                if isinstance(values, Mapping):
                    yield {**values, name: changed}
                else:
                    yield [*values[:name], changed, *values[name + 1 :]]


@all_protocols
@pytest.mark.parametrize("with_inputs", [True, False])
def test_an_unknown_account_is_skipped_by_name(protocol, with_inputs):
    for account in samples(protocol):
        unknown = replace(
            account,
            state="unknown",
            state_stored="unknown",
            reason=REASON,
            inputs=account.inputs if with_inputs else without(account.inputs),
            outputs={},
            positions=[
                replace(
                    position,
                    inputs=position.inputs if with_inputs else without(position.inputs),
                    outputs=OUTPUTS[protocol],
                )
                for position in account.positions
            ],
        )
        found = verified(protocol, unknown)
        assert found.skipped > 0
        assert any(account.account in reason and REASON in reason for reason in found.skip_reasons)
        assert found.mismatches("verdict") == 0
        assert protocols()[protocol].explain(unknown)


@all_protocols
def test_one_input_that_is_not_known_is_never_a_crash(protocol):
    count = 0
    for account in samples(protocol):
        assert verified(protocol, account).differences == []
        changed = [replace(account, inputs=inputs) for inputs in each_without(account.inputs)]
        for index_of, position in enumerate(account.positions):
            for inputs in each_without(position.inputs):
                positions = list(account.positions)
                positions[index_of] = replace(position, inputs=inputs)
                changed.append(replace(account, positions=positions))
        for one in changed:
            verified(protocol, one)
            protocols()[protocol].explain(one)
        count += len(changed)
    assert count > 20
