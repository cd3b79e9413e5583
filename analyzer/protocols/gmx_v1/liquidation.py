"""The exact price at which a position becomes liquidatable, in closed form.

The verdict is monotone in the price, because fees do not depend on it: solve the contract's own
inequalities for the largest move that is still safe, rounding as its divisions do.
"""

from dataclasses import dataclass
from typing import Final

from analyzer.errors import Revert
from analyzer.protocols.gmx_v1.risk import (
    SAFE,
    Position,
    Terms,
    get_margin_fees,
    min_profit_in_force,
    validate_liquidation,
)
from analyzer.rows import LiquidationKind
from analyzer.units import BASIS_POINTS, ceil_div


@dataclass(frozen=True, slots=True)
class Flip:
    """Two neighbouring prices: the last that liquidates, the first that does not."""

    kind: LiquidationKind
    last_liquidatable: int | None = None
    first_safe: int | None = None


NEVER: Final = Flip("never")
ALWAYS: Final = Flip("always")
UNKNOWN: Final = Flip("unknown")


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

    That is the minimum price for a long, the maximum for a short. A flip is confirmed with the
    predicate itself; where that reverts at such a price, it is unknown.
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
    flip = _flip(last, is_long)
    return flip if _is_met(flip, position, is_long, terms) else UNKNOWN


def _is_met(flip: Flip, position: Position, is_long: bool, terms: Terms) -> bool:
    """Whether the contract's own arithmetic has a verdict on both sides of a flip."""
    if flip.last_liquidatable is None or flip.first_safe is None:
        return True
    try:
        last = validate_liquidation(position, is_long, flip.last_liquidatable, terms)
        first = validate_liquidation(position, is_long, flip.first_safe, terms)
    except Revert:
        return False
    assert last.state != SAFE
    assert first.state == SAFE
    return True


def _flip(last: int, is_long: bool) -> Flip:
    """Prices are positive: a flip below 1 does not exist."""
    if is_long:
        return Flip("flip", last, last + 1) if last >= 1 else NEVER
    return Flip("flip", last, last - 1) if last > 1 else ALWAYS
