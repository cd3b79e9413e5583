"""Contracts that answer anything: no answer may stop a run, or make the unknown look safe."""

from collections.abc import Sequence

import pytest
from eth_abi.abi import encode
from hypothesis import given, settings
from hypothesis import strategies as st

from analyzer.abi import load_abi
from analyzer.errors import AnalyzerError
from analyzer.evm import Answer, Call
from analyzer.protocols.perp_v1 import PROTOCOL
from analyzer.rows import (
    DataQuality,
    MarginAccounts,
    MarginLegs,
    Markets,
    Positions,
    Prices,
    Tokens,
)
from tests.protocols.perp_v1_chain import answers, indexed, state_at, stored, take

ETH = "0x0dcd1bf9a1b36ce34237eeafef220932846bcd82"
HOSTILE = (
    "getReserve", "getUnderlyingPrice", "getSnapshotLen", "getSettlementPrice", "open",
    "MAX_ORACLE_SPREAD_RATIO", "tradeLimitRatio", "fluctuationLimitRatio", "fundingRate",
    "fundingPeriod", "nextFundingTime", "spotPriceTwapInterval", "getLiquidityHistoryLength",
    "totalPositionSize", "reserveSnapshots", "priceFeedKey",
)  # fmt: skip
EXTREMES = st.sampled_from([0, 1, 2**128, 2**255 - 1, 2**255, 2**256 - 1])
words = st.one_of(EXTREMES, st.integers(0, 2**256 - 1)).map(lambda word: word.to_bytes(32, "big"))
AMM = load_abi("perp_v1", "Amm").functions
TOKEN = load_abi("perp_v1", "ERC20").functions


def saying(number: int, said: dict[bytes, bytes], to: str):
    """The recorded answers, but one contract says something else to some functions.

    What is asked because of it, and was never recorded, reverts.
    """
    recorded = answers(number)

    def answer_one(request: Call) -> Answer:
        if request.to == to and request.data[:4] in said:
            return Answer(said[request.data[:4]])
        try:
            return recorded([request])[0]
        except AnalyzerError:
            return Answer(error="nothing there")

    def answer(requests: Sequence[Call]) -> list[Answer]:
        return [answer_one(request) for request in requests]

    return answer


def few_accounts() -> tuple[str, ...]:
    """Two accounts with positions in several markets, one of them in the hostile one."""
    of = {}
    for row in indexed(481).of(Positions):
        of.setdefault(row.account, set()).add(row.market)
    return tuple(sorted(a for a, markets in of.items() if ETH in markets and len(markets) > 1)[:2])


@settings(deadline=None, max_examples=100)
@given(
    said=st.dictionaries(
        st.sampled_from(HOSTILE), st.lists(words, min_size=4, max_size=4), min_size=1, max_size=3
    )
)
def test_no_answer_of_an_amm_stops_a_run_or_touches_another_market(said):
    by_selector = {AMM[name].selector: b"".join(values) for name, values in said.items()}
    answer = saying(481, by_selector, ETH)
    accounts = few_accounts()
    taken = take(481, "state", state=state_at(481), accounts=accounts, answer=answer)
    known = {r.margin_id: r for r in indexed(481).of(MarginAccounts) if r.account in accounts}
    assert len(known) > len(accounts) == 2
    for row in taken.of(MarginAccounts):
        if not row.margin_id.endswith(ETH):
            assert row == known[row.margin_id]
        elif row.state == "unknown":
            assert row.reason
            assert row.equity_usd is None
        else:
            assert row.state in {"safe", "liquidatable"}
    assert len(taken.of(Positions)) == len(known)
    for leg in taken.of(MarginLegs):
        assert leg.intercept == leg.intercept
        assert leg.error_bound >= 0
    for account in stored(taken):
        assert PROTOCOL.explain(account)


@pytest.mark.parametrize(
    ("name", "word", "reason"),
    [
        ("getSnapshotLen", 0, "the AMM has no reserve snapshot"),
        ("getReserve", 0, "reverted: "),
        ("getUnderlyingPrice", 0, "reverted: underlying price is 0"),
    ],
)
def test_numbers_that_the_contract_chokes_on_are_unknown_with_its_reason(name, word, reason):
    answer = saying(481, {AMM[name].selector: word.to_bytes(32, "big") * 2}, ETH)
    taken = take(481, "state", state=state_at(481), answer=answer)
    reasons = {row.reason for row in taken.of(MarginAccounts) if row.margin_id.endswith(ETH)}
    assert all(found.startswith(reason) for found in reasons)


def test_snapshots_without_end_are_given_up_not_read_for_ever():
    """An AMM that claims 2^256-1 snapshots, all of this moment."""
    now = indexed(481).block.time
    asked = []
    said = {
        AMM["getSnapshotLen"].selector: (2**256 - 1).to_bytes(32, "big"),
        AMM["reserveSnapshots"].selector: encode(["uint256"] * 4, [10**25, 10**22, now, 481]),
    }
    answer = saying(481, said, ETH)

    def counting(requests):
        asked.extend(requests)
        return answer(requests)

    taken = take(481, "state", state=state_at(481), answer=counting)
    assert len(asked) < 10_000
    states = {row.state for row in taken.of(MarginAccounts) if row.margin_id.endswith(ETH)}
    assert states == {"unknown"}


@pytest.mark.parametrize("symbol", ["\u202eCDSU\n\x1b[31m", "x" * 10_000, "", "\x00\x01"])
def test_what_a_token_calls_itself_is_cut_to_what_can_be_printed(symbol):
    token = indexed(580).of(Tokens)[0].token
    said = {TOKEN["symbol"].selector: encode(["string"], [symbol])}
    taken = take(580, state=state_at(580), answer=saying(580, said, token))
    (row,) = taken.of(Tokens)
    assert row.symbol.isprintable() or row.symbol == ""
    assert len(row.symbol) <= 64
    assert all(market.name.isprintable() for market in taken.of(Markets))


@pytest.mark.parametrize("data", [b"", b"\x20", b"\xff" * 96])
def test_a_token_that_answers_nonsense_has_no_symbol(data):
    token = indexed(580).of(Tokens)[0].token
    taken = take(
        580, state=state_at(580), answer=saying(580, {TOKEN["symbol"].selector: data}, token)
    )
    assert taken.of(Tokens)[0].symbol is None
    assert taken.of(Positions) == indexed(580).of(Positions)


def test_a_key_that_is_no_text_still_gives_a_name():
    said = {AMM["priceFeedKey"].selector: b"\xff\xfe" * 16}
    taken = take(580, state=state_at(580), answer=saying(580, said, ETH))
    assert all(row.name.isprintable() and row.name for row in taken.of(Markets))


def test_a_position_that_cannot_be_read_is_unknown_where_logs_know_it_and_missing_where_not():
    house = load_abi("perp_v1", "ClearingHouse").functions["getPosition"].selector
    clearing_house = "0x5fc8d32690cc91d4c39d9d3abcbd16989f875707"
    answer = saying(580, {house: b"\x01"}, clearing_house)
    taken = take(580, "state", state=state_at(580), answer=answer)
    assert {row.state for row in taken.of(MarginAccounts)} == {"unknown"}
    assert {row.liquidation_kind for row in taken.of(Positions)} == {"unknown"}
    assert len(taken.of(Positions)) == 136
    account = taken.of(Positions)[0].account
    alone = take(580, "state", accounts=(account,), answer=answer)
    assert not alone.snapshot.complete
    assert {row.kind for row in alone.of(DataQuality)} == {"positions_not_read"}


def test_prices_of_an_unreadable_amm_are_null_not_zero():
    said = {AMM["getReserve"].selector: b""}
    taken = take(580, state=state_at(580), answer=saying(580, said, ETH))
    marks = [row for row in taken.of(Prices) if row.token == ETH and row.source != "oracle"]
    assert {row.price_min for row in marks} == {None}
