"""``PositionPricingUtils.getPositionFees``: what closing a whole position costs.

Every fee is floored (funding: raised) to whole units of the collateral token before it is valued.
"""

from dataclasses import dataclass

from analyzer.protocols.gmx_v2.precision import (
    PER_SIZE_PRECISION,
    apply_factor,
    ceil_div,
    div,
    uint256,
)
from analyzer.protocols.gmx_v2.state import Discounts


@dataclass(frozen=True, slots=True)
class PositionFees:
    """The fees that enter a verdict, in units of the collateral token."""

    position_fee_amount: int
    pro_discount_amount: int
    trader_discount_amount: int
    borrowing_fee_amount: int
    funding_fee_amount: int

    @property
    def total_discount_amount(self) -> int:
        """The larger of both discounts, not their sum."""
        return max(self.pro_discount_amount, self.trader_discount_amount)

    @property
    def total_cost_amount_excluding_funding(self) -> int:
        """What the pool and the fee receivers get."""
        return self.position_fee_amount + self.borrowing_fee_amount - self.total_discount_amount

    @property
    def total_cost_amount(self) -> int:
        """What is taken from the collateral."""
        return self.total_cost_amount_excluding_funding + self.funding_fee_amount


def get_position_fees(
    position_fee_usd: int,
    borrowing_fee_usd: int,
    funding_fee_amount: int,
    discounts: Discounts,
    collateral_price_min: int,
) -> PositionFees:
    """Fees at a collateral price; the USD values (30 decimals) are what no price changes."""
    fee = div(position_fee_usd, collateral_price_min)
    return PositionFees(
        position_fee_amount=fee,
        pro_discount_amount=(
            apply_factor(fee, discounts.pro_discount_factor) if discounts.pro_tier else 0
        ),
        trader_discount_amount=(
            apply_factor(fee, discounts.trader_discount_factor)
            if discounts.has_referral_code
            else 0
        ),
        borrowing_fee_amount=div(borrowing_fee_usd, collateral_price_min),
        funding_fee_amount=funding_fee_amount,
    )


def get_borrowing_fees(size_in_usd: int, cumulative_factor: int, position_factor: int) -> int:
    """``MarketUtils.getBorrowingFees`` in USD with 30 decimals; panics if the factor fell."""
    return apply_factor(size_in_usd, uint256(cumulative_factor - position_factor))


def get_funding_amount(
    latest_per_size: int, position_per_size: int, size_in_usd: int, round_up: bool
) -> int:
    """``MarketUtils.getFundingAmount`` in token units; panics if the accumulator fell."""
    amount = size_in_usd * uint256(latest_per_size - position_per_size)
    return ceil_div(amount, PER_SIZE_PRECISION) if round_up else amount // PER_SIZE_PRECISION
