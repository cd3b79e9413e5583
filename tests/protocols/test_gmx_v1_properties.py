"""Properties of the arithmetic: the flip is where the predicate flips, more collateral helps."""

from dataclasses import replace

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from analyzer.errors import Revert
from analyzer.protocols.gmx_v1.assess import Assessed, assess
from analyzer.protocols.gmx_v1.blocked import Liquidation, Pool, blocked_by
from analyzer.protocols.gmx_v1.forms import margin_legs
from analyzer.protocols.gmx_v1.liquidation import liquidation_price
from analyzer.protocols.gmx_v1.prices import (
    Amm,
    FastFeed,
    TokenFeed,
    get_price,
    get_primary_price,
    native_flip,
)
from analyzer.protocols.gmx_v1.risk import (
    LIQUIDATABLE,
    OVER_LEVERAGED,
    Position,
    Terms,
    TokenFunding,
    Verdict,
    get_next_funding_rate,
    get_position_fee,
    update_cumulative_funding_rate,
    validate_liquidation,
)
from analyzer.rows import At

NOW = 1_700_000_000
AT = At(1, "gmx_v1", "here", 1)
LARGE = 10**38


def magnitudes(least: int, most: int) -> st.SearchStrategy[int]:
    """Integers of every order of magnitude, not only of the largest."""
    return st.integers(0, len(str(most))).flatmap(
        lambda digits: st.integers(least, max(least, min(most, 10**digits)))
    )


positions = st.builds(
    Position,
    size=magnitudes(1, LARGE),
    collateral=magnitudes(0, LARGE),
    average_price=magnitudes(1, 10**36),
    entry_funding_rate=st.integers(0, 10**6),
    reserve_amount=st.just(0),
    realised_pnl=st.just(0),
    last_increased_time=st.integers(NOW - 20_000, NOW),
)
all_terms = st.builds(
    Terms,
    max_leverage=magnitudes(1, 2_000_000),
    liquidation_fee_usd=magnitudes(0, 10**32),
    margin_fee_basis_points=st.integers(0, 500),
    min_profit_time=st.integers(0, 20_000),
    min_profit_basis_points=st.integers(0, 500),
    cumulative_funding_rate=st.integers(10**6, 2 * 10**6),
    now=st.just(NOW),
    profit_counts=st.booleans(),
)
sides = st.booleans()


def is_liquidatable(position: Position, is_long: bool, price: int, terms: Terms) -> bool:
    return validate_liquidation(position, is_long, price, terms).state != 0


@given(position=positions, terms=all_terms, is_long=sides, elsewhere=magnitudes(1, 10**37))
@settings(max_examples=200, deadline=None)
def test_at_the_liquidation_price_and_one_unit_beside_it_the_verdict_flips(
    position, terms, is_long, elsewhere
):
    flip = liquidation_price(position, is_long, terms)
    assume(flip.kind != "unknown")
    if flip.kind == "flip":
        assert abs(flip.last_liquidatable - flip.first_safe) == 1
        assert is_liquidatable(position, is_long, flip.last_liquidatable, terms)
        assert not is_liquidatable(position, is_long, flip.first_safe, terms)
        beyond = elsewhere <= flip.last_liquidatable
        beyond = beyond if is_long else elsewhere >= flip.last_liquidatable
        assert is_liquidatable(position, is_long, elsewhere, terms) == beyond
    else:
        assert is_liquidatable(position, is_long, elsewhere, terms) == (flip.kind == "always")
        assert is_liquidatable(position, is_long, 1, terms) == (flip.kind == "always")


@given(position=positions, terms=all_terms, is_long=sides, more=magnitudes(1, LARGE))
@settings(max_examples=200, deadline=None)
def test_more_collateral_never_liquidates_earlier(position, terms, is_long, more):
    richer = replace(position, collateral=position.collateral + more)
    before = reach(liquidation_price(position, is_long, terms), is_long)
    after = reach(liquidation_price(richer, is_long, terms), is_long)
    assert after <= before


@given(position=positions, terms=all_terms, is_long=sides, more=st.integers(1, 10**6))
@settings(max_examples=200, deadline=None)
def test_more_funding_owed_never_liquidates_later(position, terms, is_long, more):
    later = replace(terms, cumulative_funding_rate=terms.cumulative_funding_rate + more)
    before = reach(liquidation_price(position, is_long, terms), is_long)
    assert reach(liquidation_price(position, is_long, later), is_long) >= before


@given(position=positions, terms=all_terms, is_long=sides, price=magnitudes(1, 10**37))
@settings(max_examples=200, deadline=None)
def test_counting_profit_only_ever_helps(position, terms, is_long, price):
    counted = replace(terms, profit_counts=True)
    plain = replace(terms, profit_counts=False)
    if not is_liquidatable(position, is_long, price, plain):
        assert not is_liquidatable(position, is_long, price, counted)


def reach(flip, is_long) -> float:
    """How far the liquidatable prices reach: the more, the earlier it is liquidated."""
    assume(flip.kind != "unknown")
    if flip.kind != "flip":
        return float("inf") if flip.kind == "always" else float("-inf")
    return flip.last_liquidatable if is_long else -flip.last_liquidatable


@given(position=positions, terms=all_terms, is_long=sides, share=st.integers(1, 6_000))
@settings(max_examples=200, deadline=None)
def test_the_linear_form_is_the_exact_buffer_within_its_bound(position, terms, is_long, share):
    price = position.average_price * share // 100
    assume(price > 0)
    variant = "C" if terms.profit_counts else "B"
    found = assess(position, is_long, price, replace(terms, profit_counts=False), (variant,))
    legs = margin_legs(AT, "m", "p", position, is_long, found)
    assert len(legs) == (1 if variant == "C" else 2)
    exact = found.verdicts[variant].remaining_collateral - found.required
    if found.verdicts[variant].reason == "losses exceed collateral":
        exact = position.collateral - found.delta - found.required
    value = min(leg.intercept + leg.slope * (price / 10**30) for leg in legs)
    assert abs(value - exact / 10**30) <= legs[0].error_bound


feeds = st.builds(
    TokenFeed,
    answers=st.lists(magnitudes(1, 10**20), min_size=1, max_size=3).map(tuple),
    price_decimals=st.integers(0, 30),
    max_strict_price_deviation=magnitudes(0, 10**29),
    strict_stable=st.booleans(),
    spread_basis_points=st.integers(0, 50),
    adjustment_basis_points=st.integers(0, 20),
    is_adjustment_additive=st.booleans(),
    secondary=st.none()
    | st.builds(
        FastFeed,
        is_spread_enabled=st.booleans(),
        last_updated_at=st.integers(NOW - 5_000, NOW),
        price_duration=st.just(300),
        max_price_update_delay=st.just(3_600),
        spread_basis_points_if_inactive=st.integers(0, 100),
        spread_basis_points_if_chain_error=st.integers(0, 1_000),
        max_deviation_basis_points=st.integers(0, 1_000),
        min_authorizations=st.just(1),
        disable_fast_price_vote_count=st.integers(0, 1),
        price=magnitudes(0, 10**36),
        max_cumulative_delta_diff=st.integers(0, 10),
        cumulative_ref_delta=st.integers(0, 10),
        cumulative_fast_delta=st.integers(0, 30),
    ),
)


@given(feed=feeds, position=positions, terms=all_terms, is_long=sides)
@settings(max_examples=200, deadline=None)
def test_the_native_flip_lies_between_two_neighbouring_answers(feed, position, terms, is_long):
    exact = liquidation_price(position, is_long, terms)
    assume(exact.kind != "unknown")
    native = native_flip(feed, exact, is_long, NOW)

    def liquidates(answer: int) -> bool:
        answers = (answer, *feed.answers[1:])
        price = get_price(replace(feed, answers=answers), not is_long, False, NOW)
        if exact.kind != "flip":
            return exact.kind == "always"
        last = exact.last_liquidatable
        return price <= last if is_long else price >= last

    if native.kind == "flip":
        assert abs(native.last_liquidatable - native.first_safe) == 1
        assert native.first_safe >= 1
        assert liquidates(native.last_liquidatable)
        assert not liquidates(native.first_safe)
    else:
        for answer in (1, 10**6, feed.answers[0]):
            assert liquidates(answer) == (native.kind == "always")


@given(feed=feeds, lower=magnitudes(1, 10**20), more=magnitudes(0, 10**20), maximise=sides)
@settings(max_examples=200, deadline=None)
def test_a_price_never_falls_where_the_answer_rises(feed, lower, more, maximise):
    def price(answer: int) -> int:
        answers = (answer, *feed.answers[1:])
        return get_price(replace(feed, answers=answers), maximise, False, NOW)

    assert price(lower) <= price(lower + more)


@given(feed=feeds)
@settings(max_examples=200, deadline=None)
def test_the_minimum_never_exceeds_the_maximum(feed):
    assert get_price(feed, False, False, NOW) <= get_price(feed, True, False, NOW)
    assert get_primary_price(feed, False) <= get_primary_price(feed, True)


@given(size=magnitudes(0, LARGE), fee=st.integers(0, 10_000))
@settings(max_examples=200, deadline=None)
def test_the_position_fee_rounds_up(size, fee):
    assert get_position_fee(size, fee) == -(-size * fee // 10_000)


PLAIN = TokenFeed((100,), 0, 0, False, 0, 0, False)


@pytest.mark.parametrize(
    ("amm", "maximise", "price"),
    [
        (Amm(0, False, False, 30), True, 100),
        (Amm(120, False, False, 30), True, 120),
        (Amm(120, False, False, 30), False, 100),
        (Amm(80, False, False, 30), False, 80),
        (Amm(120, True, True, 30), True, 120),
        (Amm(120, True, True, 2_001), True, 100),
        (Amm(120, True, False, 2_001), False, 120),
        (Amm(120, True, False, 2_000), False, 100),
    ],
)
def test_an_amm_price_widens_or_stands_in_as_the_settings_say(amm, maximise, price):
    feed = replace(PLAIN, amm=replace(amm, price=amm.price * 10**30))
    assert get_price(feed, maximise, True, NOW) == price * 10**30
    assert get_price(feed, maximise, False, NOW) == 100 * 10**30


def test_answers_that_are_not_positive_or_not_there_revert():
    for answers, reason in (
        ((0,), "VaultPriceFeed: invalid price"),
        ((5, -1), "VaultPriceFeed: invalid price"),
        ((), "VaultPriceFeed: could not fetch price"),
    ):
        with pytest.raises(Revert) as caught:
            get_price(replace(PLAIN, answers=answers), True, False, NOW)
        assert caught.value.reason == reason


def test_a_funding_rate_waits_for_its_interval_and_counts_whole_ones():
    token = TokenFunding(
        pool_amount=1_000, reserved_amount=500, cumulative_funding_rate=7,
        last_funding_time=36_000, funding_interval=3_600, funding_rate_factor=100,
    )  # fmt: skip
    assert get_next_funding_rate(token, 39_599) == 0
    assert get_next_funding_rate(token, 39_600) == 50
    assert get_next_funding_rate(token, 36_000 + 3 * 3_600 + 3_599) == 150
    assert get_next_funding_rate(replace(token, pool_amount=0), 10**6) == 0
    assert update_cumulative_funding_rate(token, 39_600) == 57


def test_a_token_that_was_never_updated_only_gets_its_time_set():
    token = TokenFunding(1_000, 500, 0, 0, 3_600, 100)
    assert get_next_funding_rate(token, 7_200) == 100
    assert update_cumulative_funding_rate(token, 7_200) == 0


SAFE_LONG = Position(10 * 10**30, 2 * 10**30, 100 * 10**30, 0, 0, 0, NOW)
GENEROUS = Terms(500_000, 0, 0, 0, 0, 0, NOW, profit_counts=False)


def test_a_price_equal_to_the_average_is_no_profit_and_no_loss():
    found = assess(SAFE_LONG, True, 100 * 10**30, GENEROUS, ("A",))
    assert (found.has_profit, found.delta) == (False, 0)


def test_the_min_profit_window_ends_strictly_after_its_last_second():
    terms = replace(GENEROUS, min_profit_time=60, min_profit_basis_points=100, now=NOW + 60)
    price = 101 * 10**30
    assert assess(SAFE_LONG, True, price, terms, ("A",)).delta == 0
    assert assess(SAFE_LONG, True, price + 10**30, terms, ("A",)).delta == 2 * 10**29
    after = replace(terms, now=NOW + 61)
    assert assess(SAFE_LONG, True, price, after, ("A",)).delta == 10**29


def test_no_collateral_is_enough_where_no_leverage_is_allowed():
    terms = replace(GENEROUS, max_leverage=0)
    found = assess(SAFE_LONG, True, 10**33, terms, ("A",))
    assert isinstance(found, Assessed)
    assert found.flips["A"].kind == "always"
    assert found.verdicts["A"].state == 2
    assert margin_legs(AT, "m", "p", SAFE_LONG, True, found) == []


@pytest.mark.parametrize(
    ("position", "terms", "price", "reason"),
    [
        (replace(SAFE_LONG, average_price=0), GENEROUS, 1, "Vault: invalid averagePrice"),
        (SAFE_LONG, GENEROUS, 2**256 - 1, "SafeMath: multiplication overflow"),
        (
            replace(SAFE_LONG, entry_funding_rate=5), GENEROUS, 10**32,
            "SafeMath: subtraction overflow",
        ),
        (
            SAFE_LONG, replace(GENEROUS, min_profit_time=2**256 - 1), 10**32,
            "SafeMath: addition overflow",
        ),
        (
            SAFE_LONG, replace(GENEROUS, margin_fee_basis_points=10_001), 10**32,
            "SafeMath: subtraction overflow",
        ),
        (
            SAFE_LONG, replace(GENEROUS, max_leverage=2**256 - 1), 10**32,
            "SafeMath: multiplication overflow",
        ),
    ],
)  # fmt: skip
def test_what_leaves_uint256_reverts_with_the_contracts_reason(position, terms, price, reason):
    with pytest.raises(Revert) as caught:
        validate_liquidation(position, True, price, terms)
    assert caught.value.reason == reason


def test_a_flip_beyond_what_the_contract_can_compute_is_unknown():
    """Profit would make this position safe only at a price at which the Vault overflows."""
    held = replace(SAFE_LONG, size=10**38, collateral=0, average_price=10**36)
    terms = replace(GENEROUS, max_leverage=1, profit_counts=True)
    assert liquidation_price(held, True, terms).kind == "unknown"
    with pytest.raises(Revert, match="multiplication overflow"):
        validate_liquidation(held, True, 10**40, terms)
    found = assess(held, True, 10**36, terms, ("C",))
    assert (found.verdicts["C"].state, found.flips["C"].kind) == (2, "unknown")


SHORT_LOSS = replace(SAFE_LONG, collateral=10**30)
DEAD = Verdict(LIQUIDATABLE, 2 * 10**30, "fees exceed collateral", 0)
WEAK = Verdict(OVER_LEVERAGED, 10**29, "maxLeverage exceeded", 10**30)
RICH = Pool(amount=10**21, reserved=10**20, token_decimals=18, max_price=10**30)


@pytest.mark.parametrize(
    ("verdict", "is_long", "pool", "reason"),
    [
        (DEAD, True, RICH, None),
        (DEAD, False, RICH, None),
        (WEAK, True, RICH, None),
        (WEAK, False, RICH, None),
        (DEAD, True, replace(RICH, amount=10**18), "Vault: poolAmount exceeded"),
        (DEAD, True, replace(RICH, amount=10**20), "Vault: reserve exceeds pool"),
        (DEAD, False, replace(RICH, amount=10**20), "Vault: reserve exceeds pool"),
        (WEAK, True, replace(RICH, amount=10**20), "Vault: reserve exceeds pool"),
        (WEAK, False, replace(RICH, amount=10**20 - 1), None),
        (Verdict(0, 0, None, 0), True, replace(RICH, amount=0), None),
        (DEAD, True, replace(RICH, max_price=0), None),
    ],
)
def test_a_liquidation_is_blocked_where_the_pool_cannot_pay(verdict, is_long, pool, reason):
    due = Liquidation(SHORT_LOSS, is_long, verdict, False, 10**29, 5 * 10**30)
    assert blocked_by(due, pool) == reason


def test_more_reserved_by_a_position_than_by_all_blocks_its_liquidation():
    held = replace(SAFE_LONG, reserve_amount=10**20 + 1)
    due = Liquidation(held, True, DEAD, False, 0, 0)
    assert blocked_by(due, RICH) == "Vault: insufficient reserve"
