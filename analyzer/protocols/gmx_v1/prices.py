"""How VaultPriceFeed and FastPriceFeed make the price that a verdict uses.

Verdicts rest on the price that the contract itself returns; this pipeline explains that price, and
maps a liquidation price to the answers of the primary feed. Prices: 1e30.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from analyzer.errors import Revert
from analyzer.protocols.gmx_v1.liquidation import ALWAYS, NEVER, Flip
from analyzer.protocols.gmx_v1.risk import PRICE_PRECISION, power_of_ten
from analyzer.units import (
    BASIS_POINTS,
    UINT256_MAX,
    checked_add,
    checked_div,
    checked_mul,
    checked_sub,
)

LARGEST_ANSWER: Final = UINT256_MAX // PRICE_PRECISION // (4 * BASIS_POINTS)
"""Above it the pipeline's own products leave uint256."""


@dataclass(frozen=True, slots=True)
class FastFeed:
    """What FastPriceFeed knows of a token."""

    is_spread_enabled: bool
    last_updated_at: int
    price_duration: int
    max_price_update_delay: int
    spread_basis_points_if_inactive: int
    spread_basis_points_if_chain_error: int
    max_deviation_basis_points: int
    min_authorizations: int
    disable_fast_price_vote_count: int
    price: int
    max_cumulative_delta_diff: int
    cumulative_ref_delta: int
    cumulative_fast_delta: int


@dataclass(frozen=True, slots=True)
class Amm:
    """VaultPriceFeed's AMM price of a token and how it is weighed."""

    price: int
    use_v2_pricing: bool
    favor_primary_price: bool
    spread_threshold_basis_points: int


@dataclass(frozen=True, slots=True)
class TokenFeed:
    """What VaultPriceFeed knows of a token; ``answers`` are the newest rounds, newest first."""

    answers: tuple[int, ...]
    price_decimals: int
    max_strict_price_deviation: int
    strict_stable: bool
    spread_basis_points: int
    adjustment_basis_points: int
    is_adjustment_additive: bool
    secondary: FastFeed | None = None
    amm: Amm | None = None


def get_primary_price(feed: TokenFeed, maximise: bool) -> int:
    """``VaultPriceFeed.getPrimaryPrice``: the extreme of the sampled rounds; no staleness check."""
    if any(answer <= 0 for answer in feed.answers):
        raise Revert("VaultPriceFeed: invalid price")
    if not feed.answers:
        raise Revert("VaultPriceFeed: could not fetch price")
    answer = max(feed.answers) if maximise else min(feed.answers)
    unit = power_of_ten(feed.price_decimals)
    return checked_div(checked_mul(answer, PRICE_PRECISION), unit)


def get_price(feed: TokenFeed, maximise: bool, include_amm_price: bool, now: int) -> int:
    """``VaultPriceFeed.getPrice``: primary, then AMM, fast price, spread and adjustment."""
    price = get_primary_price(feed, maximise)
    if include_amm_price and feed.amm is not None:
        price = get_amm_price(feed.amm, price, maximise)
    if feed.secondary is not None:
        price = get_fast_price(feed.secondary, price, maximise, now)
    if feed.strict_stable:
        price = _strict_stable_price(feed, price, maximise)
    else:
        price = _shifted(price, feed.spread_basis_points, up=maximise)
    if feed.adjustment_basis_points > 0:
        price = _shifted(price, feed.adjustment_basis_points, up=feed.is_adjustment_additive)
    return price


def get_amm_price(amm: Amm, primary: int, maximise: bool) -> int:
    """``VaultPriceFeed.getAmmPriceV2``, or the widening that ``getPriceV1`` does instead."""
    if amm.price == 0:
        return primary
    if amm.use_v2_pricing:
        difference = checked_mul(abs(amm.price - primary), BASIS_POINTS)
        if difference < checked_mul(primary, amm.spread_threshold_basis_points):
            return primary if amm.favor_primary_price else amm.price
    return max(primary, amm.price) if maximise else min(primary, amm.price)


def get_fast_price(fast: FastFeed, reference: int, maximise: bool, now: int) -> int:
    """``FastPriceFeed.getPrice`` (since February 2023) of a reference price."""
    if now > checked_add(fast.last_updated_at, fast.max_price_update_delay):
        return _shifted(reference, fast.spread_basis_points_if_chain_error, up=maximise)
    if now > checked_add(fast.last_updated_at, fast.price_duration):
        return _shifted(reference, fast.spread_basis_points_if_inactive, up=maximise)
    if fast.price == 0:
        return reference
    difference = checked_mul(abs(reference - fast.price), BASIS_POINTS)
    deviation = checked_div(difference, reference)
    if favor_fast_price(fast) and deviation <= fast.max_deviation_basis_points:
        return fast.price
    return max(reference, fast.price) if maximise else min(reference, fast.price)


def favor_fast_price(fast: FastFeed) -> bool:
    """``FastPriceFeed.favorFastPrice``: no spread was called for by anyone or anything."""
    ahead = fast.cumulative_fast_delta - fast.cumulative_ref_delta
    return not (
        fast.is_spread_enabled
        or fast.disable_fast_price_vote_count >= fast.min_authorizations
        or ahead > max(0, fast.max_cumulative_delta_diff)
    )


def native_flip(feed: TokenFeed, exact: Flip, is_long: bool, now: int) -> Flip:
    """The flip in answers of the primary feed, all else frozen, by a search through the pipeline.

    The price never falls where the answer rises, so the flip lies between two neighbouring answers.
    """
    if exact.last_liquidatable is None:
        return exact
    last = exact.last_liquidatable

    def price(answer: int) -> int:
        answers = (answer, *feed.answers[1:])
        return get_price(replace(feed, answers=answers), not is_long, False, now)

    def reaches(answer: int) -> bool:
        """Whether the answer lies on the upper side: safe for a long, liquidatable for a short."""
        return price(answer) > last if is_long else price(answer) >= last

    near = _within(last * power_of_ten(feed.price_decimals) // PRICE_PRECISION)
    upper = _first(reaches, _within(near * last // max(price(near), 1)))
    if upper is None:
        return ALWAYS if is_long else NEVER
    if upper == 1:
        return NEVER if is_long else ALWAYS
    return Flip("flip", upper - 1, upper) if is_long else Flip("flip", upper, upper - 1)


def _within(answer: int) -> int:
    return min(max(answer, 1), LARGEST_ANSWER)


def _first(reaches: Callable[[int], bool], guess: int) -> int | None:
    """The smallest answer that reaches, galloping from a guess; ``None`` if none does."""
    high = guess
    step = 1
    while not reaches(high):
        if high == LARGEST_ANSWER:
            return None
        high, step = _within(high + step), step * 4
    low, step = high - 1, 1
    while low > 0 and reaches(low):
        high, low, step = low, max(low - step, 0), step * 4
    while high - low > 1:
        middle = (low + high) // 2
        if reaches(middle):
            high = middle
        else:
            low = middle
    return high


def _strict_stable_price(feed: TokenFeed, price: int, maximise: bool) -> int:
    if abs(price - PRICE_PRECISION) <= feed.max_strict_price_deviation:
        return PRICE_PRECISION
    return max(price, PRICE_PRECISION) if maximise else min(price, PRICE_PRECISION)


def _shifted(price: int, basis_points: int, *, up: bool) -> int:
    factor = (
        checked_add(BASIS_POINTS, basis_points) if up else checked_sub(BASIS_POINTS, basis_points)
    )
    return checked_mul(price, factor) // BASIS_POINTS
