"""Logs to rows: idempotent, independent of batches, and complete about what it could not read."""

from dataclasses import replace
from itertools import groupby

import pytest
from eth_abi.abi import encode
from hypothesis import given, settings
from hypothesis import strategies as st

from analyzer.abi import load_abi
from analyzer.errors import AnalyzerError
from analyzer.evm import Log
from analyzer.protocol import Deployment
from analyzer.protocols.evidence import readable, unreadable_logs
from analyzer.protocols.gmx_v1 import PROTOCOL
from analyzer.protocols.gmx_v1.contracts import Identity
from analyzer.rows import DataQuality, Funding, PositionEvents, Prices
from tests.protocols.gmx_v1_run import LOCAL_A, LOCAL_C, left_by, of_type, run_of, state_of

ACCOUNT, TOKEN, USDC = ("0x" + digit * 40 for digit in "abc")
LONG = Identity(ACCOUNT, TOKEN, TOKEN, True)
USD = 10**30
VAULT = "0x" + "1" * 40
FAST = "0x" + "2" * 40
DEPLOYMENT = Deployment("gmx_v1", "here", 1, 0, {"Vault": VAULT, "FastPriceEvents": FAST})
EVENTS = load_abi("gmx_v1", "Vault").events
STRUCT = (5 * USD, USD, 100 * USD, 7, 10**18, -3 * USD)
OLD_UPDATE = next(k for k in EVENTS if k.startswith("UpdatePosition") and k.count(",") == 6)
NEW_UPDATE = next(k for k in EVENTS if k.startswith("UpdatePosition") and k.count(",") == 7)


def log_of(name, *values, index, block=1, tx="0x" + "7" * 64, time: int | None = 1_000) -> Log:
    event = EVENTS[name]
    data = encode([kind for _, kind, _ in event.fields], values)
    return Log(block, "0x" + "0" * 64, tx, 0, index, VAULT, (event.topic,), data, time)


def key(identity: Identity = LONG) -> bytes:
    return bytes.fromhex(identity.key()[2:])


def increase(index=2, identity=LONG, name="IncreasePosition", **where) -> Log:
    identity_words = (identity.account, identity.collateral_token, identity.index_token)
    amounts = (2 * USD, 5 * USD, identity.is_long, 100 * USD, USD // 100)
    return log_of(name, key(identity), *identity_words, *amounts, index=index, **where)


def update(index=3, name=OLD_UPDATE, struct=STRUCT, **where) -> Log:
    mark = (100 * USD,) if name == NEW_UPDATE else ()
    return log_of(name, key(), *struct, *mark, index=index, **where)


def replay(logs, state=None):
    return PROTOCOL.replay(DEPLOYMENT, logs, state or {})


@pytest.mark.parametrize("shape", [OLD_UPDATE, NEW_UPDATE])
def test_both_shapes_of_update_position_leave_the_same_struct(shape):
    fee = log_of("CollectMarginFees", TOKEN, USD // 50, 1, index=1)
    (row,) = replay([fee, increase(), update(name=shape)])
    assert row.after == {
        "account": ACCOUNT,
        "collateralToken": TOKEN,
        "indexToken": TOKEN,
        "isLong": True,
        "size": 5 * USD,
        "collateral": USD,
        "averagePrice": 100 * USD,
        "entryFundingRate": 7,
        "reserveAmount": 10**18,
        "realisedPnl": -3 * USD,
        "lastIncreasedTime": 1_000,
    }
    assert (row.kind, row.side, row.state_key, row.log_index) == ("increase", "long", LONG.key(), 2)
    assert (row.size_delta_usd, row.collateral_delta, row.fee_usd) == (
        5 * 10**18, 2 * 10**18, 2 * 10**16,
    )  # fmt: skip


def test_a_decrease_keeps_the_time_of_the_last_increase():
    state = left_by(replay([increase(), update()]))
    pnl = log_of("UpdatePnl", key(), False, 4 * USD, index=4, block=2)
    logs = [pnl, increase(5, name="DecreasePosition", block=2, time=9_000), update(6, block=2)]
    (row,) = replay(logs, state)
    assert row.kind == "decrease"
    assert row.after["lastIncreasedTime"] == 1_000
    assert (row.size_delta_usd, row.collateral_delta) == (-5 * 10**18, -2 * 10**18)
    assert row.pnl_usd == -4 * 10**18


def test_a_close_and_a_liquidation_end_the_position():
    state = left_by(replay([increase(), update()]))
    decrease = increase(4, name="DecreasePosition")
    (closed,) = replay([decrease, log_of("ClosePosition", key(), *STRUCT, index=5)], state)
    assert (closed.kind, closed.after) == ("close", None)
    words = (key(), ACCOUNT, TOKEN, TOKEN, True, 5 * USD, USD, 1, 0, 80 * USD)
    fee = log_of("CollectMarginFees", TOKEN, USD // 4, 1, index=4)
    (liquidated,) = replay([fee, log_of("LiquidatePosition", *words, index=5)], state)
    assert (liquidated.kind, liquidated.after) == ("liquidate", None)
    assert (liquidated.fee_usd, liquidated.price) == (10**18 // 4, 80 * 10**18)


def test_funding_rates_and_fast_prices_become_rows():
    price = load_abi("gmx_v1", "FastPriceEvents").events["PriceUpdate"]
    data = encode(["address", "uint256", "address"], [TOKEN, 3 * USD, USDC])
    fast = Log(1, "0x" + "11" * 32, "0x" + "22" * 32, 0, 2, FAST, (price.topic,), data, 1_000)
    rows = replay([log_of("UpdateFundingRate", TOKEN, 55, index=1), fast])
    (funding,), (observed,) = of_type(rows, Funding), of_type(rows, Prices)
    assert (funding.collateral_token, funding.inputs) == (TOKEN, {"cumulativeFundingRate": 55})
    assert (observed.price_min, observed.price_max) == (3 * 10**18, 3 * 10**18)
    assert (observed.source, observed.observed_at, observed.price_id) == (
        "fast", 1_000, f"1:gmx_v1:here:{TOKEN}",
    )  # fmt: skip


def test_fast_prices_are_fetched_only_where_their_contract_is_named():
    assert [f.addresses for f in PROTOCOL.log_filters(DEPLOYMENT)] == [(VAULT,), (FAST,)]
    plain = replace(DEPLOYMENT, contracts={"Vault": VAULT})
    (only,) = PROTOCOL.log_filters(plain)
    assert only.addresses == (VAULT,)
    assert {event.topic for event in EVENTS.values()} == set(only.topics[0])


def test_a_vault_of_mixed_case_is_filtered_in_lower_case():
    mixed = replace(DEPLOYMENT, contracts={"Vault": "0x489ee077994B6658eAfA855C308275EAd8097C4A"})
    assert PROTOCOL.log_filters(mixed)[0].addresses == (
        "0x489ee077994b6658eafa855c308275ead8097c4a",
    )


def test_a_log_without_its_blocks_time_is_an_error_where_the_time_is_stored():
    with pytest.raises(AnalyzerError, match="block 1 has logs but its time was not read"):
        replay([increase(time=None), update(time=None)])


@pytest.mark.parametrize("cut", [0, 31, 32, 100])
def test_a_malformed_log_is_quarantined_and_the_rest_stands(cut):
    other = Identity("0x" + "d" * 40, TOKEN, TOKEN, True)
    bad = replace(increase(1, other), data=increase(1, other).data[:cut])
    rows = replay([bad, increase(), update()])
    (complaint,) = of_type(rows, DataQuality)
    assert (complaint.kind, complaint.subject, complaint.log_index) == (
        "malformed_log", f"{bad.address}:IncreasePosition", 1,
    )  # fmt: skip
    assert dict(readable(left_by(rows))).keys() == {LONG.key()}
    (unreadable,) = unreadable_logs(left_by(rows))
    assert (unreadable.event, unreadable.log_index) == ("IncreasePosition", 1)
    assert unreadable.words == tuple(bad.data[at : at + 32].hex() for at in range(0, cut - 31, 32))


def test_an_update_that_cannot_be_read_leaves_an_unknown_struct():
    rows = replay([increase(), replace(update(), data=update().data[:64])])
    assert sorted(c.kind for c in of_type(rows, DataQuality)) == ["lost_position", "malformed_log"]
    after = left_by(rows)[LONG.key()]
    assert (after["account"], after["size"], after["lastIncreasedTime"]) == (ACCOUNT, None, None)


def test_an_operation_that_leaves_nothing_behind_is_an_unknown_struct():
    rows = replay([increase(), increase(5), update(6), increase(9, tx="0x" + "8" * 64)])
    lost = [c for c in of_type(rows, DataQuality) if c.kind == "lost_position"]
    assert [c.log_index for c in lost] == [2, 9]
    assert left_by(rows)[LONG.key()]["size"] is None


def test_a_struct_without_an_operation_belongs_to_the_position_that_is_known():
    state = left_by(replay([increase(), update()]))
    changed = (6 * USD, *STRUCT[1:])
    (row,) = replay([update(7, struct=changed, block=5, time=5_000)], state)
    assert (row.kind, row.after["size"]) == ("adjust", 6 * USD)
    assert row.after["lastIncreasedTime"] == 1_000
    complaint, unreadable = replay([update(7)])
    assert unreadable.kind == "unreadable"
    assert complaint.kind == "malformed_log"
    assert LONG.key() in complaint.detail


def test_a_decrease_of_a_position_that_was_never_opened_has_no_time():
    rows = replay([increase(4, name="DecreasePosition"), update(5)])
    assert [c.kind for c in of_type(rows, DataQuality)] == ["unknown_last_increase"]
    assert left_by(rows)[LONG.key()]["lastIncreasedTime"] is None


def test_a_key_that_is_not_the_positions_own_is_quarantined():
    stranger = replace(LONG, account="0x" + "e" * 40)
    lying = log_of(
        "IncreasePosition", key(), stranger.account, TOKEN, TOKEN, USD, USD, True, USD, 0, index=1
    )
    rows = replay([lying, increase(), update()])
    (complaint,) = of_type(rows, DataQuality)
    assert "is not the key of the position" in complaint.detail
    assert left_by(rows)[LONG.key()]["account"] == ACCOUNT


def test_operations_of_two_positions_in_one_transaction_do_not_mix():
    short = Identity(ACCOUNT, USDC, TOKEN, False)
    mine = replace(update(4), data=key(short) + update(4).data[32:])
    rows = replay([increase(1), increase(2, short), mine, update(5)])
    assert of_type(rows, DataQuality) == []
    assert {k: v["isLong"] for k, v in left_by(rows).items()} == {
        LONG.key(): True,
        short.key(): False,
    }


@given(data=st.binary(max_size=400), name=st.sampled_from(sorted(EVENTS)))
@settings(max_examples=80, deadline=None)
def test_arbitrary_data_never_stops_a_replay(data, name):
    noise = replace(increase(1), topics=(EVENTS[name].topic,), data=data)
    rows = replay([noise, increase(8, block=2), update(9, block=2)])
    assert left_by(rows)[LONG.key()]["size"] in (5 * USD, None)
    assert left_by(rows)[LONG.key()]["account"] == ACCOUNT


@pytest.mark.parametrize("name", [LOCAL_C, LOCAL_A])
def test_replaying_the_same_logs_again_changes_nothing(name):
    run = run_of(name)
    once = state_of(name)
    again = left_by(PROTOCOL.replay(run.deployment, run.logs(), once), once)
    assert again == once
    assert not of_type(PROTOCOL.replay(run.deployment, run.logs(), {}), DataQuality)


@given(data=st.data())
@settings(max_examples=8, deadline=None)
def test_rows_do_not_depend_on_where_batches_end(data):
    run = run_of(LOCAL_C)
    blocks = [list(logs) for _, logs in groupby(run.logs(), key=lambda log: log.block_number)]
    cuts = sorted(data.draw(st.sets(st.integers(1, len(blocks) - 1), max_size=8)))
    state, rows = {}, []
    for start, end in zip([0, *cuts], [*cuts, len(blocks)], strict=True):
        batch = PROTOCOL.replay(
            run.deployment, [log for block in blocks[start:end] for log in block], state
        )
        rows += batch
        state = left_by(batch, state)
    assert rows == PROTOCOL.replay(run.deployment, run.logs(), {})
    assert state == state_of(LOCAL_C)


def test_the_recorded_chain_holds_every_kind_of_event():
    rows = [row for n in (LOCAL_C, LOCAL_A) for row in replayed(n)]
    kinds = [row.kind for row in of_type(rows, PositionEvents)]
    assert {kind: kinds.count(kind) for kind in set(kinds)} == {
        "increase": 644, "decrease": 36, "close": 60, "liquidate": 89,
    }  # fmt: skip
    assert all(row.fee_usd is not None for row in of_type(rows, PositionEvents))


def replayed(name):
    run = run_of(name)
    return PROTOCOL.replay(run.deployment, run.logs(), {})
