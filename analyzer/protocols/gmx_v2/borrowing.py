"""``MarketUtils.getBorrowingFactorPerSecond`` and the borrowing accrual up to a time."""

from analyzer.errors import Revert
from analyzer.protocols.gmx_v2.precision import (
    FLOAT_PRECISION,
    apply_exponent_factor,
    apply_factor,
    to_factor,
    uint256,
)
from analyzer.protocols.gmx_v2.state import MarketState, Prices, side


def get_next_cumulative_borrowing_factor(
    state: MarketState, prices: Prices, is_long: bool, time: int
) -> int:
    """``MarketUtils.getNextCumulativeBorrowingFactor`` at a unix time."""
    of = side(is_long)
    cumulative = state.words[f"CUMULATIVE_BORROWING_FACTOR:{of}"]
    updated_at = state.words[f"CUMULATIVE_BORROWING_FACTOR_UPDATED_AT:{of}"]
    rate = get_borrowing_factor_per_second(state, prices, is_long)
    return cumulative + (uint256(time - updated_at) if updated_at else 0) * rate


def get_borrowing_factor_per_second(state: MarketState, prices: Prices, is_long: bool) -> int:
    """The side's borrowing rate per second, a factor of 30 decimals."""
    words, of = state.words, side(is_long)
    reserved_usd = get_reserved_usd(state, prices, is_long)
    if reserved_usd == 0 or (
        words["SKIP_BORROWING_FEE_FOR_SMALLER_SIDE"] and _is_smaller_side(state, prices, is_long)
    ):
        return 0
    pool_usd = state.pool_amount(is_long) * (prices.long.min if is_long else prices.short.min)
    if pool_usd == 0:
        raise Revert("UnableToGetBorrowingFactorEmptyPoolUsd()")
    if words[f"OPTIMAL_USAGE_FACTOR:{of}"]:
        return _kink_factor_per_second(state, reserved_usd, pool_usd, of)
    power = apply_exponent_factor(reserved_usd, words[f"BORROWING_EXPONENT_FACTOR:{of}"])
    return apply_factor(to_factor(power, pool_usd), words[f"BORROWING_FACTOR:{of}"])


def get_reserved_usd(state: MarketState, prices: Prices, is_long: bool) -> int:
    """``MarketUtils.getReservedUsd``: what the pool must be able to pay to a side."""
    if is_long:
        return state.open_interest_in_tokens(True) * prices.index.max
    return state.open_interest(False)


def _kink_factor_per_second(state: MarketState, reserved_usd: int, pool_usd: int, of: str) -> int:
    words = state.words
    optimal, base = words[f"OPTIMAL_USAGE_FACTOR:{of}"], words[f"BASE_BORROWING_FACTOR:{of}"]
    reserve_usd = apply_factor(pool_usd, words[f"OPEN_INTEREST_RESERVE_FACTOR:{of}"])
    usage = to_factor(reserved_usd, reserve_usd)
    rate = apply_factor(usage, base)
    if usage > optimal and optimal < FLOAT_PRECISION:
        above = max(0, words[f"ABOVE_OPTIMAL_USAGE_BORROWING_FACTOR:{of}"] - base)
        rate += above * (usage - optimal) // (FLOAT_PRECISION - optimal)
    return rate


def _is_smaller_side(state: MarketState, prices: Prices, is_long: bool) -> bool:
    mid = prices.index.mid
    return state.open_interest_for_balance(is_long, mid) < state.open_interest_for_balance(
        not is_long, mid
    )
