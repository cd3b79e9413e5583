"""The linear form of a position's buffer in the mark price, for scenarios; never for a verdict.

The scenario is a mark that moves along the curve, with TWAP and oracle following it. With a share
e = size / base reserve, the notional is size * p / (1 + e * sqrt(p / p0)) for a long and
size * p / (1 - e * sqrt(p / p0)) for a short: almost a line in p. The form is its tangent at the
present price, the error bound the greatest distance from it at the ends of the range, plus what
the present buffer differs while TWAP or oracle still stand elsewhere.
"""

from math import sqrt
from typing import Final

from analyzer.protocols.perp_v1.amm import Amm, get_spot_price
from analyzer.protocols.perp_v1.clearing_house import Config, Position, get_funding_payment
from analyzer.protocols.perp_v1.decimals import ONE
from analyzer.rows import At, MarginLegs

RANGE: Final = 2.0
"""The form holds from half to twice the present price."""
MOST_SHARE: Final = 0.25
"""A position of more of the base reserve than this has no useful line."""
EPSILON: Final = 2.0**-48
"""The roundings of a few operations on doubles, relative."""


def margin_legs(
    at: At,
    margin_id: str,
    price_id: str,
    amm: Amm,
    position: Position,
    config: Config,
    buffer: int,
) -> list[MarginLegs]:
    """The one leg of a position; none where its AMM is closed or no line comes close."""
    price = get_spot_price(amm) / ONE
    size = abs(position.size) / ONE
    if not amm.is_open or price == 0 or amm.base_asset_reserve == 0:
        return []
    share = abs(position.size) / amm.base_asset_reserve
    if share > MOST_SHARE:
        return []
    side = 1 if position.size > 0 else -1
    required = config.maintenance_margin_ratio / ONE
    weight = side - required
    margin = (position.margin - get_funding_payment(amm, position)) / ONE
    fixed = margin - side * position.open_notional / ONE

    def notional(at_price: float) -> float:
        return size * at_price / (1 + side * share * sqrt(at_price / price))

    slope_of_notional = size * (1 + side * share / 2) / (1 + side * share) ** 2
    slope = weight * slope_of_notional
    intercept = fixed + weight * notional(price) - slope * price
    ends = (price / RANGE, price * RANGE)
    curvature = max(abs(fixed + weight * notional(end) - intercept - slope * end) for end in ends)
    transient = abs(buffer / ONE - intercept - slope * price)
    scale = abs(fixed) + margin + abs(weight) * notional(ends[1])
    return [
        MarginLegs(
            at=at,
            margin_id=margin_id,
            piece=0,
            price_id=price_id,
            intercept=intercept,
            slope=slope,
            valid_from=ends[0],
            valid_to=ends[1],
            error_bound=curvature + transient + abs(scale) * EPSILON,
        )
    ]
