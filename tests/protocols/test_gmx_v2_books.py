"""What the DataStore keeps of all positions beside what they add up to; prices that are lost."""

from collections import Counter
from dataclasses import replace
from functools import cache

import pytest

from analyzer.abi import load_abi
from analyzer.event_columns import decode
from analyzer.evm import NOT_READ
from analyzer.indexer.replaying import carry
from analyzer.protocols.gmx_v2 import PROTOCOL
from analyzer.protocols.gmx_v2.keys import field_key
from analyzer.protocols.gmx_v2.price_doubts import price_doubts
from analyzer.protocols.gmx_v2.reading import read_state
from analyzer.protocols.gmx_v2.releases import release_named
from analyzer.reads import drive
from analyzer.rows import DataQuality, MarginAccounts, Positions, Totals
from analyzer.rows import Prices as PriceRow
from tests.protocols.conformance import DAMAGES, sample
from tests.protocols.gmx_v2_run import (
    RECORDINGS,
    event_log,
    of_type,
    positions_in,
    run_of,
    state_after,
)
from tests.protocols.test_gmx_v2_hostile import (
    WETH,
    position_word,
    price_update,
    uint_of,
    word,
)

OPEN = {"2b": 70, "2c": 78}
TOTALS = 1 + 3 * 2 * 13
"""The list of positions, and three for each side of each of the markets' 13 collateral tokens."""
PROVEN = {
    "2b": {"of a position": 52, "of none": 8},
    "2c": {"of a position": 56, "of none": 4},
}
"""Of 60 prices that each recorded chain lacks in turn, those that a position was changed at."""
POSITION_EVENTS = ("PositionIncrease", "PositionDecrease")
UNREADABLE = ("cut", "one_topic_more", "first_word_all_ones")
"""One word more is none: what stands before it says all the same."""

both_recordings = pytest.mark.parametrize("name", RECORDINGS)


@cache
def logs(name):
    return run_of(name).logs()


@cache
def events(name):
    """The places of each event's logs."""
    found = {event.name: [] for event in PROTOCOL.events(run_of(name).deployment)}
    for place, (_, event, _) in enumerate(decode(PROTOCOL.events(None), logs(name))):
        found[event.name].append(place)
    return found


@cache
def whole(name):
    return run_of(name).snapshot()


def damaged(name, places, damage):
    """What the logs leave behind where those at these places are damaged."""
    some = set(places)
    changed = [
        one
        for place, log in enumerate(logs(name))
        for one in (damage(log) if place in some else [log])
    ]
    changed.sort(key=lambda log: (log.block_number, log.log_index))
    return carry({}, PROTOCOL.replay(run_of(name).deployment, changed, {}))


@cache
def readings(name):
    run = run_of(name)
    release = release_named(run.probe().release)
    return drive(read_state(run.deployment, release, run.block, ()), run.answer)


def verdicts(snapshot):
    """Each account's state and figures, each position's; without those that are unknown."""
    unknown = unknown_in(snapshot)
    rows = (*of_type(snapshot.rows, MarginAccounts), *of_type(snapshot.rows, Positions))
    return {(type(row), row.margin_id): row for row in rows if row.margin_id not in unknown}


def unknown_in(snapshot):
    return {r.margin_id for r in of_type(snapshot.rows, MarginAccounts) if r.state == "unknown"}


def totals(snapshot):
    return of_type(snapshot.rows, Totals)


def unbalanced(snapshot):
    return [one for one in totals(snapshot) if not one.is_balanced]


def gaps(snapshot):
    found = of_type(snapshot.rows, DataQuality)
    return {row.subject: row.detail for row in found if row.kind == "gap_in_logs"}


@both_recordings
@pytest.mark.parametrize("source", ["logs", "state", "both"])
def test_the_books_balance_to_the_unit_whatever_the_way_to_the_positions(name, source):
    snapshot = run_of(name).snapshot(source)
    found = totals(snapshot)
    assert len(found) == len({one.total_id for one in found}) == TOTALS
    for one in found:
        assert one.stated == one.summed
        assert (one.is_balanced, one.bound, one.difference_usd, one.reason) == (
            True, "0", None if one.name == "POSITION_LIST" else 0, None,
        )  # fmt: skip
    (count,) = (one for one in found if one.name == "POSITION_LIST")
    assert count.stated == str(OPEN[name])
    others = [one for one in found if one.summed != "0" and one is not count]
    assert len(others) > 20
    sizes = [row.inputs["sizeInUsd"] for row in of_type(snapshot.rows, Positions)]
    of_size = [int(one.stated) for one in others if one.name.startswith("OPEN_INTEREST:")]
    assert sum(of_size) == sum(sizes)
    assert {one.measures for one in others if one.name.startswith("OPEN_INTEREST:")} == {"size"}
    assert snapshot.complete


@pytest.mark.parametrize(
    ("word_name", "worth"),
    [("OPEN_INTEREST", None), ("OPEN_INTEREST_IN_TOKENS", "index"), ("COLLATERAL_SUM", WETH)],
)
def test_a_total_that_is_forged_is_noticed_with_its_worth(word_name, worth):
    run = run_of("2b")
    honest = next(
        one for one in totals(whole("2b"))
        if one.name == f"{word_name}:{WETH}" and one.side == "long" and one.stated != "0"
    )  # fmt: skip
    key = uint_of(run, word_name, honest.subject, WETH, True)
    run.changed = {key: word(int(honest.stated) + 10**30)}
    snapshot = run.snapshot()
    (found,) = unbalanced(snapshot)
    assert (found.total_id, found.summed) == (honest.total_id, honest.summed)
    token = readings("2b").markets[honest.subject].index_token if worth == "index" else worth
    prices = {row.token: row.inputs["min"] for row in of_type(snapshot.rows, PriceRow)
              if row.is_used}  # fmt: skip
    assert found.difference_usd == 10**30 * (1 if token is None else prices[token]) // 10**12


def test_a_total_that_was_not_read_is_not_balanced():
    run = run_of("2b")
    one = next(one for one in totals(whole("2b")) if one.name == f"COLLATERAL_SUM:{WETH}")
    run.changed = {uint_of(run, "COLLATERAL_SUM", one.subject, WETH, one.side == "long"): NOT_READ}
    snapshot = run.snapshot()
    (found,) = unbalanced(snapshot)
    assert (found.total_id, found.stated, found.difference_usd) == (one.total_id, None, None)
    assert "not read" in found.reason
    assert verdicts(snapshot) == verdicts(whole("2b"))


def test_a_position_that_was_not_read_is_the_difference_of_its_totals():
    run = run_of("2b")
    lost = of_type(whole("2b").rows, Positions)[0]
    run.changed = {position_word(run, lost.position_id, "SIZE_IN_USD"): NOT_READ}
    found = unbalanced(run.snapshot())
    assert {one.name.partition(":")[0] for one in found} == {
        "OPEN_INTEREST", "OPEN_INTEREST_IN_TOKENS", "COLLATERAL_SUM",
    }  # fmt: skip
    fields = ("sizeInUsd", "sizeInTokens", "collateralAmount")
    assert [int(one.stated) - int(one.summed) for one in found] == [
        lost.inputs[field] for field in fields
    ]


def test_a_market_whose_tokens_were_not_read_does_not_balance():
    run = run_of("2b")
    market = of_type(whole("2b").rows, Positions)[0].market
    store = run.deployment.contracts["DataStore"]
    selector = load_abi("gmx_v2", "DataStore").functions["getAddress"].selector
    run.changed = {(store, selector + field_key(market, "LONG_TOKEN")): NOT_READ}
    snapshot = run.snapshot()
    (found,) = unbalanced(snapshot)
    assert (found.subject, found.stated) == (market, None)
    positions = of_type(snapshot.rows, Positions)
    assert unknown_in(snapshot) == {row.margin_id for row in positions if row.market == market}


def test_named_accounts_have_no_totals():
    account = min(row.account for row in of_type(whole("2b").rows, Positions))
    assert totals(run_of("2b").snapshot("state", accounts=(account,))) == []


@pytest.mark.parametrize("event", POSITION_EVENTS)
@pytest.mark.parametrize("way", DAMAGES)
def test_damaged_logs_of_positions_take_nothing_from_them_and_add_nothing(event, way):
    """Which positions there are, and what they hold, the DataStore says."""
    places = events("2c")[event]
    for some in ([places[len(places) // 2]], [places[-1]], places):
        state = damaged("2c", some, DAMAGES[way])
        snapshot = run_of("2c").snapshot("logs", state=state)
        assert verdicts(snapshot) == verdicts(whole("2c"))
        assert (snapshot.complete, unbalanced(snapshot), gaps(snapshot)) == (True, [], {})
        complaints = of_type(snapshot.rows, DataQuality)
        logged = dict(positions_in(state).items())
        clean = positions_in(run_of("2c").state())
        changed = {k for k in logged.keys() | clean.keys() if logged.get(k) != clean.get(k)}
        told = {row.subject for row in complaints if row.kind == "position_difference"}
        assert told <= changed
        assert len(told) == len(complaints)


@pytest.mark.parametrize("way", UNREADABLE)
@both_recordings
def test_an_executed_price_that_cannot_be_read_makes_unknown_what_rests_on_it(name, way):
    places = events(name)["OraclePriceUpdate"]
    newest = {logs(name)[place].topics[2]: place for place in places}
    for some in ([places[0]], [newest["0x" + WETH[2:].rjust(64, "0")]], places):
        snapshot = run_of(name).snapshot(state=damaged(name, some, DAMAGES[way]))
        lost = {logs(name)[p].topics[2][-40:] for p in some if p in newest.values()}
        assert gaps(snapshot).keys() == {"0x" + token for token in lost}
        resting = {
            row.margin_id
            for row in of_type(snapshot.rows, Positions)
            if any(row.inputs["marketProps"][f"{of}Token"][2:] in lost
                   for of in ("index", "long", "short"))
        }  # fmt: skip
        assert unknown_in(snapshot) == resting
        assert snapshot.complete is (not resting)
        assert verdicts(snapshot).items() <= verdicts(whole(name)).items()
        for row in of_type(snapshot.rows, MarginAccounts):
            if row.margin_id in resting:
                assert "an OraclePriceUpdate of block" in row.reason
                assert "could not be read" in row.reason


def test_a_later_price_of_the_same_token_makes_it_known_again():
    run = run_of("2b")
    place = events("2b")["OraclePriceUpdate"][0]
    state = damaged("2b", [place], DAMAGES["cut"])
    assert any(key.startswith("unreadable:") for key in state)
    snapshot = run.snapshot(state=state)
    assert verdicts(snapshot) == verdicts(whole("2b"))
    assert snapshot.complete


@pytest.mark.parametrize(
    "topic", [None, "0x" + "ff" * 32, "0x" + "00" * 32, "0x" + "00" * 12 + "ab" * 20]
)
def test_a_price_whose_token_cannot_be_told_may_be_of_any(topic):
    run = run_of("2b")
    log = price_update(WETH, 10**15, 10**15)
    topics = log.topics[:2] if topic is None else (*log.topics[:2], topic)
    bad = replace(log, topics=topics, data=b"" if topic else log.data[:64], block_number=10**6)
    state = run.state()
    state = carry(state, run.replay([bad], state))
    snapshot = run.snapshot(state=state)
    is_told = topic is not None and topic.endswith("ab" * 20)
    assert set(gaps(snapshot)) == (set() if is_told else set(readings("2b").tokens))
    assert snapshot.complete is is_told


def test_a_price_of_another_token_than_its_topic_says_is_none_of_either():
    run = run_of("2b")
    other = next(token for token in readings("2b").tokens if token != WETH)
    log = price_update(WETH, 10**15, 10**15)
    topics = (*log.topics[:2], "0x" + other[2:].rjust(64, "0"))
    state = run.state()
    state = carry(state, run.replay([replace(log, topics=topics, block_number=10**6)], state))
    assert gaps(run.snapshot(state=state)).keys() == {WETH, other}


def test_an_unreadable_price_that_is_too_old_to_count_changes_no_verdict():
    """All executed prices of the recorded chains are: verdicts rest on feeds beside them."""
    places = events("2b")["OraclePriceUpdate"]
    clean = run_of("2b").snapshot(basis="freshest")
    state = damaged("2b", places, DAMAGES["cut"])
    snapshot = run_of("2b").snapshot(basis="freshest", state=state)
    known = of_type(snapshot.rows, MarginAccounts)
    states = {row.margin_id: row.state for row in of_type(clean.rows, MarginAccounts)}
    assert any(row.state != "unknown" for row in known)
    for row in known:
        assert row.state in ("unknown", states[row.margin_id])
        for one in row.outputs["price_alternatives"]:
            if one["other"]["source"] == "executed":
                assert one["state"] == "unknown"
                assert "could not be read" in one["reason"]


@both_recordings
def test_each_price_that_never_came_is_proven_by_the_position_that_it_was_used_for(name):
    """As of its own block, at the latest; where no position changed, no other log has the price."""
    of_positions = {
        logs(name)[place].tx_hash for event in POSITION_EVENTS for place in events(name)[event]
    }
    ways = Counter()
    for place in sample(events(name)["OraclePriceUpdate"], 60, name):
        log = logs(name)[place]
        before = [one for one in logs(name) if one.block_number <= log.block_number]
        left = [one for one in before if one is not log]
        clean, state = (
            carry({}, PROTOCOL.replay(run_of(name).deployment, some, {})) for some in (before, left)
        )
        assert price_doubts(readings(name), clean) == {}
        found = price_doubts(readings(name), state)
        is_of_position = log.tx_hash in of_positions
        assert found.keys() == ({"0x" + log.topics[2][-40:]} if is_of_position else set())
        ways["of a position" if is_of_position else "of none"] += 1
    assert ways == PROVEN[name]


@both_recordings
def test_without_any_log_of_prices_no_account_has_a_verdict_at_them(name):
    state = damaged(name, events(name)["OraclePriceUpdate"], DAMAGES["missing"])
    snapshot = run_of(name).snapshot(state=state)
    assert verdicts(snapshot).items() <= verdicts(whole(name)).items()
    assert not snapshot.complete
    assert gaps(snapshot)
    for row in of_type(snapshot.rows, MarginAccounts):
        if row.state == "unknown":
            assert "was executed at a price of which no OraclePriceUpdate came" in row.reason


def test_positions_prove_nothing_where_their_logs_are_not_read():
    run = run_of("2b")
    prices = {key: after for key, after in run.state().items() if key.startswith("price:")}
    for key in list(prices):
        some = {other: after for other, after in prices.items() if other != key}
        assert price_doubts(readings("2b"), some) == {}


def test_a_price_of_the_first_releases_has_its_blocks_time():
    items = {
        "address": [("token", WETH)],
        "uint256": [("minPrice", 10**15), ("maxPrice", 10**15 + 1)],
        "bool": [("isPriceFeed", True)],
    }
    log = event_log("OraclePriceUpdate", "0x" + WETH[2:].rjust(64, "0"), items)
    rows = run_of("2b").replay([log])
    assert of_type(rows, DataQuality) == []
    after = state_after(rows)[f"price:{WETH}"]
    assert (after["timestamp"], after["provider"]) == (log.block_time, None)
    (row,) = of_type(rows, PriceRow)
    assert row.observed_at == log.block_time
