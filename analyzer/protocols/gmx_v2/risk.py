"""``PositionUtils.isPositionLiquidatable``, in the contract's own integers.

What no price can change is gathered once (``Closing``); the verdict is then a cheap function of
prices, which the search for liquidation prices asks over and over.
"""

from dataclasses import dataclass, replace

from analyzer.protocols.gmx_v2.borrowing import get_next_cumulative_borrowing_factor
from analyzer.protocols.gmx_v2.fees import (
    PositionFees,
    get_borrowing_fees,
    get_funding_amount,
    get_position_fees,
)
from analyzer.protocols.gmx_v2.funding import get_next_funding_amount_per_size
from analyzer.protocols.gmx_v2.impact import balance_was_improved, get_price_impact_usd
from analyzer.protocols.gmx_v2.pnl import PoolPnl, get_position_pnl_usd
from analyzer.protocols.gmx_v2.precision import apply_factor, int256, uint256
from analyzer.protocols.gmx_v2.state import (
    Accruals,
    Discounts,
    MarketState,
    Position,
    Prices,
    sign,
)


@dataclass(frozen=True, slots=True)
class Closing:
    """Closing a whole position, as far as prices do not matter; USD values have 30 decimals."""

    state: MarketState
    position: Position
    discounts: Discounts
    pool: PoolPnl
    position_fee_usd: tuple[int, int]
    """By ``balanceWasImproved``: not improved, improved."""
    borrowing_fee_usd: int
    funding_fee_amount: int
    max_positive_impact_usd: int | None
    max_negative_impact_usd: int
    impact: tuple[int, bool] | None
    """Price impact before its caps and tier flag; ``None`` where they depend on the index price.

    Where liquidations ignore impact, the flag is all that is needed, and impact is left at zero.
    """
    min_collateral_usd: int
    min_collateral_usd_for_leverage: int
    min_collateral_usd_for_leverage_for_liquidation: int

    def price_impact_usd(self, index_mid: int) -> tuple[int, bool]:
        """Price impact before its caps, and the flag that selects the fee tier."""
        if self.impact is not None:
            return self.impact
        position = self.position
        return get_price_impact_usd(
            self.state, position.size_in_usd, position.size_in_tokens, position.is_long, index_mid
        )


@dataclass(frozen=True, slots=True)
class Verdict:
    """``IsPositionLiquidatableInfo`` with its reason and what it is made of; USD (30)."""

    is_liquidatable: bool
    reason: str
    remaining_collateral_usd: int
    min_collateral_usd: int
    min_collateral_usd_for_leverage: int
    collateral_usd: int
    position_pnl_usd: int
    price_impact_usd: int
    collateral_cost_usd: int
    balance_was_improved: bool
    fees: PositionFees


def closing_of(
    state: MarketState, position: Position, discounts: Discounts, accruals: Accruals
) -> Closing:
    """What closing the position at these accumulators rests on, whatever the prices."""
    words, size, release = state.words, position.size_in_usd, state.release
    positive, negative = (words[f"MAX_POSITION_IMPACT_FACTOR:{sign(of)}"] for of in (True, False))
    least = apply_factor(size, words["MIN_COLLATERAL_FACTOR"])
    for_liquidation = (
        apply_factor(size, words["MIN_COLLATERAL_FACTOR_FOR_LIQUIDATION"])
        if release.has_pending_impact
        else least
    )
    floor = apply_factor(size, words["MAX_POSITION_IMPACT_FACTOR_FOR_LIQUIDATIONS"])
    return Closing(
        state=state,
        position=position,
        discounts=discounts,
        pool=PoolPnl.of(state, position.is_long),
        position_fee_usd=(
            apply_factor(size, words["POSITION_FEE_FACTOR:negative"]),
            apply_factor(size, words["POSITION_FEE_FACTOR:positive"]),
        ),
        borrowing_fee_usd=_borrowing_fee_usd(position, accruals),
        funding_fee_amount=_funding_fee_amount(position, accruals),
        max_positive_impact_usd=(
            apply_factor(size, min(positive, negative)) if release.has_pending_impact else None
        ),
        max_negative_impact_usd=floor,
        impact=_fixed_impact(state, position, floor),
        min_collateral_usd=words["MIN_COLLATERAL_USD"],
        min_collateral_usd_for_leverage=least,
        min_collateral_usd_for_leverage_for_liquidation=for_liquidation,
    )


def _fixed_impact(state: MarketState, position: Position, floor: int) -> tuple[int, bool] | None:
    """Price impact and tier flag as far as they are the same at all prices."""
    size = (position.size_in_usd, position.size_in_tokens, position.is_long)
    if floor == 0:
        improved = balance_was_improved(state, *size)
        if improved is not None:
            return 0, improved
    return None if state.in_tokens else get_price_impact_usd(state, *size, 0)


def accrued_to(closing: Closing, accruals: Accruals) -> Closing:
    """The same closing at other accumulators."""
    return replace(
        closing,
        borrowing_fee_usd=_borrowing_fee_usd(closing.position, accruals),
        funding_fee_amount=_funding_fee_amount(closing.position, accruals),
    )


def _borrowing_fee_usd(position: Position, accruals: Accruals) -> int:
    return get_borrowing_fees(
        position.size_in_usd, accruals.cumulative_borrowing_factor, position.borrowing_factor
    )


def _funding_fee_amount(position: Position, accruals: Accruals) -> int:
    return get_funding_amount(
        accruals.funding_fee_amount_per_size,
        position.funding_fee_amount_per_size,
        position.size_in_usd,
        round_up=True,
    )


def next_accruals(state: MarketState, position: Position, prices: Prices, time: int) -> Accruals:
    """The accumulators after ``updateFundingAndBorrowingState`` at a unix time.

    The liquidating call does this first. In a single-token market both funding deltas go to one
    word.
    """
    collateral = state.collateral(position.collateral_token)
    funding = get_next_funding_amount_per_size(state, prices, time)
    stored = state.stored(position)
    return Accruals(
        get_next_cumulative_borrowing_factor(state, prices, position.is_long, time),
        stored.funding_fee_amount_per_size
        + funding.fee_deltas[position.side][collateral] * state.market.divisor,
    )


def is_position_liquidatable(
    closing: Closing,
    prices: Prices,
    *,
    should_validate_min_collateral_usd: bool = True,
    for_liquidation: bool = True,
) -> Verdict:
    """The contract's verdict at these prices; raises ``Revert`` where the contract would."""
    position = closing.position
    pnl, _ = get_position_pnl_usd(
        closing.pool, position.is_long, position.size_in_usd, position.size_in_tokens, prices
    )
    collateral_price = closing.state.market.collateral_price(position.collateral_token, prices).min
    collateral_usd = uint256(position.collateral_amount * collateral_price)
    raw_impact, improved = closing.price_impact_usd(prices.index.mid)
    impact = _capped_impact(closing, raw_impact, prices)
    fees = get_position_fees(
        closing.position_fee_usd[improved],
        closing.borrowing_fee_usd,
        closing.funding_fee_amount,
        closing.discounts,
        collateral_price,
    )
    cost_usd = uint256(fees.total_cost_amount * collateral_price)
    remaining = int256(collateral_usd + pnl + impact - cost_usd)
    least_for_leverage = (
        closing.min_collateral_usd_for_leverage_for_liquidation
        if for_liquidation
        else closing.min_collateral_usd_for_leverage
    )
    least = closing.min_collateral_usd if should_validate_min_collateral_usd else 0
    if should_validate_min_collateral_usd and remaining < least:
        reason = "min collateral"
    elif remaining <= 0:
        reason = "< 0"
    elif remaining < least_for_leverage:
        reason = "min collateral for leverage"
    else:
        reason = ""
    return Verdict(
        bool(reason), reason, remaining, least, least_for_leverage,
        collateral_usd, pnl, impact, cost_usd, improved, fees,
    )  # fmt: skip


def _capped_impact(closing: Closing, impact: int, prices: Prices) -> int:
    """Cap positive impact, add what is pending, drop what helps, floor what hurts: in order."""
    if impact >= 0 and closing.max_positive_impact_usd is not None:
        impact = min(impact, closing.max_positive_impact_usd)
    if closing.state.release.has_pending_impact:
        pending = closing.position.pending_impact_amount
        impact += pending * (prices.index.min if pending > 0 else prices.index.max)
    return 0 if impact >= 0 else max(impact, -closing.max_negative_impact_usd)
