"""What must hold of every position, over positions near the recorded ones."""

from dataclasses import replace

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from analyzer.errors import Revert
from analyzer.protocols.gmx_v2.assess import Basis
from analyzer.protocols.gmx_v2.forms import margin_legs
from analyzer.protocols.gmx_v2.funding import get_next_funding_amount_per_size
from analyzer.protocols.gmx_v2.impact import get_price_impact_usd
from analyzer.protocols.gmx_v2.liquidation import liquidation_prices
from analyzer.protocols.gmx_v2.releases import V2_1
from analyzer.protocols.gmx_v2.risk import (
    closing_of,
    is_position_liquidatable,
    next_accruals,
)
from analyzer.protocols.gmx_v2.state import MarketState, Price, Prices, Words
from analyzer.rows import At
from tests.protocols.gmx_v2_run import VECTORS, cases

AT = At(31337, "gmx_v2", "local", 1)
ALL = [case for name in VECTORS for case in cases(name)]
any_case = st.sampled_from(ALL)
factor = st.integers(1, 4_000_000).map(lambda millionths: millionths)


def resized(case, collateral_millionths, size_millionths):
    """The case's position with another collateral and another size (and entry price kept)."""
    p = case.position
    return replace(
        p,
        collateral_amount=p.collateral_amount * collateral_millionths // 10**6,
        size_in_usd=max(1, p.size_in_usd * size_millionths // 10**6),
        size_in_tokens=max(1, p.size_in_tokens * size_millionths // 10**6),
    )


def closing(case, position, state=None):
    state = state or case.state
    return closing_of(state, position, case.closing.discounts, state.stored(position))


def margin(closing, prices):
    verdict = is_position_liquidatable(closing, prices)
    required = max(verdict.min_collateral_usd, verdict.min_collateral_usd_for_leverage, 1)
    return verdict.remaining_collateral_usd - required


@given(any_case, factor, factor, st.integers(1, 10**24))
@settings(deadline=None, max_examples=300)
def test_more_collateral_never_harms(case, collateral, size, more):
    position = resized(case, collateral, size)
    richer = replace(position, collateral_amount=position.collateral_amount + more)
    assert margin(closing(case, richer), case.prices) > margin(closing(case, position), case.prices)


@given(any_case, factor, factor)
@settings(deadline=None, max_examples=400)
def test_flips_are_neighbours_with_different_verdicts_and_bound_a_safe_region(
    case, collateral, size
):
    made = closing(case, resized(case, collateral, size))
    found = liquidation_prices(made, case.prices)
    market = case.state.market

    def is_safe(price):
        at_price = market.at_index_price(case.prices, price)
        return not is_position_liquidatable(made, at_price).is_liquidatable

    for flip in found.flips:
        assert abs(flip.safe_price - flip.liquidatable_price) == 1
        assert is_safe(flip.safe_price)
        assert not is_safe(flip.liquidatable_price)
    price = case.prices.index.mid
    assert (found.kind == "flip") == bool(found.flips)
    if found.kind != "flip":
        assert is_safe(price) == (found.kind == "never")
    if found.below is not None:
        assert is_safe(found.below + 1)
    if found.above is not None:
        assert is_safe(found.above - 1)
    assert found.kind != "flip" or (found.below, found.above) != (None, None)
    inside = (found.below is None or found.below < price) and (
        found.above is None or price < found.above
    )
    if found.flips:
        assert is_safe(price) == inside


@given(any_case, factor, factor)
@settings(deadline=None, max_examples=200)
def test_the_search_agrees_with_plain_bisection_where_there_is_one_flip(case, collateral, size):
    made = closing(case, resized(case, collateral, size))
    found = liquidation_prices(made, case.prices)
    assume(len(found.flips) == 1)
    (flip,) = found.flips
    market = case.state.market
    safe, liquidatable = flip.safe_price, flip.liquidatable_price
    outward = 1 if liquidatable > safe else -1
    for reach in (10, 10**6, 10**9):
        for price, expected in (
            (liquidatable + outward * (safe // 10**3 + reach), False),
            (safe - outward * (safe // 10**3 + reach), True),
        ):
            if price > 0:
                at_price = market.at_index_price(case.prices, price)
                assert (margin(made, at_price) >= 0) == expected


@given(any_case, factor, factor, st.floats(0, 1))
@settings(deadline=None, max_examples=500)
def test_the_linear_form_is_within_its_bound_of_the_exact_margin(case, collateral, size, where):
    made = closing(case, resized(case, collateral, size))
    market, prices = case.state.market, case.prices
    flat = market.at_index_price(prices, prices.index.mid)
    verdict = is_position_liquidatable(made, flat)
    basis = Basis(made, case.state.stored(made.position), verdict, liquidation_prices(made, flat))
    decimals = {
        market.index_token: case.vector["decimals"]["index"],
        market.long_token: case.vector["decimals"]["long"],
        market.short_token: case.vector["decimals"]["short"],
    }
    decimals[market.index_token] = case.vector["decimals"]["index"]
    legs = margin_legs(AT, basis, flat, decimals, {token: token for token in decimals})
    (index,) = (leg for leg in legs if leg.price_id == market.index_token)
    whole = index.valid_from + (index.valid_to - index.valid_from) * where
    price = max(1, round(whole * 1e30) // 10 ** decimals[market.index_token])
    at_price = market.at_index_price(flat, price)
    linear = sum(
        leg.intercept
        + leg.slope
        * (
            at_price.index.min
            if leg.price_id == market.index_token
            else market.collateral_price(made.position.collateral_token, at_price).min
        )
        * 10 ** decimals[leg.price_id]
        / 1e30
        for leg in legs
    )
    required = max(verdict.min_collateral_usd, verdict.min_collateral_usd_for_leverage)
    remaining = is_position_liquidatable(made, at_price).remaining_collateral_usd
    exact = (remaining - required) / 1e30
    assert abs(linear - exact) <= index.error_bound


def test_the_recorded_kinds_of_positions_are_all_there():
    kinds = {
        (case.position.is_long,
         case.position.collateral_token == case.state.market.index_token,
         case.state.market.divisor)
        for case in ALL
    }  # fmt: skip
    assert {(is_long, False, divisor) for is_long in (True, False) for divisor in (1, 2)} <= kinds
    assert {(is_long, True, divisor) for is_long in (True, False) for divisor in (1, 2)} <= kinds


def short_with_index_collateral():
    return next(
        case
        for case in ALL
        if not case.position.is_long
        and case.position.collateral_token == case.state.market.index_token
        and case.closing.impact is not None
        and case.state.market.divisor == 1
    )


def test_a_short_whose_collateral_outgrows_its_size_is_liquidated_when_the_price_falls():
    case = short_with_index_collateral()
    tokens = case.position.size_in_tokens
    position = replace(case.position, collateral_amount=2 * tokens, pending_impact_amount=0)
    # profit counts only as far as the pool pays, so that falling prices eat the collateral
    words = Words(case.state.words | {"MAX_PNL_FACTOR_FOR_TRADERS:short": 1})
    state = MarketState(case.state.market, words, case.state.release)
    found = liquidation_prices(closing(case, position, state), case.prices)
    assert [flip.liquidatable_side for flip in found.flips] == ["below"]
    assert found.above is None


def test_a_short_in_index_collateral_can_have_two_prices():
    case = short_with_index_collateral()
    position = replace(
        case.position,
        collateral_amount=case.position.size_in_tokens // 2,
        pending_impact_amount=0,
    )
    words = Words(case.state.words | {"MAX_PNL_FACTOR_FOR_TRADERS:short": 1})
    state = MarketState(case.state.market, words, case.state.release)
    found = liquidation_prices(closing(case, position, state), case.prices)
    assert [flip.liquidatable_side for flip in found.flips] == ["below", "above"]
    assert found.below < found.above


@given(any_case)
@settings(deadline=None)
def test_a_long_and_a_short_of_the_same_size_have_opposite_pnl_where_nothing_is_capped(case):
    price = Price(case.prices.index.mid, case.prices.index.mid)
    prices = Prices(price, case.prices.long, case.prices.short)
    long = replace(case.position, is_long=True, borrowing_factor=0, funding_fee_amount_per_size=0)
    short = replace(long, is_long=False)
    pnl = [
        is_position_liquidatable(closing(case, one), prices).position_pnl_usd
        for one in (long, short)
    ]
    loss = min(pnl)
    assert loss <= 0
    assert max(pnl) <= -loss


@given(any_case, st.integers(0, 10**7))
@settings(deadline=None)
def test_accumulators_never_fall(case, seconds):
    try:
        now = next_accruals(case.state, case.position, case.prices, case.time + seconds)
    except Revert:
        assume(False)
    stored = case.state.stored(case.position)
    assert now.cumulative_borrowing_factor >= stored.cumulative_borrowing_factor
    assert now.funding_fee_amount_per_size >= stored.funding_fee_amount_per_size


@given(any_case)
@settings(deadline=None)
def test_only_one_side_pays_funding(case):
    found = get_next_funding_amount_per_size(case.state, case.prices, case.time)
    payer = "long" if found.longs_pay_shorts else "short"
    receiver = "short" if found.longs_pay_shorts else "long"
    assert set(found.fee_deltas[receiver].values()) == {0}
    assert set(found.claimable_deltas[payer].values()) == {0}


@given(any_case, factor)
@settings(deadline=None)
def test_the_flag_that_needs_no_curve_is_the_curves(case, size):
    """Where liquidations ignore impact, the fee tier is told from the balances alone."""
    position = resized(case, 10**6, size)
    words = Words(case.state.words | {"MAX_POSITION_IMPACT_FACTOR_FOR_LIQUIDATIONS": 0})
    state = MarketState(case.state.market, words, case.state.release)
    made = closing(case, position, state)
    assume(made.impact is not None)
    _, improved = get_price_impact_usd(
        state, position.size_in_usd, position.size_in_tokens, position.is_long,
        case.prices.index.mid,
    )  # fmt: skip
    assert made.impact[1] == improved


@pytest.mark.parametrize("index", range(0, 900, 90))
def test_release_2_1_knows_no_pending_impact_and_no_tokens(index):
    case = cases("2b")[index]
    words = Words(
        case.state.words
        | {"POSITION_IMPACT_EXPONENT_FACTOR": 2 * 10**30,
           "USE_OPEN_INTEREST_IN_TOKENS_FOR_BALANCE": 1}
    )  # fmt: skip
    state = MarketState(case.state.market, words, V2_1)
    with_pending = replace(case.position, pending_impact_amount=-(10**30))
    without = replace(case.position, pending_impact_amount=0)
    verdicts = [
        is_position_liquidatable(closing(case, one, state), case.prices)
        for one in (with_pending, without)
    ]
    assert verdicts[0] == verdicts[1]
    made = closing(case, without, state)
    assert made.impact is not None
    assert made.min_collateral_usd_for_leverage_for_liquidation == (
        made.min_collateral_usd_for_leverage
    )
