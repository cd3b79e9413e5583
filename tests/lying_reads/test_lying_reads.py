"""A lie about each function that `index` reads is found by `verify`, or changes nothing.

``make soak`` tells one about every read.
"""

from collections import defaultdict
from random import Random

import pytest
from eth_abi import encode

from analyzer.evm import Call
from analyzer.protocol import Comparison
from tests.lying_reads.lies import name_of
from tests.lying_reads.sweep import (
    FOUND,
    MISSED,
    RECORDINGS,
    UNKNOWN,
    Case,
    Lie,
    case_of,
    decoding_once,
    deployments,
    lies_of,
    tell,
)
from tests.lying_reads.table import BEGIN, END, counted, page_with

SEED = 20
ARGUMENTS = ["address", "bool", "bool", "bool"]
TRADED = "0x9fe46736679d2d9a65f0992f2272de9f3c7fa6e0"
ACCOUNTS = {"gmx_v1": 4, "gmx_v2": None, "perp_v1": 4, "perp_v2": 8}
"""How many accounts are indexed: of GMX v2, only the lists of all are recorded."""


@pytest.fixture(autouse=True)
def _decoding_once():
    with decoding_once():
        yield


@pytest.mark.parametrize("protocol", sorted(RECORDINGS))
def test_a_lie_about_each_function_is_found_or_changes_nothing(tmp_path, protocol):
    random = Random(SEED)
    found: dict[str, list[tuple[Case, Lie]]] = defaultdict(list)
    for name in deployments(protocol):
        case = case_of(protocol, name, tmp_path, ACCOUNTS[protocol])
        for request, lies in lies_of(case).items():
            found[name_of(protocol, request)] += [(case, lie) for lie in lies]
    told = [tell(*random.choice(lies)) for lies in found.values()]
    assert [one for one in told if one.outcome == MISSED] == []
    assert sum(one.outcome in (FOUND, UNKNOWN) for one in told) > len(told) / 2
    counts = counted(told)
    page = page_with(f"before\n{BEGIN}\n{END}\nafter\n", counts)
    assert len(page.splitlines()) == 4 + len(counts) + 3
    assert page_with(page, counts) == page_with(page, {}) == page


@pytest.fixture(scope="module")
def gmx_v1_case(tmp_path_factory) -> Case:
    return case_of("gmx_v1", "local-c", tmp_path_factory.mktemp("case"))


@pytest.fixture
def forged_price(gmx_v1_case) -> Lie:
    """The least price of a token, an eighth too high: one account turns from liquidatable."""
    return next(
        lie
        for lie in lies_about(gmx_v1_case, "VaultPriceFeed.getPrice", "9/8 of it")
        if isinstance(lie.request, Call)
        and lie.request.data[4:] == encode(ARGUMENTS, [TRADED, False, False, False])
    )


def lies_about(case: Case, function: str, name: str) -> list[Lie]:
    return [
        lie
        for request, lies in lies_of(case).items()
        if name_of(case.protocol, request) == function
        for lie in lies
        if lie.name == name
    ]


def test_a_forged_price_that_turns_a_verdict_is_a_wrong_verdict(gmx_v1_case, forged_price):
    told = tell(gmx_v1_case, forged_price)
    assert (told.outcome, told.detail) == (FOUND, "value verdict")


def test_a_forged_parameter_moves_liquidation_prices(gmx_v1_case):
    (lie,) = lies_about(gmx_v1_case, "Vault.maxLeverage", "9/8 of it")
    told = tell(gmx_v1_case, lie)
    assert told.outcome == FOUND
    assert "flip" in told.detail


def test_the_contracts_own_views_alone_do_not_see_it(gmx_v1_case, forged_price, monkeypatch):
    monkeypatch.setattr("analyzer.indexer.verify._recompute", lambda *_: Comparison())
    assert tell(gmx_v1_case, forged_price).outcome == MISSED
