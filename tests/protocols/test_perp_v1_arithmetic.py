"""The vAMM and the margin arithmetic at their edges."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analyzer.errors import Revert
from analyzer.protocols.perp_v1 import decimals
from analyzer.protocols.perp_v1.amm import (
    Amm,
    Dir,
    ReserveSnapshot,
    calc_twap,
    get_input_price_with_reserves,
    get_output_price,
    get_output_price_with_reserves,
    get_output_twap,
    is_over_spread_limit,
    spot_price,
)
from analyzer.protocols.perp_v1.clearing_house import (
    Config,
    PnlCalcOption,
    Position,
    get_margin_ratio,
    judge,
    settle_position,
)
from analyzer.protocols.perp_v1.liquidate import liquidate
from analyzer.reads import MissingError
from analyzer.units import INT256_MAX, UINT256_MAX

ONE = decimals.ONE
NOW = 1_700_000_000
CONFIG = Config(
    init_margin_ratio=ONE // 10,
    maintenance_margin_ratio=ONE // 16,
    liquidation_fee_ratio=ONE // 80,
    partial_liquidation_ratio=ONE // 4,
)
reserves = st.integers(10**18, 10**28)
amounts = st.integers(1, 10**26)


def amm_of(quote: int, base: int, **changes) -> Amm:
    snapshot = ReserveSnapshot(quote, base, NOW - 10_000, 1)
    price = quote * ONE // base
    fields = {
        "quote_asset_reserve": quote,
        "base_asset_reserve": base,
        "reserve_snapshots": (snapshot,),
        "first_snapshot": 0,
        "underlying_price": price,
        "latest_cumulative_premium_fraction": 0,
        "is_open": True,
        "settlement_price": 0,
        "block_timestamp": NOW,
        "block_number": 100,
    }
    return Amm(**{**fields, **changes})


def position_of(size: int, margin: int, open_notional: int) -> Position:
    return Position(
        size=size,
        margin=margin,
        open_notional=open_notional,
        last_updated_cumulative_premium_fraction=0,
    )


POOL = amm_of(10_000_000 * ONE, 10_000 * ONE)
LONG = position_of(10 * ONE, 1_000 * ONE, 10_000 * ONE)
SHORT = position_of(-10 * ONE, 1_000 * ONE, 10_000 * ONE)


@pytest.mark.parametrize(
    ("function", "arguments", "reason"),
    [
        (decimals.mul_d, (UINT256_MAX, 2), "SafeMath: multiplication overflow"),
        (decimals.div_d, (1, 0), "SafeMath: division by zero"),
        (decimals.signed_div_d, (1, 0), "SignedSafeMath: division by zero"),
        (decimals.signed_mul_d, (INT256_MAX, 2), "SignedSafeMath: multiplication overflow"),
        (decimals.signed_add, (INT256_MAX, 1), "SignedSafeMath: addition overflow"),
        (decimals.signed_sub, (-2, INT256_MAX), "SignedSafeMath: subtraction overflow"),
        (
            decimals.from_decimal,
            (INT256_MAX + 1,),
            "MixedDecimal: uint value is bigger than _INT256_MAX",
        ),
    ],
)
def test_checked_arithmetic_reverts_with_the_contracts_reason(function, arguments, reason):
    with pytest.raises(Revert) as reverted:
        function(*arguments)
    assert reverted.value.reason == reason


def test_signed_divisions_truncate_toward_zero():
    assert decimals.signed_mul_d(-1, ONE - 1) == 0
    assert decimals.signed_div_d(-1, 3 * ONE) == 0
    assert decimals.signed_mul_d(-3, ONE // 2) == -1


@settings(deadline=None)
@given(quote=reserves, base=reserves, amount=amounts)
def test_output_never_favours_the_trader(quote, base, amount):
    """Closing a long pays less than the curve, closing a short costs more, by less than a wei."""
    invariant = quote * base // ONE * ONE
    after = base + amount
    sold = get_output_price_with_reserves(Dir.ADD_TO_AMM, amount, quote, base)
    assert sold * after <= quote * after - invariant < (sold + 1) * after
    if amount < base:
        after = base - amount
        cost = get_output_price_with_reserves(Dir.REMOVE_FROM_AMM, amount, quote, base)
        owed = abs(invariant - quote * after)
        assert (cost - 1) * after < owed <= cost * after or quote * after > invariant


@settings(deadline=None)
@given(quote=reserves, base=reserves, amount=amounts)
def test_input_never_favours_the_trader(quote, base, amount):
    invariant = quote * base // ONE * ONE
    after = quote + amount
    bought = get_input_price_with_reserves(Dir.ADD_TO_AMM, amount, quote, base)
    assert bought * after <= base * after - invariant < (bought + 1) * after


def test_a_short_of_the_whole_base_reserve_cannot_be_closed():
    with pytest.raises(Revert, match="base asset after is 0"):
        get_output_price(POOL, Dir.REMOVE_FROM_AMM, POOL.base_asset_reserve)
    with pytest.raises(Revert, match="SafeMath: subtraction overflow"):
        get_output_price(POOL, Dir.REMOVE_FROM_AMM, POOL.base_asset_reserve + 1)


def test_a_position_that_rounds_to_nothing_reverts_the_margin_ratio():
    poor = amm_of(ONE, 10**6 * ONE)
    assert get_output_price(poor, Dir.ADD_TO_AMM, 1) == 0
    with pytest.raises(Revert, match="SignedSafeMath: division by zero"):
        get_margin_ratio(poor, position_of(1, ONE, 0))


def _snapshots(*times: int) -> tuple[ReserveSnapshot, ...]:
    return tuple(
        ReserveSnapshot((index + 1) * 100 * ONE, 100 * ONE, time, index)
        for index, time in enumerate(times)
    )


@pytest.mark.parametrize(
    ("times", "first", "expected"),
    [
        ((NOW - 50,), 0, 1 * ONE),
        ((NOW - 500, NOW - 100), 0, 2 * ONE),
        ((NOW - 500, NOW - 25), 0, (75 * 1 + 25 * 2) * ONE // 100),
        ((NOW - 50, NOW - 25), 0, (25 * 1 + 25 * 2) * ONE // 50),
        ((NOW - 500, NOW - 100, NOW - 40), 0, (60 * 2 + 40 * 3) * ONE // 100),
        ((NOW - 100, NOW - 40), 7, (60 * 1 + 40 * 2) * ONE // 100),
        ((NOW - 500, NOW), 0, 1 * ONE),
    ],
)
def test_twap_weighs_each_snapshot_by_its_time_in_the_window(times, first, expected):
    assert calc_twap(_snapshots(*times), first, NOW, spot_price, 100) == expected


def test_twap_without_the_snapshots_it_needs_is_missing_not_wrong():
    with pytest.raises(MissingError, match="do not reach back"):
        calc_twap(_snapshots(NOW - 50, NOW - 25), 3, NOW, spot_price, 100)


def test_the_trader_gets_the_better_of_spot_and_twap():
    moved = replace(
        POOL,
        quote_asset_reserve=9_700_000 * ONE,
        base_asset_reserve=POOL.base_asset_reserve * 100 // 97,
        reserve_snapshots=(
            *POOL.reserve_snapshots,
            ReserveSnapshot(9_700_000 * ONE, POOL.base_asset_reserve * 100 // 97, NOW - 1, 99),
        ),
    )
    assert get_output_twap(moved, Dir.ADD_TO_AMM, ONE) > get_output_price(
        moved, Dir.ADD_TO_AMM, ONE
    )
    assert get_margin_ratio(moved, LONG).option is PnlCalcOption.TWAP
    assert get_margin_ratio(moved, SHORT).option is PnlCalcOption.SPOT_PRICE


def test_equal_profits_count_as_twap():
    assert get_margin_ratio(POOL, LONG).option is PnlCalcOption.TWAP


@pytest.mark.parametrize(
    ("oracle", "is_over"),
    [(1000, False), (910, False), (909, True), (1111, False), (1112, True)],
)
def test_over_the_spread_limit_from_a_tenth_of_the_oracle_on(oracle, is_over):
    assert is_over_spread_limit(replace(POOL, underlying_price=oracle * ONE)) is is_over


def test_exactly_the_spread_limit_is_over_it():
    assert is_over_spread_limit(amm_of(1_100 * ONE, ONE, underlying_price=1_000 * ONE))
    assert not is_over_spread_limit(amm_of(1_100 * ONE - 1, ONE, underlying_price=1_000 * ONE))


def test_an_oracle_at_zero_or_reverting_stops_the_liquidation():
    with pytest.raises(Revert, match="underlying price is 0"):
        judge(replace(POOL, underlying_price=0), LONG, CONFIG)
    with pytest.raises(Revert, match="no price data"):
        judge(replace(POOL, underlying_price="no price data"), LONG, CONFIG)


def test_the_better_oracle_ratio_protects_only_over_the_spread_limit():
    under = position_of(10 * ONE, 100 * ONE, 10_000 * ONE)
    assert judge(POOL, under, CONFIG).is_liquidatable
    near = replace(POOL, underlying_price=1_110 * ONE)
    assert judge(near, under, CONFIG).is_liquidatable
    far = judge(replace(POOL, underlying_price=1_120 * ONE), under, CONFIG)
    assert not far.is_liquidatable
    assert far.valuation.option is PnlCalcOption.ORACLE


def test_a_ratio_of_exactly_the_requirement_is_safe():
    notional = get_output_price(POOL, Dir.ADD_TO_AMM, ONE)
    required = -(-notional * CONFIG.maintenance_margin_ratio // ONE)
    exact = position_of(ONE, required, notional)
    assert not judge(POOL, exact, CONFIG).is_liquidatable
    assert judge(POOL, replace(exact, margin=required - 1), CONFIG).is_liquidatable


@settings(deadline=None)
@given(
    size=st.integers(10**12, 10**21),
    margin=st.integers(0, 10**24),
    extra=st.integers(0, 10**24),
    side=st.sampled_from([1, -1]),
)
def test_more_margin_never_lowers_the_margin_ratio(size, margin, extra, side):
    poorer = position_of(side * size, margin, 1_000 * size)
    richer = replace(poorer, margin=margin + extra)
    assert get_margin_ratio(POOL, richer).margin_ratio >= (
        get_margin_ratio(POOL, poorer).margin_ratio
    )


@settings(deadline=None)
@given(fraction=st.integers(-(10**21), 10**21), size=st.integers(-(10**21), 10**21))
def test_what_a_long_pays_in_funding_a_short_of_its_size_receives(fraction, size):
    amm = replace(POOL, latest_cumulative_premium_fraction=fraction)
    if size == 0:
        return
    there, back = (
        get_margin_ratio(amm, position_of(s, 10**24, 10**24)).equity
        - get_margin_ratio(POOL, position_of(s, 10**24, 10**24)).equity
        for s in (size, -size)
    )
    assert there == -back


def test_a_healthy_enough_position_is_liquidated_in_part():
    position = position_of(10 * ONE, 250 * ONE, 10_000 * ONE)
    done = liquidate(POOL, position, CONFIG)
    assert done.is_partial
    assert abs(done.exchanged_position_size) == pytest.approx(2.5 * ONE, rel=1e-12)
    assert done.liquidation_penalty == done.exchanged_quote_asset_amount // 80
    assert done.fee_to_liquidator + done.fee_to_insurance_fund == done.liquidation_penalty


def test_a_worse_position_is_closed_and_leaves_bad_debt():
    position = position_of(10 * ONE, 0, 10_000 * ONE)
    done = liquidate(POOL, position, CONFIG)
    assert not done.is_partial
    assert done.exchanged_position_size == -10 * ONE
    assert done.bad_debt > 0
    assert done.fee_to_insurance_fund == 0


def test_only_backstop_providers_take_bad_debt_where_there_are_any():
    position = position_of(10 * ONE, 0, 10_000 * ONE)
    with pytest.raises(Revert, match="not backstop LP"):
        liquidate(POOL, position, replace(CONFIG, has_backstop=True))


@pytest.mark.parametrize(
    ("changes", "position", "reason"),
    [
        ({"is_open": False}, LONG, "amm was closed"),
        ({}, LONG, "Margin ratio not meet criteria"),
        ({}, position_of(0, ONE, 0), "positionSize is 0"),
        ({"trade_limit_ratio": 1}, position_of(-10 * ONE, 0, 10_000 * ONE), "over trading limit"),
    ],
)
def test_liquidate_reverts_with_the_contracts_reason(changes, position, reason):
    with pytest.raises(Revert) as reverted:
        liquidate(replace(POOL, **changes), position, CONFIG)
    assert reverted.value.reason == reason


def _after_a_trade_in_this_block(price_ratio: int) -> Amm:
    """The reserves after a trade in the same block moved the price to 1/100s of its ratio."""
    quote = POOL.quote_asset_reserve * price_ratio // 100
    base = POOL.base_asset_reserve * 100 // price_ratio
    snapshots = (*POOL.reserve_snapshots, ReserveSnapshot(quote, base, NOW, POOL.block_number))
    return replace(
        POOL,
        quote_asset_reserve=quote,
        base_asset_reserve=base,
        reserve_snapshots=snapshots,
        fluctuation_limit_ratio=ONE // 25,
        underlying_price=quote * ONE // base,
    )


def test_a_liquidation_cannot_add_to_a_price_that_this_block_moved_over_the_limit():
    moved = _after_a_trade_in_this_block(97)
    bankrupt = position_of(10 * ONE, 0, 20_000 * ONE)
    with pytest.raises(Revert, match=r"^price is over fluctuation limit$"):
        liquidate(moved, bankrupt, CONFIG)
    calm = replace(moved, block_number=POOL.block_number + 1)
    assert liquidate(calm, bankrupt, CONFIG).exchanged_position_size == -10 * ONE


def test_a_liquidation_that_alone_moves_the_price_over_the_limit_passes():
    limited = replace(POOL, fluctuation_limit_ratio=ONE // 1000)
    assert not liquidate(limited, position_of(100 * ONE, 0, 200_000 * ONE), CONFIG).is_partial


@pytest.mark.parametrize(
    ("settlement", "size", "expected"),
    [(0, 10, 1_000), (1_100, 10, 2_000), (900, -10, 2_000), (800, 10, 0), (950, 10, 500)],
)
def test_a_closed_amm_pays_the_margin_and_the_gain_to_the_settlement_price(
    settlement, size, expected
):
    closed = replace(POOL, is_open=False, settlement_price=settlement * ONE)
    position = position_of(size * ONE, 1_000 * ONE, 10_000 * ONE)
    assert settle_position(closed, position) == expected * ONE


def test_an_open_amm_settles_nothing():
    with pytest.raises(Revert, match="amm is open"):
        settle_position(POOL, LONG)
