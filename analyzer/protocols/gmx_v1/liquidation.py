"""The exact price at which a position becomes liquidatable, in closed form.

The verdict is monotone in the price, because fees do not depend on it: solve the contract's own
inequalities for the largest move that is still safe, rounding as its divisions do.
"""

from dataclasses import dataclass
from typing import Literal

from analyzer.protocols.gmx_v1.risk import Position, Terms, get_margin_fees, min_profit_in_force
from analyzer.units import BASIS_POINTS, ceil_div

Kind = Literal["flip", "never", "always"]


@dataclass(frozen=True, slots=True)
class Flip:
    """Two neighbouring prices: the last that liquidates, the first that does not."""

    kind: Kind
    last_liquidatable: int | None = None
    first_safe: int | None = None


NEVER = Flip("never")
ALWAYS = Flip("always")


def requirement(position: Position, terms: Terms) -> int | None:
    """The remaining collateral (1e30 USD) from which on a position is safe; ``None``: no amount.

    Reverts where ``getFundingFee`` or ``getPositionFee`` do.
    """
    if terms.max_leverage == 0:
        return None
    fees = get_margin_fees(position, terms) + terms.liquidation_fee_usd
    return max(fees, ceil_div(position.size * BASIS_POINTS, terms.max_leverage))


def liquidation_price(position: Position, is_long: bool, terms: Terms) -> Flip:
    """Where ``validateLiquidation`` changes, in the price that it uses (1e30).

    That is the minimum price for a long, the maximum for a short.
    """
    needed = requirement(position, terms)
    size, average, collateral = position.size, position.average_price, position.collateral
    if needed is None:
        return ALWAYS
    if collateral >= needed:
        most = ceil_div((collateral - needed + 1) * average, size) - 1
        last = average - most - 1 if is_long else average + most + 1
    elif terms.profit_counts:
        smallest = size * min_profit_in_force(position, terms) // BASIS_POINTS + 1
        least = ceil_div(max(needed - collateral, smallest) * average, size)
        last = average + least - 1 if is_long else average - least + 1
    else:
        return ALWAYS
    return _flip(last, is_long)


def _flip(last: int, is_long: bool) -> Flip:
    """Prices are positive: a flip below 1 does not exist."""
    if is_long:
        return Flip("flip", last, last + 1) if last >= 1 else NEVER
    return Flip("flip", last, last - 1) if last > 1 else ALWAYS
