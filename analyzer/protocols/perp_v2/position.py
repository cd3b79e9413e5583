"""One account's position in one market, as ``AccountBalance`` and ``Exchange`` see it."""

from dataclasses import dataclass
from typing import Final

from analyzer.protocols.perp_v2.orders import (
    get_base_in_pool,
    get_liquidity_coefficient,
    get_pending_fee,
    get_quote_in_pool,
)
from analyzer.protocols.perp_v2.perp_math import Q96, WAD, mul_div, to_int256
from analyzer.protocols.perp_v2.prices import PricedMarket
from analyzer.protocols.perp_v2.state import AccountMarket, attempt, known
from analyzer.reads import Failed
from analyzer.units import sdiv

DUST: Final = 10
"""Wei of base below which ``AccountBalance`` takes a position for none."""
FUNDING_PERIOD: Final = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """A position valued at the block, amounts with 18 decimals.

    ``pending_funding_payment`` is positive where the trader pays.
    """

    state: AccountMarket
    priced: PricedMarket
    base: int
    quote: int
    total_position_size: int
    total_position_value: int | Failed
    total_open_notional: int
    pending_fee: int
    pending_funding_payment: int | Failed

    @property
    def taker_position_size(self) -> int:
        """``AccountBalance.getTakerPositionSize``."""
        return without_dust(self.state.taker_position_size)


def value_position(priced: PricedMarket, state: AccountMarket) -> Position:
    """A position with all that the account's views take from it."""
    market = priced.market
    base = state.taker_position_size - sum(order.base_debt for order in state.orders)
    quote = state.taker_open_notional - sum(order.quote_debt for order in state.orders)
    size = without_dust(unrounded_size(priced, state))
    return Position(
        state=state,
        priced=priced,
        base=base,
        quote=quote,
        total_position_size=size,
        total_position_value=attempt(get_position_value, priced, size),
        total_open_notional=quote + sum(get_quote_in_pool(market, order) for order in state.orders),
        pending_fee=sum(get_pending_fee(market, order) for order in state.orders),
        pending_funding_payment=attempt(get_pending_funding_payment, priced, state, base),
    )


def unrounded_size(priced: PricedMarket, state: AccountMarket) -> int:
    """``AccountBalance.getTotalPositionSize`` before dust is taken for nothing."""
    in_pool = sum(get_base_in_pool(priced.market, order) for order in state.orders)
    return state.taker_position_size + in_pool - sum(order.base_debt for order in state.orders)


def without_dust(size: int) -> int:
    """A position size, or nothing if it is less than 10 wei."""
    return 0 if abs(size) < DUST else size


def get_position_value(priced: PricedMarket, size: int) -> int:
    """``AccountBalance._getPositionValue``; needs no price where there is no size."""
    if size == 0:
        return 0
    return mul_div(size, to_int256(known(priced.reference_price)), WAD)


def get_pending_funding_payment(priced: PricedMarket, state: AccountMarket, base: int) -> int:
    """``Exchange.getPendingFundingPayment``: one division by a day, after everything is summed."""
    growth = known(priced.funding).growth
    coefficient = sum(
        get_liquidity_coefficient(priced.market, order, growth) for order in state.orders
    )
    since = growth.tw_premium_x96 - state.last_tw_premium_growth_global_x96
    return sdiv(coefficient + mul_div(base, since, Q96), FUNDING_PERIOD)
