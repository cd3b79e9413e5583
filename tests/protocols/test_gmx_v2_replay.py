"""EventEmitter logs to rows: exact state, joined fees."""

import pytest

from analyzer.protocols.gmx_v2.event_data import decode_slowly
from analyzer.protocols.gmx_v2.keys import position_key
from analyzer.protocols.gmx_v2.replay import log_filters, price_filters
from analyzer.rows import DataQuality, Funding, Markets, PositionEvents, Positions, Prices
from tests.protocols.gmx_v2_run import (
    RECORDINGS,
    document,
    event_log,
    of_type,
    positions_in,
    run_of,
    state_after,
)

both_recordings = pytest.mark.parametrize("name", RECORDINGS)
ACCOUNT, MARKET, TOKEN = ("0x" + digit * 40 for digit in "abc")


def increase(
    *, size=10**30, delta=None, pending=0, is_long=True, drop=(), more=(), kinds=None, **numbers
):
    """A ``PositionIncrease`` of one account; ``kinds``: items of another type than they have."""
    key = position_key(ACCOUNT, MARKET, TOKEN, is_long)
    uints = {
        "sizeInUsd": size, "sizeInTokens": 10**18, "collateralAmount": 10**18,
        "borrowingFactor": 5, "fundingFeeAmountPerSize": 6,
        "longTokenClaimableFundingAmountPerSize": 7, "shortTokenClaimableFundingAmountPerSize": 8,
        "executionPrice": 10**12, "indexTokenPrice.min": 10**12, "indexTokenPrice.max": 10**12,
        "collateralTokenPrice.min": 10**12, "collateralTokenPrice.max": 10**12,
        "sizeDeltaUsd": size if delta is None else delta, "orderType": 2,
        "increasedAtTime": 1_700_000_000, **numbers,
    }  # fmt: skip
    ints = {"collateralDeltaAmount": 10**18, "pendingPriceImpactAmount": pending}
    items = {
        "address": [("account", ACCOUNT), ("market", MARKET), ("collateralToken", TOKEN)],
        "uint256": list(uints.items()),
        "int256": list(ints.items()),
        "bool": [("isLong", is_long)],
        "bytes32": [("positionKey", key), *more],
    }
    changed = kinds or {}
    for kind, every in items.items():
        items[kind] = [one for one in every if one[0] not in (*drop, *changed)]
    for name, (kind, value) in changed.items():
        items.setdefault(kind, []).append((name, value))
    return event_log("PositionIncrease", "0x" + ACCOUNT[2:].rjust(64, "0"), items)


@both_recordings
def test_replaying_in_pieces_equals_replaying_at_once(name):
    run = run_of(name)
    logs = run.logs()
    whole = run.state(logs)
    state = {}
    blocks = sorted({log.block_number for log in logs})
    for number in range(0, len(blocks), 7):
        piece = blocks[number : number + 7]
        rows = run.replay([log for log in logs if log.block_number in piece], state)
        state = state_after(rows, state)
    assert state == whole


@both_recordings
def test_closed_positions_are_gone_and_open_ones_equal_the_answer_key(name):
    state = run_of(name).state()
    positions = positions_in(state)
    theirs = {one["key"]: one["position"] for one in document(f"{name}.expected")["positions"]}
    assert positions.keys() == theirs.keys()
    for key, after in positions.items():
        for field, value in theirs[key].items():
            assert after[field] == (value if isinstance(value, bool) else int(value))


@both_recordings
def test_events_carry_deltas_fees_and_pnl(name):
    rows = of_type(run_of(name).replay(run_of(name).logs()), PositionEvents)
    changes = [row for row in rows if row.kind != "price"]
    assert {row.kind for row in changes} >= {"increase", "liquidate"}
    for row in changes:
        assert row.fee_usd is not None
        assert (row.size_delta_usd > 0) == (row.kind == "increase")
        assert (row.pnl_usd is None) == (row.kind == "increase")
        assert (row.after is None) == (row.kind in ("close", "liquidate"))


@both_recordings
def test_prices_and_funding_are_rows_of_their_own(name):
    rows = run_of(name).replay(run_of(name).logs())
    assert len(of_type(rows, Prices)) == 250
    sides = {row.side for row in of_type(rows, Funding)}
    assert sides == {"long", "short", "both"}
    borrowing = [row for row in of_type(rows, Funding) if row.borrowing_rate is not None]
    assert {row.side for row in borrowing} == {"long", "short"}
    keys = [(row.at.block_number, row.log_index, row.market, row.side, row.collateral_token)
            for row in of_type(rows, Funding)]  # fmt: skip
    assert len(keys) == len(set(keys))


def test_pending_impact_adds_up_over_increases():
    run = run_of("2b")
    state = state_after(run.replay([increase(pending=-50)]))
    again = increase(size=3 * 10**30, delta=2 * 10**30, pending=20)
    (after,) = positions_in(state_after(run.replay([again], state), state)).values()
    assert after["pendingImpactAmount"] == -30


def test_a_position_whose_beginning_is_not_in_the_logs_is_unknown():
    run = run_of("2b")
    rows = run.replay([increase(size=3 * 10**30, delta=10**30)])
    (after,) = positions_in(state_after(rows)).values()
    assert "not known" in after["unknown"]
    assert "pendingImpactAmount" not in after


def test_an_increase_of_an_older_release_has_no_pending_impact():
    old = increase(drop=("pendingPriceImpactAmount", "increasedAtTime"))
    items = decode_slowly(old)
    assert "pendingPriceImpactAmount" not in items
    run = run_of("2b")
    assert [row.kind for row in of_type(run.replay([old]), DataQuality)] == ["malformed_log"]
    with_its_own = increase(drop=("pendingPriceImpactAmount",), priceImpactAmount=5)
    (after,) = positions_in(state_after(run.replay([with_its_own]))).values()
    assert after["pendingImpactAmount"] == 0


def test_an_extra_item_is_no_obstacle():
    rows = run_of("2b").replay([increase(more=[("somethingNew", b"\x07" * 32)])])
    assert of_type(rows, DataQuality) == []
    assert [row.kind for row in of_type(rows, PositionEvents)] == ["increase", "price"]


@both_recordings
def test_the_newest_words_in_the_logs_are_those_of_the_data_store(name):
    """Open interest, pools and accumulators: what events said last is what is stored."""
    run = run_of(name)
    newest = {}
    for row in of_type(run.replay(run.logs()), Funding):
        for word in WORDS & row.inputs.keys():
            newest[word, row.market, row.side, row.collateral_token] = row.inputs[word]
    markets = {row.market: row.parameters for row in of_type(run.snapshot().rows, Markets)}
    compared = 0
    for (word, market, side, token), value in newest.items():
        words = markets[market]
        which = {words["longToken"]: "longToken", words["shortToken"]: "shortToken"}
        names = [word, *([which[token]] if token else []), *([side] if side != "both" else [])]
        assert words[":".join(names)] == value
        compared += 1
    assert compared > 80


WORDS = {
    "OPEN_INTEREST", "OPEN_INTEREST_IN_TOKENS", "POOL_AMOUNT", "FUNDING_FEE_AMOUNT_PER_SIZE",
    "CLAIMABLE_FUNDING_AMOUNT_PER_SIZE", "CUMULATIVE_BORROWING_FACTOR",
}  # fmt: skip


def test_executed_prices_can_be_asked_for_alone():
    run = run_of("2b")
    (every,), (prices,) = log_filters(run.deployment), price_filters(run.deployment)
    assert (every.addresses, every.topics[0]) == (prices.addresses, prices.topics[0])
    assert set(prices.topics[1]) < set(every.topics[1])
    logs = [log for log in run.logs() if log.topics[1] in prices.topics[1]]
    state = state_after(run.replay(logs))
    snapshot = run.snapshot("state", state=state)
    assert snapshot.price_basis.startswith("executed: newest executed OraclePriceUpdate (")
    assert len(of_type(snapshot.rows, Positions)) == 70
