"""The edge of the safe region: both neighbours evaluated, and a band that holds what it says."""

from dataclasses import replace

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from analyzer.protocols.perp_v1.amm import Amm, ReserveSnapshot, get_spot_price, move_reserves
from analyzer.protocols.perp_v1.clearing_house import (
    Config,
    Position,
    get_margin_ratio,
    judge,
)
from analyzer.protocols.perp_v1.liquidation import held, liquidation_price
from analyzer.protocols.perp_v1.vectors import _read, _subject
from analyzer.ratios import distance_bps
from tests.protocols.perp_v1_chain import vectors

ONE = 10**18
NOW = 1_700_000_000
CONFIG = Config(
    init_margin_ratio=ONE // 10,
    maintenance_margin_ratio=ONE // 16,
    liquidation_fee_ratio=ONE // 80,
    partial_liquidation_ratio=ONE // 4,
)
POOL = Amm(
    quote_asset_reserve=10_000_000 * ONE,
    base_asset_reserve=10_000 * ONE,
    reserve_snapshots=(ReserveSnapshot(10_000_000 * ONE, 10_000 * ONE, NOW - 10_000, 1),),
    first_snapshot=0,
    underlying_price=1_000 * ONE,
    latest_cumulative_premium_fraction=0,
    is_open=True,
    settlement_price=0,
    block_timestamp=NOW,
    block_number=100,
)


def position_of(size: int, margin: int, open_notional: int) -> Position:
    return Position(
        size=size,
        margin=margin,
        open_notional=open_notional,
        last_updated_cumulative_premium_fraction=0,
    )


def leveraged(side: int, leverage: int) -> Position:
    return position_of(side * 10 * ONE, 10_000 * ONE // leverage, 10_000 * ONE)


def is_bad(amm: Amm, position: Position, reserve: int) -> bool:
    ratio = get_margin_ratio(held(amm, reserve), position).margin_ratio
    return ratio < CONFIG.maintenance_margin_ratio


@settings(deadline=None)
@given(
    size=st.integers(10**10, 10**21),
    leverage=st.integers(110, 1_500),
    entry=st.integers(70, 130),
    side=st.sampled_from([1, -1]),
    data=st.data(),
)
def test_the_verdict_flips_at_the_edge_and_is_certain_outside_the_band(
    size, leverage, entry, side, data
):
    notional = 1_000 * size * entry // 100
    position = position_of(side * size, notional * 100 // leverage, notional)
    found = liquidation_price(POOL, position, CONFIG)
    assume(found.edge is not None)
    edge = found.edge
    assert abs(edge.liquidatable_reserve - edge.safe_reserve) == 1
    assert is_bad(POOL, position, edge.liquidatable_reserve)
    assert not is_bad(POOL, position, edge.safe_reserve)
    low, high = edge.band
    assert low <= min(edge.liquidatable_reserve, edge.safe_reserve)
    assert high >= max(edge.liquidatable_reserve, edge.safe_reserve)
    step = data.draw(st.integers(0, 10**9))
    assert is_bad(POOL, position, max(1, low - step)) is (side > 0)
    assert is_bad(POOL, position, high + step) is (side < 0)


@pytest.mark.parametrize("side", [1, -1])
def test_a_mark_within_the_spread_limit_is_binding(side):
    position = leveraged(side, 10)
    edge = liquidation_price(POOL, position, CONFIG).edge
    assert edge.binding == "mark"
    assert edge.oracle_price is None
    assert judge(held(POOL, edge.liquidatable_reserve), position, CONFIG).is_liquidatable
    assert not judge(held(POOL, edge.safe_reserve), position, CONFIG).is_liquidatable


@pytest.mark.parametrize("side", [1, -1])
def test_a_mark_far_from_the_oracle_is_shielded_again(side):
    """Past the spread limit the oracle's better ratio protects what the mark would liquidate."""
    edge = liquidation_price(POOL, leveraged(side, 10), CONFIG).edge
    assert edge.shielded_price is not None
    assert (edge.price - edge.shielded_price) * side > 0
    assert abs(edge.shielded_price - POOL.underlying_price) <= POOL.underlying_price // 10 + ONE


@pytest.mark.parametrize("side", [1, -1])
def test_an_edge_beyond_the_spread_limit_needs_the_oracle_to_follow(side):
    position = leveraged(side, 3)
    edge = liquidation_price(POOL, position, CONFIG).edge
    assert edge.binding == "oracle"
    there = held(POOL, edge.liquidatable_reserve)
    assert not judge(there, position, CONFIG).is_liquidatable
    follows = replace(there, underlying_price=edge.oracle_price)
    assert judge(follows, position, CONFIG).is_liquidatable
    almost = replace(there, underlying_price=edge.oracle_price + side)
    assert not judge(almost, position, CONFIG).is_liquidatable


def test_a_long_that_its_margin_covers_is_never_liquidated():
    assert liquidation_price(POOL, leveraged(1, 1), CONFIG).kind == "never"


def test_a_short_that_owes_more_funding_than_it_sold_for_is_always_liquidated():
    owing = replace(POOL, latest_cumulative_premium_fraction=-2_000 * ONE)
    assert liquidation_price(owing, leveraged(-1, 10), CONFIG).kind == "always"


def test_a_closed_amm_never_liquidates():
    found = liquidation_price(replace(POOL, is_open=False), leveraged(1, 10), CONFIG)
    assert (found.kind, found.reason) == ("never", "amm was closed")


@pytest.mark.parametrize("ratio", [0, ONE, 2 * ONE])
def test_a_requirement_that_makes_no_sense_is_unknown(ratio):
    config = replace(CONFIG, maintenance_margin_ratio=ratio)
    assert liquidation_price(POOL, leveraged(1, 10), config).kind == "unknown"


def test_an_oracle_that_reverts_leaves_the_edge_unknown_with_its_reason():
    broken = replace(POOL, underlying_price="no price data")
    found = liquidation_price(broken, leveraged(1, 10), CONFIG)
    assert (found.kind, found.reason) == ("unknown", "reverted: no price data")


@pytest.mark.parametrize("side", [1, -1])
def test_a_mark_past_the_edge_is_a_negative_distance_while_the_twap_still_protects(side):
    """The distance is the mark's alone: a lagging TWAP or an oracle keeps the verdict safe."""
    position = leveraged(side, 10)
    edge = liquidation_price(POOL, position, CONFIG).edge
    bounds = (edge.price, None) if side > 0 else (None, edge.price)
    mark = get_spot_price(POOL)
    assert distance_bps(mark, *bounds) == abs(mark - edge.price) * 10_000 // mark
    past = move_reserves(POOL, edge.liquidatable_reserve - side * 10**20)
    assert distance_bps(get_spot_price(past), *bounds) < 0
    assert not judge(past, position, CONFIG).is_liquidatable
    assert judge(held(past, past.quote_asset_reserve), position, CONFIG).is_liquidatable


def test_recorded_flips_of_the_reserves_lie_in_the_band():
    """Where neither oracle nor TWAP decides, the contract's own flip is where we say."""
    amms, positions, configs = _read(vectors())
    compared = 0
    for raw in vectors()["flips"]:
        if raw["kind"] != "reserve_now" or any(
            raw[side]["isOverSpreadLimit"] for side in ("at_before", "at_flip")
        ):
            continue
        block = int(raw["block"])
        amm, position = amms[block, raw["amm"]], positions[_subject(block, raw)]
        low, high = liquidation_price(amm, position, configs[block]).edge.band
        assert low <= int(raw["before"]) <= high
        assert low <= int(raw["flip"]) <= high
        assert (high - low) < low // 10**15
        compared += 1
    assert compared == 11
