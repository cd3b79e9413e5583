"""Data that nobody should send: each is quarantined or said, and the rest of the run is intact."""

from dataclasses import replace

import pytest
from eth_abi.abi import encode

from analyzer.abi import load_abi
from analyzer.errors import AnalyzerError
from analyzer.evm import NOT_READ, Answer
from analyzer.protocols.evidence import readable, unreadable_logs
from analyzer.protocols.gmx_v2.datastore import DataStore
from analyzer.protocols.gmx_v2.keys import field_key, key
from analyzer.protocols.gmx_v2.probe import set_members
from analyzer.rows import (
    DataQuality,
    MarginAccounts,
    MarginLegs,
    PositionEvents,
    Positions,
    Tokens,
)
from analyzer.rows import Prices as PriceRow
from analyzer.units import UINT256_MAX
from tests.protocols.gmx_v2_run import (
    event_log,
    of_type,
    positions_in,
    run_of,
    state_after,
    with_price,
)
from tests.protocols.test_gmx_v2_replay import ACCOUNT, increase

WETH = "0xb7f8bc63bbcad18155201308c8f3540b07f84f5e"
SOL = "0xcd6e36b32f2ab1bc6f93ba980c87edc009289322"


def uint_of(run, *name):
    store = run.deployment.contracts["DataStore"]
    selector = load_abi("gmx_v2", "DataStore").functions["getUint"].selector
    return store, selector + key(*name)


def position_word(run, position, name, getter="getUint"):
    store = run.deployment.contracts["DataStore"]
    selector = load_abi("gmx_v2", "DataStore").functions[getter].selector
    return store, selector + field_key(bytes.fromhex(position[2:]), name)


def token_call(token, function):
    return token, load_abi("gmx_v2", "Token").functions[function].selector


def word(value):
    return Answer(value.to_bytes(32, "big"))


def price_update(token, low, high):
    items = {
        "address": [("token", token), ("provider", ACCOUNT)],
        "uint256": [("minPrice", low), ("maxPrice", high), ("timestamp", 1_795_975_000)],
    }
    return event_log("OraclePriceUpdate", "0x" + token[2:].rjust(64, "0"), items)


def test_an_unknown_event_name_is_quarantined():
    log = event_log("NeverHeardOf", "0x" + "00" * 32, {"uint256": [("a", 1)]})
    rows = run_of("2b").replay([log, increase()])
    assert [row.kind for row in of_type(rows, DataQuality)] == ["unknown_event"]
    assert [row.kind for row in of_type(rows, PositionEvents)] == ["increase", "price"]


def test_a_log_without_topics_is_quarantined():
    rows = run_of("2b").replay([replace(increase(), topics=())])
    assert [row.kind for row in of_type(rows, DataQuality)] == ["unknown_event"]


@pytest.mark.parametrize(
    "name",
    ["sizeInTokens", "sizeDeltaUsd", "collateralTokenPrice.max", "indexTokenPrice.min",
     "collateralDeltaAmount"],
)  # fmt: skip
def test_an_item_that_is_missing_makes_the_log_unreadable_and_changes_nothing(name):
    run = run_of("2b")
    state = state_after(run.replay([increase()]))
    rows = run.replay([increase(drop=(name,), size=5 * 10**30)], state)
    (complaint,) = of_type(rows, DataQuality)
    assert (complaint.kind, complaint.detail) == ("malformed_log", f"item {name!r} is missing")
    (unreadable,) = unreadable_logs(state_after(rows, state))
    assert (unreadable.event, unreadable.addresses[0]) == ("PositionIncrease", ACCOUNT)
    assert dict(readable(state_after(rows, state))) == state


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [
        ("address", "sizeInUsd", ACCOUNT), ("bytes32", "borrowingFactor", b"\1" * 32),
        ("bool", "sizeInTokens", True), ("string", "collateralAmount", "many"),
        ("uint256", "account", 5), ("uint256", "isLong", 1), ("uint256", "positionKey", 7),
        ("bytes", "positionKey", b"\2"), ("address", "pendingPriceImpactAmount", ACCOUNT),
        ("string", "market", "0x" + "z" * 40), ("string", "account", "0x"),
        ("uint256", "collateralToken", 0), ("bool", "increasedAtTime", True),
    ],
)  # fmt: skip
def test_an_item_of_another_type_makes_the_log_unreadable(kind, name, value):
    log = increase(kinds={name: (kind, value)})
    rows = run_of("2b").replay([log, replace(increase(), log_index=4)])
    (complaint,) = of_type(rows, DataQuality)
    assert complaint.kind == "malformed_log"
    assert [row.kind for row in of_type(rows, PositionEvents)] == [
        "unreadable", "increase", "price",
    ]  # fmt: skip


def test_a_position_that_the_logs_lost_is_what_the_data_store_says():
    run = run_of("2b")
    state = run.state()
    lost, ghost = list(positions_in(state))[:2]
    del state[lost]
    state[ghost] = {**state[ghost], "sizeInUsd": 1, "unknown": "its history is not known"}
    snapshot = run.snapshot("logs", state=state | {"0x" + "ab" * 32: state[ghost]})
    whole = run.snapshot("logs").rows
    for of in (Positions, MarginAccounts):
        assert of_type(snapshot.rows, of) == of_type(whole, of)
    assert {(row.kind, row.subject) for row in of_type(snapshot.rows, DataQuality)} == {
        ("position_difference", key) for key in (lost, ghost, "0x" + "ab" * 32)
    }
    assert snapshot.complete


def test_a_key_that_is_not_its_positions_is_refused():
    log = increase()
    forged = replace(log, data=log.data.replace(bytes.fromhex("aa" * 20), bytes.fromhex("ad" * 20)))
    rows = run_of("2b").replay([forged])
    assert "is not the key of the position" in of_type(rows, DataQuality)[0].detail


@pytest.mark.parametrize(("low", "high"), [(0, 0), (0, 10**15), (10**15, 10**15 - 1)])
def test_a_price_of_zero_or_crossed_is_none_and_the_one_before_is_not_the_newest(low, high):
    run = run_of("2b")
    logs = [price_update(WETH, 10**15, 10**15), price_update(WETH, low, high)]
    rows = run.replay([logs[0], replace(logs[1], log_index=4)])
    assert [row.kind for row in of_type(rows, DataQuality)] == ["malformed_log"]
    assert len(of_type(rows, PriceRow)) == 1
    state = state_after(rows)
    assert state[f"price:{WETH}"]["minPrice"] == 10**15
    assert of_weth(run.snapshot("state", state=run.state() | state)) == {
        True: {"unknown"}, False: {"safe", "liquidatable"},
    }  # fmt: skip


def of_weth(snapshot):
    """The states of the accounts in markets of WETH, and of the others."""
    states = {row.margin_id: row.state for row in of_type(snapshot.rows, MarginAccounts)}
    found = {True: set(), False: set()}
    for row in of_type(snapshot.rows, Positions):
        found[WETH in row.inputs["marketProps"].values()].add(states[row.margin_id])
    return found


def test_amounts_at_the_top_of_uint256_are_kept_exact_and_end_in_a_revert():
    run = run_of("2b")
    huge = next(iter(positions_in(run.state())))
    rows = run.replay([increase(size=UINT256_MAX, collateralAmount=UINT256_MAX)])
    assert of_type(rows, PositionEvents)[0].after["sizeInUsd"] == UINT256_MAX
    run.changed = {position_word(run, huge, "COLLATERAL_AMOUNT"): word(UINT256_MAX)}
    snapshot = run.snapshot("logs")
    account = next(row for row in of_type(snapshot.rows, MarginAccounts) if row.margin_id == huge)
    assert account.state == "unknown"
    assert account.reason == "the contract would revert: Panic(0x11)"
    others = [row for row in of_type(snapshot.rows, MarginAccounts) if row.margin_id != huge]
    assert {row.state for row in others} == {"safe", "liquidatable"}


def test_a_huge_price_ends_in_a_revert_not_in_a_verdict():
    run = run_of("2b")
    state = with_price(run.state(), WETH, minPrice=UINT256_MAX, maxPrice=UINT256_MAX)
    accounts = of_type(run.snapshot("logs", state=state).rows, MarginAccounts)
    unknown = [row for row in accounts if row.state == "unknown"]
    assert 0 < len(unknown) < len(accounts)
    assert all("Panic" in row.reason for row in unknown)


def test_a_symbol_of_ten_kilobytes_with_control_characters_is_cut():
    run = run_of("2b")
    symbol = "\x1b[31m\u202eWETH\n" + "A" * 10_000
    run.changed = {token_call(WETH, "symbol"): Answer(encode(["string"], [symbol]))}
    rows = run.snapshot().rows
    (token,) = (row for row in of_type(rows, Tokens) if row.token == WETH)
    assert token.symbol.isprintable()
    assert len(token.symbol) <= 64
    assert ("token_symbol", WETH) in {(r.kind, r.subject) for r in of_type(rows, DataQuality)}
    assert len(of_type(rows, Positions)) == 70


@pytest.mark.parametrize("answer", [Answer(b""), word(255), Answer(error="execution reverted")])
def test_decimals_that_cannot_be_read_leave_verdicts_exact_and_amounts_unsaid(answer):
    run = run_of("2b")
    run.changed = {
        token_call(SOL, "decimals"): answer,
        uint_of(run, "PRICE_FEED_MULTIPLIER", SOL): word(3),
    }
    rows = run.snapshot().rows
    found = of_type(rows, DataQuality)
    assert [(row.kind, row.subject) for row in found] == [("token_decimals", SOL)]
    expected = {
        row.margin_id: row.state for row in of_type(run_of("2b").snapshot().rows, MarginAccounts)
    }
    assert {row.margin_id: row.state for row in of_type(rows, MarginAccounts)} == expected
    bare = [
        row for row in of_type(rows, Positions) if row.inputs["marketProps"]["indexToken"] == SOL
    ]
    assert bare
    legs = {leg.margin_id for leg in of_type(rows, MarginLegs)}
    for row in bare:
        assert (row.size_tokens, row.price, row.entry_price) == (None, None, None)
        assert row.liquidation_kind == "flip"
        assert row.margin_id not in legs


@pytest.mark.parametrize("name", ["POSITION_FEE_FACTOR", "OPEN_INTEREST"])
def test_a_word_that_was_not_read_makes_its_market_unknown_and_no_other(name):
    run = run_of("2b")
    market = "0x28b77f5759010d35913196cabd4afec8403f53be"
    arguments = (market, True) if name == "POSITION_FEE_FACTOR" else (market, WETH, True)
    run.changed = {uint_of(run, name, *arguments): NOT_READ}
    rows = run.snapshot().rows
    markets = {row.margin_id: row.market for row in of_type(rows, Positions)}
    for account in of_type(rows, MarginAccounts):
        if markets[account.margin_id] == market:
            assert account.state == "unknown"
            assert "not read" in account.reason
        else:
            assert account.state in ("safe", "liquidatable")


def test_a_position_field_that_was_not_read_makes_that_position_unknown():
    run = run_of("2b")
    first = run.snapshot("state").rows
    lost = of_type(first, Positions)[0].position_id
    run.changed = {position_word(run, lost, "COLLATERAL_AMOUNT"): NOT_READ}
    accounts = {row.margin_id: row for row in of_type(run.snapshot("state").rows, MarginAccounts)}
    assert accounts[lost].state == "unknown"
    assert sum(row.state == "unknown" for row in accounts.values()) == 1


def test_a_position_under_a_key_that_is_not_its_own_is_unknown():
    run = run_of("2b")
    lost = of_type(run.snapshot("state").rows, Positions)[0]
    other = word(0 if lost.side == "long" else 1)
    run.changed = {position_word(run, lost.position_id, "IS_LONG", "getBool"): other}
    accounts = {row.margin_id: row for row in of_type(run.snapshot("state").rows, MarginAccounts)}
    assert "is not the key" in accounts[lost.position_id].reason


def test_an_account_whose_discounts_were_not_read_is_unknown():
    run = run_of("2b")
    account = of_type(run.snapshot().rows, MarginAccounts)[0].account
    run.changed = {uint_of(run, "PRO_TRADER_TIER", account): NOT_READ}
    for row in of_type(run.snapshot().rows, MarginAccounts):
        assert (row.state == "unknown") == (row.account == account)


def test_a_token_without_any_price_makes_its_markets_unknown():
    run = run_of("2b")
    state = with_price(run.state(), SOL)
    del state[f"price:{SOL}"]
    store, _ = uint_of(run, "X")
    feed = load_abi("gmx_v2", "DataStore").functions["getAddress"].selector + key("PRICE_FEED", SOL)
    run.changed = {(store, feed): Answer(bytes(32))}
    rows = run.snapshot("logs", state=state).rows
    unknown = [row for row in of_type(rows, MarginAccounts) if row.state == "unknown"]
    assert unknown
    assert all(f"token {SOL} has no price" in row.reason for row in unknown)


def test_a_set_that_claims_more_than_it_shows_is_an_error():
    run = run_of("2b")
    count = load_abi("gmx_v2", "DataStore").functions["getBytes32Count"].selector
    run.changed = {(run.deployment.contracts["DataStore"], count + key("POSITION_LIST")): word(71)}
    with pytest.raises(AnalyzerError, match="71 members answered 70 different ones"):
        run.snapshot("state")


def test_a_set_of_absurd_size_is_an_error_and_is_not_read():
    run = run_of("2b")
    count = load_abi("gmx_v2", "DataStore").functions["getBytes32Count"].selector
    store = run.deployment.contracts["DataStore"]
    run.changed = {(store, count + key("POSITION_LIST")): word(UINT256_MAX)}
    with pytest.raises(AnalyzerError, match="which no chain can hold"):
        run.snapshot("state")


def test_more_positions_than_a_page_are_read_in_pages_of_one_round():
    members = [number.to_bytes(32, "big") for number in range(2_345)]
    reads = set_members(DataStore("0x" + "12" * 20), "getBytes32ValuesAt", {"": (bytes(32), 2_345)})
    questions = next(reads)
    assert [start for _, start in questions] == [0, 1_000, 2_000]
    with pytest.raises(StopIteration) as ended:
        reads.send({(name, start): members[start : start + 1_000] for name, start in questions})
    assert ended.value.value == {"": members}
