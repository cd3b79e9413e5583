"""``MarketUtils.getNextFundingAmountPerSize``: the funding accrual up to a time."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from analyzer.errors import Revert
from analyzer.protocols.gmx_v2.precision import (
    PER_SIZE_PRECISION,
    apply_exponent_factor,
    apply_factor,
    ceil_div,
    div,
    to_factor,
    uint256,
)
from analyzer.protocols.gmx_v2.state import MarketState, Prices, side

TOKENS: Final = ("longToken", "shortToken")

Deltas = Mapping[str, Mapping[str, int]]
"""By side, then by collateral token (``longToken``, ``shortToken``): scaled by 1e45."""


@dataclass(frozen=True, slots=True)
class NextFunding:
    """``GetNextFundingAmountPerSizeResult``: rates are factors of 30 decimals per second."""

    longs_pay_shorts: bool
    funding_factor_per_second: int
    next_saved_funding_factor_per_second: int
    fee_deltas: Deltas
    claimable_deltas: Deltas


def get_next_funding_amount_per_size(state: MarketState, prices: Prices, time: int) -> NextFunding:
    """The rate and the accumulators' deltas at a unix time."""
    market, words, divisor = state.market, state.words, state.market.divisor
    open_interest = {
        of: {token: words[f"OPEN_INTEREST:{token}:{of}"] // divisor for token in TOKENS}
        for of in ("long", "short")
    }
    long, short = (sum(open_interest[of].values()) for of in ("long", "short"))
    if long == 0 or short == 0:
        return _one_sided(state)
    updated_at = words["FUNDING_UPDATED_AT"]
    duration = uint256(time - updated_at) if updated_at else 0
    rate, longs_pay, saved = get_next_funding_factor_per_second(state, prices, duration)
    payer, receiver = side(longs_pay), side(not longs_pay)
    paying, receiving = (long, short) if longs_pay else (short, long)
    basis = paying if state.release.funding_by_paying_side else max(long, short)
    funding_usd = apply_factor(basis, duration * rate) // market.divisor
    fees, claims = {}, {}
    for token, price in (("longToken", prices.long), ("shortToken", prices.short)):
        usd = funding_usd * open_interest[payer][token] // paying
        fees[token] = _per_size(usd, open_interest[payer][token], price.max, round_up=True)
        claims[token] = _per_size(usd, receiving, price.max, round_up=False)
    none = dict.fromkeys(TOKENS, 0)
    return NextFunding(
        longs_pay, rate, saved, {payer: fees, receiver: none}, {payer: none, receiver: claims}
    )


def get_next_funding_factor_per_second(
    state: MarketState, prices: Prices, duration: int
) -> tuple[int, bool, int]:
    """``getNextFundingFactorPerSecond``: rate, whether longs pay, and the saved rate (signed)."""
    words, mid = state.words, prices.index.mid
    long = state.open_interest_for_balance(True, mid)
    short = state.open_interest_for_balance(False, mid)
    increase = words["FUNDING_INCREASE_FACTOR_PER_SECOND"]
    diff = abs(long - short)
    if diff == 0 and increase == 0:
        return 0, True, 0
    if long + short == 0:
        raise Revert("UnableToGetFundingFactorEmptyOpenInterest()")
    skew = to_factor(apply_exponent_factor(diff, words["FUNDING_EXPONENT_FACTOR"]), long + short)
    if increase == 0:
        rate = apply_factor(skew, words["FUNDING_FACTOR"])
        return min(rate, funding_limit(state, "MAX", long > short)), long > short, 0
    saved = words["SAVED_FUNDING_FACTOR_PER_SECOND"]
    same_direction = (saved > 0 and long > short) or (saved < 0 and short > long)
    following = saved
    if not same_direction or skew > words["THRESHOLD_FOR_STABLE_FUNDING"]:
        step = _increase_step(state, skew, increase) * duration
        following = saved - step if long < short else saved + step
    elif skew < words["THRESHOLD_FOR_DECREASE_FUNDING"] and saved:
        decrease = words["FUNDING_DECREASE_FACTOR_PER_SECOND"] * duration
        magnitude = 1 if abs(saved) <= decrease else abs(saved) - decrease
        following = magnitude if saved > 0 else -magnitude
    is_long = following >= 0
    least, most = funding_limit(state, "MIN", is_long), funding_limit(state, "MAX", is_long)
    following = _bound_magnitude(following, 0, most)
    rate = _bound_magnitude(following, least, most)
    return abs(rate), rate > 0, following


def funding_limit(state: MarketState, which: str, is_long: bool) -> int:
    """The ``MIN`` or ``MAX`` funding rate per second; per side in later releases."""
    name = f"{which}_FUNDING_FACTOR_PER_SECOND"
    return state.words[f"{name}:{side(is_long)}" if state.release.funding_limits_by_side else name]


def _increase_step(state: MarketState, skew: int, increase: int) -> int:
    step = apply_factor(skew, increase)
    if state.release.funding_limits_by_side and skew > 0:
        return max(step, state.words["MIN_FUNDING_INCREASE_RATE_PER_SECOND"])
    return step


def _one_sided(state: MarketState) -> NextFunding:
    none: Deltas = {of: dict.fromkeys(TOKENS, 0) for of in ("long", "short")}
    if not state.release.funding_limits_by_side:
        return NextFunding(False, 0, 0, none, none)
    saved = state.words["SAVED_FUNDING_FACTOR_PER_SECOND"]
    return NextFunding(saved > 0, abs(saved), saved, none, none)


def _per_size(usd: int, open_interest: int, price: int, *, round_up: bool) -> int:
    """``getFundingAmountPerSizeDelta``."""
    if usd == 0 or open_interest == 0:
        return 0
    if round_up:
        return ceil_div(ceil_div(usd * PER_SIZE_PRECISION, open_interest), price)
    return div(usd * PER_SIZE_PRECISION // open_interest, price)


def _bound_magnitude(value: int, least: int, most: int) -> int:
    magnitude = min(max(abs(value), least), most)
    return -magnitude if value < 0 else magnitude
