"""The linear form of a position's buffer, for scenarios only; never for a verdict.

Buffer in USD = sum of intercept + slope * price, with prices in USD per whole token: of the index
token, and of the collateral token where that is another one. It holds between the index prices at
which profit begins to be capped or price impact reaches a cap; ``error_bound`` says by how much it
can be off within them, which is much only where impact follows a power of the price.
"""

from typing import Final

from analyzer.protocols.gmx_v2.assess import Basis
from analyzer.protocols.gmx_v2.flip_search import FLOORS
from analyzer.protocols.gmx_v2.piecewise import margin_pieces
from analyzer.protocols.gmx_v2.state import Prices
from analyzer.rows import At, MarginLegs

VALID_TO: Final = 64
"""The form holds up to this many times the price; above, doubles lose what the bound promises."""
EPSILON: Final = 2.0**-48
"""A few roundings of a double, relative."""
USD: Final = 1e30


def margin_legs(
    at: At, basis: Basis, prices: Prices, decimals: dict[str, int | None], ids: dict[str, str]
) -> list[MarginLegs]:
    """The legs of a position on the executable basis; none where decimals are not known.

    Legs go by token; ``decimals`` and ``ids`` (price ids) are by token address.
    """
    closing, verdict = basis.closing, basis.verdict
    position, market = closing.position, closing.state.market
    index, collateral = market.index_token, position.collateral_token
    index_decimals, collateral_decimals = decimals[index], decimals[collateral]
    if index_decimals is None or collateral_decimals is None:
        return []
    low, high = _range(basis, prices)
    requirement = max(
        closing.min_collateral_usd, closing.min_collateral_usd_for_leverage_for_liquidation
    )
    amount = position.collateral_amount - closing.funding_fee_amount
    fees = verdict.collateral_cost_usd - (closing.funding_fee_amount * _price(basis, prices))
    signed = 1 if position.is_long else -1
    impact, pending = _impact(basis, low, high)
    intercept = -signed * position.size_in_usd - fees - requirement + impact
    if low == high:
        price = prices.index.min if position.is_long else prices.index.max
        profit = signed * (position.size_in_tokens * price - position.size_in_usd)
        intercept += verdict.position_pnl_usd - profit
    slope = signed * position.size_in_tokens + pending
    at_index = prices.index.mid
    token = _whole(at_index, index_decimals)
    coin = _whole(_price(basis, prices), collateral_decimals)
    bound = _error_bound(basis, prices)
    valid = (_whole(low, index_decimals), min(_whole(high, index_decimals), token * VALID_TO))
    if index == collateral:
        legs = [(index, intercept / USD, _per_whole(slope + amount, index_decimals), *valid)]
    else:
        legs = [
            (index, intercept / USD, _per_whole(slope, index_decimals), *valid),
            (collateral, 0.0, _per_whole(amount, collateral_decimals), 0.0, coin * VALID_TO),
        ]
    return [
        MarginLegs(
            at=at,
            margin_id=position.key,
            piece=0,
            price_id=ids[one],
            intercept=leg_intercept,
            slope=leg_slope,
            valid_from=valid_from,
            valid_to=valid_to,
            error_bound=bound,
        )
        for one, leg_intercept, leg_slope, valid_from, valid_to in legs
    ]


def _price(basis: Basis, prices: Prices) -> int:
    position = basis.closing.position
    return basis.closing.state.market.collateral_price(position.collateral_token, prices).min


def _range(basis: Basis, prices: Prices) -> tuple[int, int]:
    """The index prices between which no cap begins or ceases to bind; the price alone if capped."""
    price = prices.index.mid
    pieces, _ = margin_pieces(basis.closing, prices, 1)
    first = last = next(
        at for at, p in enumerate(pieces) if p.low <= price and (p.high is None or price <= p.high)
    )
    here = pieces[first]
    if here.is_capped:
        return price, price
    while first > 0 and pieces[first - 1].numerator == here.numerator:
        first -= 1
    while last + 1 < len(pieces) and pieces[last + 1].numerator == here.numerator:
        last += 1
    highest = pieces[last].high
    return pieces[first].low, price * VALID_TO if highest is None else highest


def _impact(basis: Basis, low: int, high: int) -> tuple[int, int]:
    """Price impact within the range: a constant in USD, and what is pending in index tokens."""
    closing, verdict = basis.closing, basis.verdict
    if closing.impact is None:
        return verdict.price_impact_usd, 0
    most = closing.max_positive_impact_usd
    impact = closing.impact[0] if most is None else min(closing.impact[0], most)
    pending = (
        closing.position.pending_impact_amount if closing.state.release.has_pending_impact else 0
    )
    middle = impact + pending * ((low + high) // 2)
    if middle >= 0:
        return 0, 0
    if middle <= -closing.max_negative_impact_usd:
        return -closing.max_negative_impact_usd, 0
    return impact, pending


def _error_bound(basis: Basis, prices: Prices) -> float:
    """Floors of the fees, of the range's ends, roundings of doubles, impact off the line; USD."""
    closing, position = basis.closing, basis.closing.position
    floors = FLOORS * VALID_TO * _price(basis, prices) / USD
    tokens = position.size_in_tokens + abs(position.pending_impact_amount)
    moved = tokens * prices.index.max * VALID_TO / USD
    held = position.collateral_amount * _price(basis, prices) * VALID_TO / USD
    rounding = (position.size_in_usd / USD + moved + held) * EPSILON
    ends = 2 * (tokens + position.collateral_amount) / USD
    power = closing.max_negative_impact_usd / USD if closing.impact is None else 0.0
    tiers = closing.position_fee_usd
    flag = abs(tiers[0] - tiers[1]) / USD if closing.impact is None else 0.0
    return floors + ends + rounding + power + flag


def _whole(price: int, decimals: int) -> float:
    """A contract price in USD per whole token."""
    return float(price * 10**decimals / USD)


def _per_whole(amount: int, decimals: int) -> float:
    """An amount in whole tokens: USD per USD of price."""
    return float(amount / 10**decimals)
