"""Positions and funding rebuilt from logs alone."""

from dataclasses import replace
from itertools import pairwise

import pytest
from eth_abi import encode
from hypothesis import given, settings
from hypothesis import strategies as st

from analyzer.abi import load_abi
from analyzer.evm import Log
from analyzer.indexer.replaying import carry
from analyzer.protocols.evidence import readable, unreadable_logs
from analyzer.protocols.perp_v1 import PROTOCOL
from analyzer.protocols.perp_v1.holdings import FIELDS
from analyzer.rows import DataQuality, Funding, PositionEvents
from tests.protocols.perp_v1_chain import BLOCKS, deployment, logs, state_at, vectors

SNAPSHOTS = {int(snapshot["block"]): snapshot for snapshot in vectors()["snapshots"]}
HOUSE = deployment().contracts["ClearingHouse"].lower()
ETH = "0x0dcd1bf9a1b36ce34237eeafef220932846bcd82"


def replayed(some, state=None):
    return PROTOCOL.replay(deployment(), some, state or {})


def _recorded_positions(snapshot):
    amms = {raw["name"]: raw["amm"].lower() for raw in snapshot["amms"]}
    return {
        f"{raw['trader'].lower()}:{amms[raw['amm']]}": tuple(int(raw[name]) for name in FIELDS)
        for raw in snapshot["positions"]
    }


@pytest.mark.parametrize("number", BLOCKS)
def test_every_position_is_the_contracts_own_to_the_last_field(number):
    ours = {
        key: tuple(held[name] for name in FIELDS)
        for key, held in state_at(number).items()
        if "openNotional" in held and held["size"]
    }
    assert ours == _recorded_positions(SNAPSHOTS[number])


@pytest.mark.parametrize("number", BLOCKS)
def test_the_cumulative_premium_follows_from_the_logs(number):
    for raw in SNAPSHOTS[number]["amms"]:
        ours = state_at(number)[raw["amm"].lower()]["cumulativePremiumFraction"]
        assert ours == int(raw["latestCumulativePremiumFraction"][0])


@settings(deadline=None)
@given(cuts=st.lists(st.integers(0, 600), max_size=5))
def test_batches_of_any_blocks_leave_the_same_state(cuts):
    state = {}
    edges = [0, *sorted(cuts), 10_000]
    for first, last in pairwise(edges):
        batch = [log for log in logs() if first <= log.block_number < last]
        carry(state, PROTOCOL.replay(deployment(), batch, dict(state)))
    assert state == state_at(max(BLOCKS))


def test_the_state_keeps_only_the_snapshots_of_the_funding_window():
    kept = [held["timestamp"] for key, held in state_at(580).items() if ":reserve:" in key]
    seen = sum(
        isinstance(row, PositionEvents) and row.kind == "reserve" for row in replayed(logs())
    )
    assert 0 < len(kept) < seen // 4


def test_a_history_rolled_back_by_block_goes_on_as_if_nothing_had_happened():
    """What a store does after a reorganisation: the newest ``after`` of what is left."""
    rows = [row for row in replayed(logs()) if row.at.block_number <= 481]
    state = carry({}, rows)
    later = [log for log in logs() if log.block_number > 481]
    assert carry(state, replayed(later, state)) == state_at(580)


def test_funding_that_the_option_gets_wrong_is_open_not_guessed():
    rows = PROTOCOL.replay(deployment(funding_period=1800), logs(), {})
    state = carry({}, rows)
    assert state[ETH]["cumulativePremiumFraction"] is None
    assert any(
        held["lastUpdatedCumulativePremiumFraction"] is None
        for held in state.values()
        if "openNotional" in held
    )


def test_funding_rows_carry_an_hourly_rate_with_opposite_signs():
    rows = [row for row in replayed(logs()) if isinstance(row, Funding)]
    assert len(rows) == 56
    by_log = {}
    for row in rows:
        by_log.setdefault((row.at.block_number, row.log_index), {})[row.side] = row.funding_rate
    assert all(sides["long"] == -sides["short"] for sides in by_log.values())


def test_without_the_amms_logs_positions_stand_but_their_premium_is_open():
    of_house = [log for log in logs() if log.address == HOUSE]
    state = carry({}, replayed(of_house))
    whole = state_at(580)
    positions = {key: held for key, held in state.items() if "openNotional" in held}
    assert positions.keys() == {key for key, held in whole.items() if "openNotional" in held}
    for key, held in positions.items():
        assert held["lastUpdatedCumulativePremiumFraction"] in (None, 0)
        for name in ("size", "margin", "openNotional"):
            assert held[name] == whole[key][name]


def test_a_missing_log_is_noticed_and_its_open_notional_left_open():
    """The last change of a position that is still open, without the changes before it."""
    key = next(k for k, held in state_at(580).items() if held.get("blockNumber") == 503)
    account, amm = key.split(":")
    pair = ["0x" + address[2:].rjust(64, "0") for address in (account, amm)]
    last = [log for log in logs() if list(log.topics[1:]) == pair and len(log.data) == 11 * 32][-1]
    changed, complained = None, []
    for row in replayed([last]):
        if isinstance(row, DataQuality):
            complained.append(row.kind)
        else:
            changed = row
    assert complained == ["gap_in_logs"]
    assert changed.after["openNotional"] is None
    assert changed.after["margin"] == state_at(580)[key]["margin"]


@pytest.mark.parametrize(("sign", "kind"), [(1, "deposit"), (-1, "withdraw")])
def test_margin_that_is_added_or_removed_is_told_apart(sign, kind):
    topic = load_abi("perp_v1", "ClearingHouse").events["MarginChanged"].topic
    log = next(log for log in logs() if log.topics[0] == topic)
    amount = sign * int.from_bytes(log.data[:32])
    (row,) = replayed([replace(log, data=encode(["int256"], [amount]) + log.data[32:])])
    assert (row.kind, row.collateral_delta, row.size_delta_usd) == (kind, amount, None)


@pytest.mark.parametrize(
    "damage",
    [
        {"data": b""},
        {"data": b"\xff" * 31},
        {"topics": ()},
    ],
)
def test_a_log_that_does_not_decode_is_quarantined(damage):
    broken = [replace(log, **damage) for log in logs() if log.address == HOUSE][:3]
    rows = replayed(broken)
    expected = [] if damage == {"topics": ()} else ["malformed_log", "unreadable"] * 3
    assert [row.kind for row in rows] == expected
    left = list(unreadable_logs(carry({}, rows)))
    assert [log.words for log in left] == [
        tuple(topic[2:] for topic in log.topics[1:]) for log in broken if log.topics
    ]


def test_a_payment_that_cannot_be_read_leaves_the_premium_open():
    last = [log for log in logs() if log.address == ETH and len(log.data) == 64][-1]
    state = carry({}, replayed([replace(one, data=b"") if one == last else one for one in logs()]))
    assert state_at(580)[ETH]["cumulativePremiumFraction"] is not None
    assert state[ETH]["cumulativePremiumFraction"] is None


def test_what_was_settled_keeps_the_size_that_it_had():
    amm = "0x70e0ba845a1a0f2da3359c97e0285013525ffc49"
    settled = {key: held for key, held in state_at(580).items() if "settledSize" in held}
    assert len(settled) == 2
    for key, held in settled.items():
        assert held["amm"] == amm
        assert held["settledSize"] == state_at(569)[key]["size"] != 0
        assert held["size"] == held["margin"] == held["openNotional"] == 0


@settings(deadline=None)
@given(
    data=st.binary(min_size=96, max_size=96),
    topic=st.sampled_from(sorted({log.topics[0] for log in logs() if log.address == ETH})),
    time=st.integers(0, 2**63 - 1),
)
def test_a_foreign_amm_can_say_anything_and_changes_no_position(data, topic, time):
    stranger = Log(
        600, "0x" + "0" * 64, "0x" + "1" * 64, 0, 0, "0x" + "66" * 20, (topic,), data, time
    )
    before = state_at(580)
    after = carry(dict(before), replayed([stranger, replace(stranger, log_index=1)], before))
    after = dict(readable(after))
    assert {k: v for k, v in after.items() if "66" * 20 not in k} == dict(before)
    assert all(held.get("cumulativePremiumFraction", 0) in (None, 0) for k, held in after.items()
               if k == stranger.address)  # fmt: skip


def test_filters_name_the_amms_where_the_deployment_does():
    by_topic = PROTOCOL.log_filters(deployment())
    assert by_topic[1].addresses == ()
    named = PROTOCOL.log_filters(
        deployment(amms=f"{ETH.upper().replace('0X', '0x')}, 0x{'1' * 40}")
    )
    assert named[1].addresses == (ETH, "0x" + "1" * 40)
    assert named[1].topics == by_topic[1].topics


@pytest.mark.parametrize("found", PROTOCOL.deployments())
def test_shipped_deployments_name_what_filters_need(found):
    house, amms = PROTOCOL.log_filters(found)
    assert house.addresses == (found.contracts["ClearingHouse"].lower(),)
    assert len(amms.addresses) == len(set(amms.addresses)) > 0
