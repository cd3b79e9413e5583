"""Tick arithmetic, rounding, and the liquidation price as properties of the predicate."""

from dataclasses import replace

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from analyzer.errors import Revert
from analyzer.protocols.perp_v2.account import (
    System,
    get_account_value,
    get_margin_requirement_for_liquidation,
    get_total_abs_position_value,
    is_margin_liquidatable,
    value_account,
)
from analyzer.protocols.perp_v2.collateral import (
    get_collateral_by_settlement,
    get_settlement_by_collateral,
)
from analyzer.protocols.perp_v2.funding_growth import get_funding_growth_global
from analyzer.protocols.perp_v2.liquidation import (
    Liquidator,
    get_liquidatable_position_size,
    get_pnl_to_be_realized,
    liquidate,
)
from analyzer.protocols.perp_v2.liquidation_price import (
    MarkSlice,
    get_liquidation_price,
    get_reachable_liquidation,
    last_liquidatable_of_long,
    mark_slice,
)
from analyzer.protocols.perp_v2.perp_math import format_settlement_token, mul_div, wrap_int256
from analyzer.protocols.perp_v2.prices import get_mark_price, get_reference_price, price_market
from analyzer.protocols.perp_v2.state import (
    Account,
    AccountMarket,
    Collateral,
    Config,
    Growth,
    Known,
    Market,
    attempt,
)
from analyzer.protocols.perp_v2.tick_math import get_sqrt_ratio_at_tick, get_sqrt_twap_x96
from analyzer.reads import Failed

Q96 = 2**96
WAD = 10**18
NOW = 1_700_000_000
CONFIG = Config(
    im_ratio=100_000,
    mm_ratio=62_500,
    liquidation_penalty_ratio=25_000,
    twap_interval=900,
    max_funding_rate=100_000,
    mark_price_market_twap_interval=1800,
    mark_price_premium_interval=900,
    mm_ratio_buffer=2_000,
    debt_non_settlement_token_value_ratio=750_000,
    liquidation_ratio=500_000,
    cl_insurance_fund_fee_ratio=30_000,
    collateral_value_dust=500_000_000,
    settlement_decimals=6,
)


def market(name: str = "0xa", index: int = 100 * WAD, tick: int = 46054) -> Market:
    """An open market at rest: the pool has stood at one tick for long."""
    return Market(
        base_token=name,
        status="open",
        paused_timestamp=0,
        paused_index_price=0,
        closed_price=Failed("not closed"),
        sqrt_price_x96=get_sqrt_ratio_at_tick(tick),
        tick=tick,
        tick_cumulatives=Known("cumulative", {ago: -ago * tick for ago in (1800, 900, 15, 0)}),
        index_prices=Known("index", {0: index, 900: index}),
        first_traded_timestamp=NOW - 10_000,
        last_settled_timestamp=NOW,
        growth=Growth(0, 0),
        fee_growth_global_x128=0,
    )


def system(*markets: Market, config: Config = CONFIG) -> System:
    priced = {m.base_token: price_market(config, m, NOW) for m in markets}
    return System(config=config, markets=priced, collaterals={})


def account(positions: dict[str, tuple[int, int]], balance: int = 0) -> Account:
    return Account(
        trader="0x1",
        settlement_balance=balance,
        owed_realized_pnl=0,
        positions={
            base: AccountMarket(
                taker_position_size=size,
                taker_open_notional=notional,
                last_tw_premium_growth_global_x96=0,
            )
            for base, (size, notional) in positions.items()
        },
        collaterals={},
        debt_threshold=0,
    )


RICH = Liquidator(insurance_fund=account({}, 10**15), insurance_fund_wallet=0)


@pytest.mark.parametrize(
    ("tick", "sqrt_ratio"),
    [
        (-887272, 4295128739),
        (887272, 1461446703485210103287273052203988822378723970342),
        (0, Q96),
        (1, 79232123823359799118286999568),
        (-1, 79224201403219477170569942574),
    ],
)
def test_sqrt_ratio_at_tick_is_uniswaps(tick: int, sqrt_ratio: int) -> None:
    assert get_sqrt_ratio_at_tick(tick) == sqrt_ratio


def test_a_tick_outside_the_range_reverts() -> None:
    with pytest.raises(Revert, match="T"):
        get_sqrt_ratio_at_tick(887273)


@settings(deadline=None)
@given(st.integers(-887272, 887271))
def test_sqrt_ratio_rises_with_the_tick(tick: int) -> None:
    assert get_sqrt_ratio_at_tick(tick) < get_sqrt_ratio_at_tick(tick + 1)


@settings(deadline=None)
@given(st.integers(-887271, 887271))
def test_a_mean_tick_truncates_toward_zero(tick: int) -> None:
    toward_zero = tick if tick >= 0 else tick + 1
    assert get_sqrt_twap_x96(0, tick * 900 + 1, 900) == get_sqrt_ratio_at_tick(toward_zero)


def test_settlement_amounts_round_down_below_zero_too() -> None:
    assert format_settlement_token(-1, 6) == -1
    assert format_settlement_token(10**12 - 1, 6) == 0
    assert format_settlement_token(-(10**12), 6) == -1


@settings(deadline=None)
@given(st.integers(-(2**127), 2**127), st.integers(-(2**127), 2**127), st.integers(1, 2**96))
def test_mul_div_truncates_toward_zero(a: int, b: int, denominator: int) -> None:
    result = mul_div(a, b, denominator)
    assert abs(result) == abs(a * b) // denominator
    assert result == 0 or (result < 0) == (a * b < 0)


def test_mul_div_reverts_where_int256_ends() -> None:
    with pytest.raises(Revert, match="int256"):
        mul_div(2**199, 2**56, 1)
    with pytest.raises(Revert):
        mul_div(1, 1, 0)


@settings(deadline=None)
@given(st.integers(-(2**255), 2**255 - 1), st.integers(-(2**255), 2**255 - 1))
def test_growth_differences_survive_wrapping(before: int, grown: int) -> None:
    assert wrap_int256(wrap_int256(before + grown) - before) == grown


slices = st.builds(
    MarkSlice,
    size=st.integers(-(10**24), 10**24).filter(lambda size: abs(size) >= 10**10),
    rest_value=st.integers(-(10**24), 10**24),
    rest_abs=st.integers(0, 10**24),
    mm_ratio=st.sampled_from([1, 31_250, 62_500, 200_000, 500_000]),
    quantum=st.sampled_from([1, 10**6, 10**12]),
)


@settings(deadline=None)
@given(slices)
def test_the_verdict_flips_at_the_liquidation_price(cut: MarkSlice) -> None:
    found = get_liquidation_price(cut)
    if found.below is not None:
        assert cut.is_liquidatable(found.below)
        assert not cut.is_liquidatable(found.below + 1)
    if found.above is not None:
        assert cut.is_liquidatable(found.above)
        assert not cut.is_liquidatable(found.above - 1)
    if found.first_safe is not None:
        assert not cut.is_liquidatable(found.first_safe)
        assert found.first_safe == 0 or cut.is_liquidatable(found.first_safe - 1)
    assert (found.kind == "flip") == (found.below is not None or found.above is not None)


@settings(deadline=None)
@given(slices, st.integers(0, 10**22))
def test_beyond_the_liquidation_price_nothing_is_liquidatable(cut: MarkSlice, more: int) -> None:
    found = get_liquidation_price(cut)
    if cut.size > 0:
        safe = 0 if found.below is None else found.below + 1
        assert not cut.is_liquidatable(safe + more)
        if found.first_safe:
            assert cut.is_liquidatable(max(0, found.first_safe - 1 - more))
    elif found.kind == "always":
        assert cut.is_liquidatable(more)
    else:
        assert cut.is_liquidatable(found.above + more)
        assert not cut.is_liquidatable(max(0, found.above - 1 - more))


@settings(deadline=None, max_examples=40)
@given(
    st.integers(20, 400),
    st.integers(-3000, 3000),
    st.integers(0, 3000),
    st.sampled_from([62_500, 500_000, 900_000]),
    st.sampled_from([7, 50]),
)
def test_the_edges_are_those_of_trying_every_mark(
    size: int, rest_value: int, rest_abs: int, mm_ratio: int, quantum: int
) -> None:
    cut = MarkSlice(
        size=size * WAD,
        rest_value=rest_value,
        rest_abs=rest_abs,
        mm_ratio=mm_ratio,
        quantum=quantum,
    )
    liquidatable = [mark for mark in range(60_000 // size) if cut.is_liquidatable(mark)]
    assume(not liquidatable or liquidatable[-1] < 60_000 // size - 100)
    found = get_liquidation_price(cut)
    assert found.below == (liquidatable[-1] if liquidatable else None)
    if liquidatable:
        first_safe = next(m for m in range(60_000 // size) if not cut.is_liquidatable(m))
        assert found.first_safe == first_safe
        for limit in range(0, liquidatable[-1] + 2, 7):
            tried = [mark for mark in liquidatable if mark <= limit]
            assert last_liquidatable_of_long(cut, limit) == (tried[-1] if tried else None)


def test_a_longs_verdict_can_turn_three_times_as_the_mark_rises() -> None:
    """Value is rounded down, the requirement is not: within one unit of value it catches up."""
    unit = 10**12
    cut = MarkSlice(
        size=25 * WAD,
        rest_value=0,
        rest_abs=16 * (1_000 * unit - 3 * unit // 100) - 1_000 * unit,
        mm_ratio=62_500,
        quantum=unit,
    )
    found = get_liquidation_price(cut)
    assert found.first_safe < found.below
    verdicts = [
        cut.is_liquidatable(mark)
        for mark in (found.first_safe - 1, found.first_safe, found.below, found.below + 1)
    ]
    assert verdicts == [True, False, True, False]


def test_the_oracle_alone_reaches_only_marks_between_the_market_twaps() -> None:
    cut = MarkSlice(size=WAD, rest_value=-90 * WAD, rest_abs=0, mm_ratio=62_500, quantum=10**12)
    found = get_liquidation_price(cut)
    assert found.below == 96 * WAD - 1 or found.below // WAD in (95, 96)
    assert get_reachable_liquidation(cut, found, 97 * WAD, 100 * WAD) is None
    assert get_reachable_liquidation(cut, found, 90 * WAD, 100 * WAD) == found.below
    assert get_reachable_liquidation(cut, found, 80 * WAD, 90 * WAD) == 90 * WAD


positions = st.tuples(st.integers(-(10**21), 10**21), st.integers(-(10**23), 10**23))


@settings(deadline=None)
@given(positions, st.integers(-(10**12), 10**12), st.integers(0, 10**12))
def test_more_collateral_never_hurts(held: tuple[int, int], balance: int, more: int) -> None:
    margin = value_account(system(market()), account({"0xa": held}, balance))
    richer = value_account(
        margin.system, replace(margin.account, settlement_balance=balance + more)
    )
    assert get_account_value(richer) - get_account_value(margin) == more * 10**12
    assert not is_margin_liquidatable(richer) or is_margin_liquidatable(margin)


@settings(deadline=None)
@given(positions, st.integers(-(10**12), 10**12))
def test_the_slice_agrees_with_the_account_at_its_own_mark(
    held: tuple[int, int], balance: int
) -> None:
    margin = value_account(system(market()), account({"0xa": held}, balance))
    mark = margin.positions["0xa"].priced.mark_price
    assert mark_slice(margin, "0xa").is_liquidatable(mark) == is_margin_liquidatable(margin)


@settings(deadline=None)
@given(positions, st.integers(-(10**12), 10**12))
def test_a_liquidation_leaves_a_smaller_position_or_a_reason(
    held: tuple[int, int], balance: int
) -> None:
    margin = value_account(system(market()), account({"0xa": held}, balance))
    outcome = attempt(liquidate, margin, "0xa", RICH)
    if isinstance(outcome, Failed):
        assert outcome.reason in {"CH_EAV", "CH_PSZ", "CH_IIC"}
        assert (outcome.reason == "CH_EAV") == (not is_margin_liquidatable(margin))
    else:
        assert is_margin_liquidatable(margin)
        assert 0 < abs(outcome.size) <= abs(margin.positions["0xa"].total_position_size)


def test_a_small_leg_of_a_large_account_cannot_be_liquidated() -> None:
    """Its share does not fit into 24 bits; through its large leg the account still can be."""
    large, small = market("0xa"), market("0xb")
    system_ = system(large, small)
    price = system_.market("0xa").mark_price
    held = {"0xa": (1_000 * WAD, -1_000 * price), "0xb": (2 * WAD, -2 * price)}
    margin = value_account(system_, account(held, 5_000 * 10**6))
    assert is_margin_liquidatable(margin)
    with pytest.raises(Revert, match="24 bits"):
        get_liquidatable_position_size(margin, "0xb")
    assert liquidate(margin, "0xa", RICH).size == 501 * WAD


def test_the_insurance_fund_must_cover_what_a_liquidation_leaves_behind() -> None:
    system_ = system(market())
    price = system_.market("0xa").mark_price
    margin = value_account(system_, account({"0xa": (10 * WAD, -20 * price)}))
    poor = Liquidator(insurance_fund=account({}, 0), insurance_fund_wallet=0)
    with pytest.raises(Revert, match="CH_IIC"):
        liquidate(margin, "0xa", poor)
    assert liquidate(margin, "0xa", RICH).value_after < 0


def test_a_liquidator_needs_initial_margin_for_what_it_takes_over() -> None:
    system_ = system(market())
    price = system_.market("0xa").mark_price
    margin = value_account(system_, account({"0xa": (10 * WAD, -10 * price)}, 10 * 10**6))
    broke = replace(RICH, account=replace(account({}, 0), trader="0x2"))
    with pytest.raises(Revert, match="CH_NEFCI"):
        liquidate(margin, "0xa", broke)
    able = replace(RICH, account=replace(account({}, 10**9), trader="0x2"))
    assert liquidate(margin, "0xa", able).size > 0


def test_a_paused_clearing_house_liquidates_nobody() -> None:
    margin = value_account(
        system(market(), config=replace(CONFIG, is_paused=True)), account({"0xa": (WAD, 0)})
    )
    with pytest.raises(Revert, match="Pausable: paused"):
        liquidate(margin, "0xa", RICH)


def test_profit_is_realised_only_where_a_position_shrinks() -> None:
    long = AccountMarket(
        taker_position_size=20 * WAD,
        taker_open_notional=-253 * WAD,
        last_tw_premium_growth_global_x96=0,
    )
    assert get_pnl_to_be_realized(long, WAD, -13 * WAD) == 0
    assert get_pnl_to_be_realized(long, -10 * WAD, 137 * WAD) == 137 * WAD - 253 * WAD // 2
    assert get_pnl_to_be_realized(long, -40 * WAD, 600 * WAD) == -253 * WAD + 300 * WAD


@pytest.mark.parametrize(
    ("release", "expected"),
    [("2.8.1", "15 s"), ("2.8.0", "spot"), ("2.5", "spot"), ("2.4", "index TWAP")],
)
def test_the_reference_price_follows_the_release(release: str, expected: str) -> None:
    moved = replace(market(), sqrt_price_x96=get_sqrt_ratio_at_tick(46_100))
    config = replace(CONFIG, release=release)
    prices = {
        "15 s": get_reference_price(CONFIG, market()),
        "spot": get_mark_price(replace(CONFIG, release="2.8.0"), moved),
        "index TWAP": 100 * WAD,
    }
    assert len(set(prices.values())) >= 2
    assert get_reference_price(config, moved) == prices[expected]


def test_a_negative_index_with_premium_reverts() -> None:
    crashed = replace(market(), index_prices=Known("index", {0: 1, 900: 500 * WAD}))
    with pytest.raises(Revert, match="must be positive"):
        get_mark_price(CONFIG, crashed)


def test_funding_stops_when_the_market_is_paused_and_is_capped() -> None:
    premium = replace(
        market(),
        last_settled_timestamp=NOW - 100,
        index_prices=Known(
            "i",
            {
                0: 50 * WAD,
                900: 50 * WAD,
            },
        ),
    )
    grown = get_funding_growth_global(CONFIG, premium, NOW)
    cap = 50 * Q96 // 10
    assert grown.growth.tw_premium_x96 == cap * 100
    paused = replace(
        premium,
        status="paused",
        paused_timestamp=NOW - 100,
        paused_index_price=50 * WAD,
        tick_cumulatives=Known("c", {1000: 0, 100: 46054 * 900}),
    )
    assert get_funding_growth_global(CONFIG, paused, NOW).growth == Growth(0, 0)


def test_requirement_and_value_are_the_sums_over_markets() -> None:
    system_ = system(market("0xa"), market("0xb"))
    price = system_.market("0xa").mark_price
    margin = value_account(system_, account({"0xa": (WAD, 0), "0xb": (-WAD, 0)}, 7))
    assert get_total_abs_position_value(margin) == 2 * price
    assert get_margin_requirement_for_liquidation(margin) == 2 * price * 62_500 // 10**6
    assert get_account_value(margin) == 7 * 10**12


@pytest.mark.parametrize("decimals", [6, 8, 18, 24])
def test_collateral_is_worth_its_price_whatever_its_decimals(decimals: int) -> None:
    token = Collateral(
        token="0xc",
        decimals=decimals,
        price=24_170 * 10**8,
        price_feed_decimals=8,
        collateral_ratio=700_000,
        discount_ratio=100_000,
    )
    one = 10**decimals
    assert get_settlement_by_collateral(token, one, token.price) == 24_170 * WAD
    assert get_collateral_by_settlement(token, 24_170 * WAD, token.price) == one
    with pytest.raises(Revert):
        get_collateral_by_settlement(token, WAD, 0)
