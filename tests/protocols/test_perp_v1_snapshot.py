"""A snapshot of the recorded chain: all rows, from logs, from state, and what is missing of it."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from analyzer.abi import load_abi
from analyzer.errors import AnalyzerError
from analyzer.evm import NOT_READ, Answer, Call
from analyzer.protocols.perp_v1 import PROTOCOL
from analyzer.protocols.perp_v1.amm import Amm, get_spot_price, move_reserves
from analyzer.protocols.perp_v1.assess import assess
from analyzer.protocols.perp_v1.holdings import FIELDS
from analyzer.protocols.perp_v1.liquidation import held
from analyzer.protocols.perp_v1.vectors import _read, _subject
from analyzer.reads import drive
from analyzer.rows import (
    DataQuality,
    Funding,
    MarginAccounts,
    MarginLegs,
    Markets,
    Positions,
    Prices,
    Tokens,
)
from tests.protocols.perp_v1_chain import (
    BLOCKS,
    answers,
    chain,
    deployment,
    indexed,
    state_at,
    stored,
    take,
    vectors,
)

VERDICTS = ("getMarginRatio", "getPositionNotionalAndUnrealizedPnl", "liquidate")
AMM_VERDICTS = ("isOverSpreadLimit", "getSpotPrice")
ETH = "0x0dcd1bf9a1b36ce34237eeafef220932846bcd82"
OLD = "0x70e0ba845a1a0f2da3359c97e0285013525ffc49"


def selectors(*names: str) -> set[bytes]:
    return {
        load_abi("perp_v1", contract).functions[name].selector
        for contract in ("ClearingHouse", "Amm", "InsuranceFund", "ERC20", "PriceFeed")
        for name in names
        if name in load_abi("perp_v1", contract).functions
    }


def without(number: int, *names: str, to: str | None = None, answer: Answer = NOT_READ):
    """The recorded answers but for some functions (of one contract)."""
    hidden, recorded = selectors(*names), answers(number)

    def answer_all(requests: Sequence[Call]) -> list[Answer]:
        lost = [r.data[:4] in hidden and to in (None, r.to) for r in requests]
        kept = iter(recorded([r for r, gone in zip(requests, lost, strict=True) if not gone]))
        return [answer if gone else next(kept) for gone in lost]

    return answer_all


@pytest.mark.parametrize("number", BLOCKS)
def test_every_recorded_position_is_indexed_with_the_recorded_verdict(number):
    snapshot = next(s for s in vectors()["snapshots"] if int(s["block"]) == number)
    amms = {raw["name"]: raw["amm"].lower() for raw in snapshot["amms"]}
    taken = indexed(number)
    positions = {row.position_id: row for row in taken.of(Positions)}
    accounts = {row.margin_id: row for row in taken.of(MarginAccounts)}
    assert taken.snapshot.complete
    assert len(positions) == len(accounts) == len(snapshot["positions"])
    for raw in snapshot["positions"]:
        key = f"{raw['trader'].lower()}:{amms[raw['amm']]}"
        row, account = positions[key], accounts[key]
        assert [row.inputs[name] for name in FIELDS] == [int(raw[name]) for name in FIELDS]
        assert row.outputs["liquidate"] == raw["liquidate_sim"]
        succeeds = account.state == "liquidatable" and account.blocked_by is None
        assert succeeds is (raw["liquidate_sim"] == "OK")
        assert account.state_stored == account.state
        assert (account.buffer_usd < 0) is (account.state == "liquidatable")
        assert account.equity_usd - account.requirement_usd == account.buffer_usd


@pytest.mark.parametrize("number", BLOCKS)
def test_logs_and_state_give_the_same_rows(number):
    rows = indexed(number).snapshot.rows
    for source in ("state", "both"):
        assert take(number, source, state=state_at(number)).snapshot.rows == rows


def test_indexing_asks_for_no_verdict_and_no_account_value():
    hidden = without(580, *VERDICTS, *AMM_VERDICTS)
    taken = take(580, state=state_at(580), answer=hidden)
    assert taken.snapshot.rows == indexed(580).snapshot.rows


def test_a_snapshot_takes_three_rounds_and_reads_each_position_once():
    rounds, asked = [], []

    def counting(requests):
        rounds.append(len(requests))
        asked.extend(request.data for request in requests)
        return answers(580)(requests)

    taken = take(580, state=state_at(580), answer=counting)
    assert len(rounds) == 1 + 3  # the probe, then the snapshot
    positions = [data for data in asked if data[:4] in selectors("getPosition")]
    known = [key for key, held in state_at(580).items() if "openNotional" in held]
    assert len(positions) == len(set(positions)) == len(known) == 142
    assert taken.snapshot.rows == indexed(580).snapshot.rows


def test_named_accounts_are_read_from_state_alone():
    wanted = sorted({row.account for row in indexed(580).of(Positions)})[:2]
    alone = take(580, "state", accounts=tuple(wanted))
    assert alone.snapshot.complete
    whole = {row.position_id: row for row in indexed(580).of(Positions) if row.account in wanted}
    assert {row.position_id for row in alone.of(Positions)} == whole.keys()
    for row in alone.of(Positions):
        assert row.outputs == whole[row.position_id].outputs
    assert all(market.open_interest_long_usd is None for market in alone.of(Markets))


def test_without_logs_and_without_accounts_nothing_is_said_to_be_complete():
    taken = take(580, "state")
    assert not taken.snapshot.complete
    assert not taken.of(Positions)
    assert [row.kind for row in taken.of(DataQuality)] == ["positions_not_read"]


def test_markets_tokens_prices_and_funding_have_their_rows():
    taken = indexed(580)
    markets = {row.name: row for row in taken.of(Markets)}
    assert sorted(markets) == ["BTC/USDC", "CRV/USDC", "ETH/USDC", "OLD/USDC"]
    assert {name: row.status for name, row in markets.items()} == {
        "BTC/USDC": "open", "CRV/USDC": "open", "ETH/USDC": "open", "OLD/USDC": "closed",
    }  # fmt: skip
    assert [(row.symbol, row.decimals) for row in taken.of(Tokens)] == [("USDC", 6)]
    prices = {(row.token, row.source): row for row in taken.of(Prices)}
    assert prices[ETH, "spot"].price_min == 1373825701641294334254
    assert prices[ETH, "oracle"].deviation_limit_bps == 1000
    assert prices[ETH, "oracle"].observed_at == 1700040940
    assert len(taken.of(Funding)) == 8
    for market in markets.values():
        of_market = [row for row in taken.of(Positions) if row.market == market.market]
        for side, total in (
            ("long", market.open_interest_long_usd),
            ("short", market.open_interest_short_usd),
        ):
            sizes = [row.inputs["openNotional"] for row in of_market if row.side == side]
            assert total == sum(sizes)


def test_positions_of_a_closed_amm_are_blocked_and_know_their_settlement():
    closed = [row for row in indexed(580).of(MarginAccounts) if OLD in row.margin_id]
    rows = {row.margin_id: row for row in indexed(580).of(Positions)}
    assert len(closed) == 28
    for account in closed:
        row = rows[account.margin_id]
        assert account.reason == "amm was closed: settlePosition pays the position out"
        assert row.outputs["liquidate"] == "amm was closed"
        assert row.liquidation_kind == "never"
        assert isinstance(row.outputs["settlePosition"], int)
        expected = "amm was closed" if account.state == "liquidatable" else None
        assert account.blocked_by == expected
    assert not [leg for leg in indexed(580).of(MarginLegs) if OLD in leg.margin_id]


@pytest.mark.parametrize("source", ["logs", "state"])
@pytest.mark.parametrize(
    ("function", "of", "fragment"),
    [
        ("getReserve", ETH, "Amm.getReserve"),
        ("getUnderlyingPrice", ETH, "Amm.getUnderlyingPrice"),
        ("reserveSnapshots", ETH, "Amm.reserveSnapshots"),
        ("getSnapshotLen", ETH, "Amm.getSnapshotLen"),
        ("open", ETH, "Amm.open"),
        ("MAX_ORACLE_SPREAD_RATIO", ETH, "Amm.MAX_ORACLE_SPREAD_RATIO"),
    ],
)
def test_one_unreadable_amm_makes_its_positions_unknown_and_no_other(
    source, function, of, fragment
):
    answer = without(580, function, to=of)
    taken = take(580, source, state=state_at(580), answer=answer)
    known = {row.margin_id: row for row in indexed(580).of(MarginAccounts)}
    for account in taken.of(MarginAccounts):
        if account.margin_id.endswith(of):
            assert account.state == account.state_stored == "unknown"
            assert fragment in account.reason
            assert account.buffer_usd is None
        else:
            assert account == known[account.margin_id]
    assert {row.liquidation_kind for row in taken.of(Positions) if row.market == of} == {"unknown"}


def test_an_oracle_that_reverts_makes_positions_unknown_with_the_contracts_reason():
    failing = without(580, "getUnderlyingPrice", to=ETH, answer=Answer(error="empty address"))
    taken = take(580, state=state_at(580), answer=failing)
    reasons = {row.reason for row in taken.of(MarginAccounts) if row.margin_id.endswith(ETH)}
    assert reasons == {"reverted: empty address"}


def test_unreadable_ratios_make_every_position_unknown():
    answer = without(580, "maintenanceMarginRatio")
    probe = drive(PROTOCOL.probe(deployment()), answers(580))
    assert probe.release == "2.2.0"
    with pytest.raises(AnalyzerError, match="maintenanceMarginRatio"):
        drive(PROTOCOL.probe(deployment()), answer)


def test_an_unreadable_list_of_amms_is_incomplete_not_empty():
    recorded, hidden = answers(580), without(580, "getAllAmms")
    calls = iter([recorded])

    def only_the_probe_reads_it(requests):
        return next(calls, hidden)(requests)

    taken = take(580, state=state_at(580), answer=only_the_probe_reads_it)
    assert not taken.snapshot.complete
    assert len(taken.of(Positions)) == 136
    assert [row.subject for row in taken.of(DataQuality)] == ["amms"]


def test_an_address_that_is_no_clearing_house_is_refused_at_first_contact():
    empty = without(580, "getAllAmms", answer=Answer())
    with pytest.raises(AnalyzerError, match="local is not a Perpetual Protocol v1"):
        drive(PROTOCOL.probe(deployment()), empty)


def test_a_fund_without_amms_is_refused_at_first_contact():
    nothing = Answer((32).to_bytes(32, "big") + bytes(32))
    with pytest.raises(AnalyzerError, match="names 0 AMMs"):
        drive(PROTOCOL.probe(deployment()), without(580, "getAllAmms", answer=nothing))


def test_funding_that_the_logs_do_not_explain_is_a_note_and_changes_no_position():
    """With a wrong funding period the premiums do not sum up."""
    wrong = deployment(funding_period=1800)
    past = {**state_at(580)}
    past |= {
        key: {**held, "cumulativePremiumFraction": None}
        for key, held in past.items()
        if "fundings" in held
    }
    taken = take(580, found=wrong, state=past)
    kinds = {row.kind for row in taken.of(DataQuality)}
    assert kinds == {"funding_not_from_logs"}
    assert taken.of(Positions) == indexed(580).of(Positions)


@pytest.mark.parametrize("source", ["logs", "both"])
def test_a_difference_between_logs_and_state_is_reported(source):
    past = {**state_at(580)}
    key = next(key for key, held in past.items() if held.get("size"))
    past[key] = {**past[key], "margin": past[key]["margin"] + 1}
    taken = take(580, source, state=past)
    found = [row for row in taken.of(DataQuality) if row.kind == "position_difference"]
    assert [row.subject for row in found] == [key]
    assert "margin" in found[0].detail
    assert taken.of(Positions) == indexed(580).of(Positions)


def _rebuilt(number: int, account: MarginAccounts) -> tuple:
    snapshot = next(s for s in vectors()["snapshots"] if int(s["block"]) == number)
    names = {raw["amm"].lower(): raw["name"] for raw in snapshot["amms"]}
    amms, positions, configs = _read(vectors())
    trader, address = account.margin_id.split(":")
    name = names[address]
    key = _subject(number, {"amm": name, "trader": trader})
    return amms[number, name], positions[key], configs[number]


@pytest.mark.parametrize("number", [414, 481, 550])
def test_the_line_of_a_position_is_within_its_error_bound(number):
    """Mark, TWAP and oracle moved together over the whole range, and the present itself."""
    taken = indexed(number)
    accounts = {row.margin_id: row for row in taken.of(MarginAccounts)}
    legs = taken.of(MarginLegs)
    assert len(legs) == len(accounts)
    for leg in legs[::9]:
        amm, position, config = _rebuilt(number, accounts[leg.margin_id])
        now = accounts[leg.margin_id].buffer_usd / 1e18
        price = get_spot_price(amm) / 1e18
        assert abs(leg.intercept + leg.slope * price - now) <= leg.error_bound
        for percent in (71, 80, 95, 100, 105, 120, 141):
            moved = _followed(held(amm, amm.quote_asset_reserve * percent // 100))
            at = get_spot_price(moved) / 1e18
            assert leg.valid_from <= at <= leg.valid_to
            buffer = assess(moved, position, config, is_listed=True).buffer / 1e18
            assert abs(leg.intercept + leg.slope * at - buffer) <= leg.error_bound


def _followed(amm: Amm) -> Amm:
    return replace(amm, underlying_price=get_spot_price(amm))


def test_the_published_price_is_where_the_verdict_flips():
    checked = 0
    for row in indexed(481).of(Positions):
        found = row.outputs["liquidationPrice"]
        if found["kind"] != "flip" or found["binding"] != "mark":
            continue
        account = next(a for a in indexed(481).of(MarginAccounts) if a.margin_id == row.margin_id)
        amm, position, config = _rebuilt(481, account)
        there = held(amm, found["liquidatableQuoteAssetReserve"])
        assert get_spot_price(there) == found["price"]
        assert (row.liquidation_below or row.liquidation_above) == found["price"]
        assert (row.liquidation_below is None) is (row.side == "short")
        verdicts = [
            assess(held(amm, found[name]), position, config, is_listed=True).verdict.is_liquidatable
            for name in ("liquidatableQuoteAssetReserve", "safeQuoteAssetReserve")
        ]
        assert verdicts == [True, False]
        checked += 1
    assert checked > 20


def test_explain_names_every_step_to_the_verdict():
    account = stored(indexed(580))[0]
    lines = PROTOCOL.explain(account)
    names = [line.name for line in lines]
    for name in ("size", "margin", "openNotional", "fundingPayment", "marginRatio", "liquidate()"):
        assert name in names
    assert names[-1] == "state"
    assert all(line.value for line in lines)


def test_explain_speaks_of_an_unknown_position_as_well():
    taken = take(580, state=state_at(580), answer=without(580, "getReserve", to=ETH))
    unknown = next(account for account in stored(taken) if account.state == "unknown")
    lines = PROTOCOL.explain(unknown)
    assert lines[-1].value == "unknown"
    assert "getReserve" in lines[-1].meaning


def test_moving_reserves_keeps_them_on_their_curve():
    amm, _, _ = _rebuilt(481, indexed(481).of(MarginAccounts)[0])
    k = amm.quote_asset_reserve * amm.base_asset_reserve // 10**18
    moved = move_reserves(amm, amm.quote_asset_reserve * 2)
    assert (
        0
        <= k - moved.quote_asset_reserve * moved.base_asset_reserve // 10**18
        <= (moved.quote_asset_reserve // 10**18 + 1)
    )
    assert chain().chain_id() == 3133703
