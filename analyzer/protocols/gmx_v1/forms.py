"""The piecewise-linear form of a position's buffer, for scenarios; never for a verdict.

Buffer in USD = min over pieces of intercept + slope * price, with the price in USD per token, and
negative where the position is liquidatable. Where profit does not count there are two pieces: what
is left without any profit, and what is left of losses; else only the latter.
"""

from typing import Final

from analyzer.protocols.gmx_v1.assess import Assessed
from analyzer.protocols.gmx_v1.risk import PRICE_PRECISION, Position, min_profit_in_force
from analyzer.rows import At, MarginLegs
from analyzer.units import BASIS_POINTS

VALID_TO: Final = 64
"""The form holds up to this many average prices; above, doubles lose what the bound promises."""
EPSILON: Final = 2.0**-50
"""A few roundings of a double, relative."""


def margin_legs(
    at: At,
    margin_id: str,
    price_id: str,
    position: Position,
    is_long: bool,
    executable: Assessed,
) -> list[MarginLegs]:
    """The legs of a position.

    There are none where no collateral would be enough, or where it is not known which of two
    variants' forms holds. Within ``minProfitTime`` a small profit does not count: the bound of
    the one-piece form says so.
    """
    variants = set(executable.verdicts)
    required = executable.required
    if required is None or (len(variants) > 1 and position.collateral < required):
        return []
    left = position.collateral - required
    slope = _usd(position.size) / _usd(position.average_price)
    moving = (
        (_usd(left) - _usd(position.size), slope)
        if is_long
        else (_usd(left) + _usd(position.size), -slope)
    )
    profit_counts = variants == {"C"}
    pieces = [moving] if profit_counts else [(_usd(left), 0.0), moving]
    scale = _usd(position.collateral + required) + _usd(position.size) * (VALID_TO + 2)
    bound = scale * EPSILON + 1 / PRICE_PRECISION
    if profit_counts:
        window = min_profit_in_force(position, executable.terms)
        bound += _usd(position.size) * window / BASIS_POINTS
    return [
        MarginLegs(
            at=at,
            margin_id=margin_id,
            piece=piece,
            price_id=price_id,
            intercept=intercept,
            slope=piece_slope,
            valid_from=0.0,
            valid_to=_usd(position.average_price) * VALID_TO,
            error_bound=bound,
        )
        for piece, (intercept, piece_slope) in enumerate(pieces)
    ]


def _usd(amount: int) -> float:
    return amount / PRICE_PRECISION
