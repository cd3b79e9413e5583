"""The book of positions beside what the contracts store, and what their totals prove of it."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from random import Random
from typing import Any

import pytest
from eth_abi.abi import encode

from analyzer.abi import load_abi
from analyzer.evm import NOT_READ, Answer, Call, Log
from analyzer.indexer.replaying import carry
from analyzer.protocols.perp_v1 import PROTOCOL, position_rows
from analyzer.protocols.perp_v1.replay import _events
from analyzer.rows import DataQuality, MarginAccounts, Markets, Positions, Row, Totals
from analyzer.units import sdiv
from tests.protocols.perp_v1_chain import (
    BLOCKS,
    Answerer,
    Taken,
    answers,
    deployment,
    indexed,
    logs,
    state_at,
    take,
)

ETH = "0x0dcd1bf9a1b36ce34237eeafef220932846bcd82"
OLD = "0x70e0ba845a1a0f2da3359c97e0285013525ffc49"
LAST = 580
HOUSE = load_abi("perp_v1", "ClearingHouse").functions
AMM = load_abi("perp_v1", "Amm").functions
NO_POSITION = Answer(bytes(6 * 32))
NAMES = {topic: e.name for of in ("ClearingHouse", "Amm") for topic, e in _events(of).items()}
Change = Callable[[Log], list[Log]]
DAMAGE: dict[str, Change] = {
    "cut": lambda log: [replace(log, data=log.data[:-1])],
    "one more topic": lambda log: [replace(log, topics=(*log.topics, "0x" + "0" * 63 + "7"))],
    "all ones": lambda log: [replace(log, data=b"\xff" * 32 + log.data[32:])],
    "missing": lambda _: [],
    "doubled": lambda log: [log, replace(log, log_index=log.log_index + 1_000_000)],
}


@pytest.fixture(autouse=True)
def each_position_assessed_once(monkeypatch):
    """The arithmetic is not what is tested here, and the same for the same integers."""
    monkeypatch.setattr(position_rows, "assess", assessed)


@cache
def assessed(*arguments, **options):
    return _assess(*arguments, **options)


_assess = position_rows.assess


def of_event(name: str, number: int = LAST) -> list[int]:
    """The places of an event's logs among all of them."""
    return [
        place
        for place, log in enumerate(logs())
        if NAMES[log.topics[0]] == name and log.block_number <= number
    ]


def damaged_rows(places: Sequence[int], change: Change) -> Sequence[Row]:
    """The rows of all logs when those at some places are not what they were."""
    some = set(places)
    changed = [
        one for place, log in enumerate(logs()) for one in (change(log) if place in some else [log])
    ]
    return PROTOCOL.replay(deployment(), changed, {})


def damaged(places: Sequence[int], change: Change) -> dict[str, Any]:
    """What these logs leave behind."""
    return carry({}, damaged_rows(places, change))


def answering(
    changed: dict[bytes, Answer] | None = None, *, without: Answer = NO_POSITION
) -> Answerer:
    """The recorded answers; positions that were not recorded have none, some are ``changed``."""
    recorded = answers(LAST)

    def answer(requests: Sequence[Call]) -> list[Answer]:
        found = [(changed or {}).get(r.to.encode() + r.data) for r in requests]
        found = [a or recorded([r])[0] for a, r in zip(found, requests, strict=True)]
        return [a if a.read else without for a in found]

    return answer


def asked(function: str, of: str, *arguments: str) -> bytes:
    """The key under which ``answering`` finds a changed answer."""
    declared = (AMM if function in AMM else HOUSE)[function]
    return of.encode() + declared.encode(*arguments)


def hiding(key: str) -> dict[bytes, Answer]:
    """A position that nobody can ask the contract about."""
    account, amm = key.split(":")
    house = deployment().contracts["ClearingHouse"].lower()
    return {asked("getPosition", house, amm, account): NOT_READ}


def is_whole(taken: Taken) -> bool:
    """What the indexer makes of it: complete, and every total balanced."""
    totals = taken.of(Totals)
    return taken.snapshot.complete and bool(totals) and all(one.is_balanced for one in totals)


def wrong(taken: Taken) -> list[str]:
    """Accounts with another verdict or other figures than they have, but for unknown ones."""
    clean = {row.margin_id: row for row in indexed(LAST).of(MarginAccounts)}
    positions = {row.position_id: row for row in indexed(LAST).of(Positions)}
    own = {row.position_id: row for row in taken.of(Positions)}
    return [
        row.margin_id
        for row in taken.of(MarginAccounts)
        if row.state != "unknown"
        and (row.margin_id not in clean or bare(row) != bare(clean[row.margin_id])
             or bare(own[row.margin_id]) != bare(positions[row.margin_id]))
    ]  # fmt: skip


def bare(row):
    """A row without the account that ``verify`` would liquidate from: it is no figure of it."""
    return replace(row, inputs={**row.inputs, "liquidator": None})


def vanished(taken: Taken) -> set[str]:
    own = {row.margin_id for row in taken.of(MarginAccounts)}
    return {row.margin_id for row in indexed(LAST).of(MarginAccounts)} - own


def subjects(taken: Taken, kind: str) -> set[str]:
    return {row.subject for row in taken.of(DataQuality) if row.kind == kind}


@pytest.mark.parametrize("number", BLOCKS)
def test_the_books_balance_at_every_recorded_block_to_the_unit(number):
    totals = indexed(number).of(Totals)
    assert len(totals) == 4
    for one in totals:
        assert one.stated == one.summed != "0"
        assert (one.is_balanced, one.bound, one.difference_usd, one.reason) == (True, "0", 0, None)
    assert not indexed(number).of(DataQuality)
    assert is_whole(indexed(number))


def test_what_a_closed_amm_has_settled_is_added_back():
    (old,) = (one for one in indexed(LAST).of(Totals) if one.subject == OLD)
    sizes = [row.inputs["size"] for row in indexed(LAST).of(Positions) if row.market == OLD]
    settled = [held["settledSize"] for held in state_at(LAST).values() if "settledSize" in held]
    assert len(settled) == 2
    assert int(old.summed) == sum(sizes) + sum(settled) != sum(sizes)


@pytest.mark.parametrize("by", [1, -1, 10**18])
def test_a_total_that_is_forged_is_noticed_with_its_worth(by):
    (honest,) = (one for one in indexed(LAST).of(Totals) if one.subject == ETH)
    forged = Answer(encode(["int256"], [int(honest.stated) + by]))
    taken = take(
        LAST,
        state=state_at(LAST),
        answer=answering({asked("totalPositionSize", ETH): forged}),
    )
    assert not is_whole(taken)
    (found,) = (one for one in taken.of(Totals) if not one.is_balanced)
    (market,) = (row for row in taken.of(Markets) if row.market == ETH)
    quote, base = market.parameters["getReserve"]
    price = quote * 10**18 // base
    assert found.subject == ETH
    assert found.difference_usd == sdiv(by * price, 10**18)
    assert market.open_interest_long_usd is market.open_interest_short_usd is None
    assert taken.of(MarginAccounts) == indexed(LAST).of(MarginAccounts)


def test_a_total_that_was_not_read_is_not_balanced():
    taken = take(
        LAST,
        state=state_at(LAST),
        answer=answering({asked("totalPositionSize", ETH): Answer(error="gone")}),
    )
    (found,) = (one for one in taken.of(Totals) if not one.is_balanced)
    assert (found.stated, found.reason) == (
        None, "Amm.totalPositionSize reverted: gone",
    )  # fmt: skip


def test_a_total_that_was_migrated_proves_nothing_unless_it_is_the_sum():
    moved = {asked("getLiquidityHistoryLength", ETH): Answer(encode(["uint256"], [3]))}
    taken = take(LAST, state=state_at(LAST), answer=answering(moved))
    assert is_whole(taken)
    moved[asked("totalPositionSize", ETH)] = Answer(encode(["int256"], [7]))
    taken = take(LAST, state=state_at(LAST), answer=answering(moved))
    (found,) = (one for one in taken.of(Totals) if not one.is_balanced)
    assert found.stated is found.difference_usd is None
    assert "migrated 2 times" in found.reason
    assert not is_whole(taken)


def test_no_logs_at_all_are_not_believed():
    taken = take(LAST, state={}, answer=answering())
    assert not taken.of(Positions)
    assert not is_whole(taken)
    assert [one.is_balanced for one in taken.of(Totals)] == [False] * 4


def test_named_accounts_have_no_totals():
    account = indexed(LAST).of(Positions)[0].account
    taken = take(LAST, state=state_at(LAST), accounts=(account,), answer=answering())
    assert not taken.of(Totals)
    assert {row.account for row in taken.of(MarginAccounts)} == {account}


@pytest.mark.parametrize("way", DAMAGE)
@pytest.mark.parametrize("event", ["PositionChanged", "MarginChanged", "PositionSettled"])
def test_one_damaged_log_or_all_of_a_kind_give_no_wrong_value(event, way):
    places = of_event(event)
    for some in ([places[len(places) // 2]], [places[-1]], places):
        taken = take(LAST, state=damaged(some, DAMAGE[way]), answer=answering())
        assert wrong(taken) == []
        if (event, way) == ("PositionChanged", "missing"):
            assert bool(vanished(taken)) <= (not is_whole(taken))
        else:
            assert vanished(taken) == set()
        if len(some) == 1 and way not in {"missing", "doubled"}:
            assert len(taken.of(MarginAccounts)) == 136


@pytest.mark.parametrize("way", DAMAGE)
@pytest.mark.parametrize("event", ["PositionLiquidated", "ReserveSnapshotted"])
def test_damaged_logs_that_no_position_rests_on_change_none(event, way):
    taken = take(LAST, state=damaged(of_event(event), DAMAGE[way]), answer=answering())
    assert wrong(taken) == []
    assert len(taken.of(MarginAccounts)) == 136
    assert is_whole(taken)


@pytest.mark.parametrize("way", DAMAGE)
def test_funding_that_was_damaged_is_told_and_changes_no_position(way):
    taken = take(LAST, state=damaged(of_event("FundingRateUpdated"), DAMAGE[way]))
    assert wrong(taken) == []
    assert is_whole(taken)
    amms = {one.subject for one in taken.of(Totals)}
    assert subjects(taken, "funding_not_from_logs") == amms


def test_each_log_left_out_is_noticed_wherever_it_changes_a_position():
    open_now = {row.position_id for row in indexed(LAST).of(Positions)}
    telling = [p for name in ("PositionChanged", "MarginChanged") for p in of_event(name)]
    ways = {"unbalanced": 0, "position_difference": 0, "gap_in_logs": 0}
    for place in Random(13).sample(telling, 20):
        rows = damaged_rows([place], DAMAGE["missing"])
        state = carry({}, rows)
        taken = take(LAST, state=state, answer=answering())
        assert wrong(taken) == []
        assert len(vanished(taken)) <= (not is_whole(taken))
        trader, amm = ("0x" + topic[26:] for topic in logs()[place].topics[1:3])
        key = f"{trader}:{amm}"
        told = {
            "unbalanced": not is_whole(taken),
            "position_difference": subjects(taken, "position_difference") == {key},
            "gap_in_logs": any(r.subject == key for r in rows if isinstance(r, DataQuality)),
        }
        if key in open_now:
            assert any(told.values()) is (state.get(key) != state_at(LAST)[key])
        for way, is_told in told.items():
            ways[way] += is_told
    assert ways == {"unbalanced": 14, "position_difference": 4, "gap_in_logs": 2}


def test_a_settlement_that_no_log_tells_is_found_in_the_contract():
    for way in ("missing", "cut"):
        state = damaged(of_event("PositionSettled"), DAMAGE[way])
        taken = take(LAST, state=state, answer=answering())
        assert is_whole(taken)
        assert len(subjects(taken, "position_difference")) == 2
        assert taken.of(MarginAccounts) == indexed(LAST).of(MarginAccounts)


def test_a_settlement_that_never_was_does_not_hide_the_position():
    example = logs()[of_event("PositionSettled")[-1]]
    (key, *_) = (row.position_id for row in indexed(LAST).of(Positions) if row.market == OLD)
    forged = replace(
        example,
        log_index=1_000_000,
        topics=(*example.topics[:2], "0x" + key[2:42].rjust(64, "0")),
    )
    state = carry(dict(state_at(LAST)), PROTOCOL.replay(deployment(), [forged], state_at(LAST)))
    taken = take(LAST, state=state, answer=answering())
    assert taken.of(MarginAccounts) == indexed(LAST).of(MarginAccounts)
    assert subjects(taken, "position_difference") == {key}
    assert not is_whole(taken)


def test_a_change_that_cannot_be_read_is_unknown_where_the_contract_was_not_asked():
    """The last log of a position that has been closed since: the logs before it say it is open."""
    ended = [place for place in of_event("PositionChanged") if _ends(logs()[place])]
    place = ended[-1]
    state = damaged([place], DAMAGE["cut"])
    (key,) = {k for k in state if k not in state_at(LAST) and not k.startswith("unreadable:")}
    taken = take(LAST, state=state, answer=answering(hiding(key), without=NOT_READ))
    (account,) = (row for row in taken.of(MarginAccounts) if row.margin_id == key)
    (position,) = (row for row in taken.of(Positions) if row.position_id == key)
    assert (account.state, account.reason) == ("unknown", "ClearingHouse.getPosition not read")
    assert position.size_tokens is position.size_usd is position.inputs["size"] is None
    assert wrong(taken) == []


def _ends(log: Log) -> bool:
    """Whether a ``PositionChanged`` leaves neither size nor margin."""
    before = carry({}, PROTOCOL.replay(deployment(), [log], {}))
    return not before


def test_a_first_change_that_cannot_be_read_is_missed_where_the_contract_was_not_asked():
    key = _opened_once()
    account, amm = key.split(":")
    pair = ["0x" + address[2:].rjust(64, "0") for address in (account, amm)]
    places = [p for p in of_event("PositionChanged") if list(logs()[p].topics[1:]) == pair]
    state = damaged(places, DAMAGE["cut"])
    found = take(LAST, state=state, answer=answering())
    assert found.of(MarginAccounts) == indexed(LAST).of(MarginAccounts)
    assert is_whole(found)
    taken = take(LAST, state=state, answer=answering(hiding(key), without=NOT_READ))
    assert vanished(taken) == {key}
    assert subjects(taken, "positions_not_read") == {key}
    assert not taken.snapshot.complete
    assert not is_whole(taken)


def _opened_once() -> str:
    """A position with a single log."""
    pairs = [tuple(logs()[place].topics[1:]) for place in of_event("PositionChanged")]
    changed = {tuple(logs()[p].topics[1:3]) for p in of_event("MarginChanged")}
    (trader, amm) = next(
        pair for pair in pairs
        if pairs.count(pair) == 1 and pair not in changed and not pair[1].endswith(OLD[2:])
    )  # fmt: skip
    return f"0x{trader[26:]}:0x{amm[26:]}"


def test_an_amm_that_the_fund_forgot_is_known_by_its_own_logs():
    """All its positions' logs cannot be read, and the list of AMMs no longer has it."""
    of_old = [p for p in of_event("PositionChanged") if logs()[p].topics[2].endswith(OLD[2:])]
    state = damaged(of_old, DAMAGE["cut"])
    fund = deployment().contracts["InsuranceFund"].lower()
    listed = [one.subject for one in indexed(LAST).of(Totals) if one.subject != OLD]
    selector = load_abi("perp_v1", "InsuranceFund").functions["getAllAmms"].encode()
    without_old = {fund.encode() + selector: Answer(encode(["address[]"], [listed]))}
    taken = take(LAST, state=state, answer=answering(without_old))
    assert vanished(taken) == set()
    assert OLD in {one.subject for one in taken.of(Totals)}


def test_words_of_strangers_are_not_asked_about():
    """Anyone can emit what an AMM emits: what cannot be read of it names no position."""
    place = of_event("ReserveSnapshotted")[0]
    stranger = replace(
        logs()[place],
        address="0x" + "66" * 20,
        log_index=1_000_000,
        data=b"".join(bytes(12) + bytes([n]) * 20 for n in range(1, 30)) + b"\x01",
        topics=(logs()[place].topics[0], "0x" + "0" * 24 + "77" * 20),
    )
    state = carry(dict(state_at(LAST)), PROTOCOL.replay(deployment(), [stranger], state_at(LAST)))
    assert any(key.startswith("unreadable:") for key in state)
    taken = take(LAST, state=state)
    assert taken.snapshot.rows == indexed(LAST).snapshot.rows
