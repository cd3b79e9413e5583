"""An account's buffer as a linear form in prices, for scenarios; never for a verdict.

Buffer = account value less requirement, in USD: the sum over legs of ``intercept + slope * price``.
One leg for the settlement token, one per market in its mark, one per collateral in its price. A
market that is not open has a price that no scenario moves: its leg has no slope. A maker's size is
taken at the pool's price now: where the pool moves too, a scenario has to be valued exactly.
"""

from dataclasses import replace
from typing import Final

from analyzer.protocols.perp_v2.account import MarginAccount
from analyzer.protocols.perp_v2.perp_math import RATIO, WAD, parse_settlement_token
from analyzer.protocols.perp_v2.position import Position
from analyzer.protocols.perp_v2.state import Collateral, known
from analyzer.rows import At, MarginLegs, price_id

VALID_TO: Final = 64
"""The form holds up to this many times the price now; above, doubles lose what the bound says."""
EPSILON: Final = 2.0**-50
"""A few roundings of a double, relative."""


def margin_legs(
    at: At, margin_id: str, margin: MarginAccount, settlement_token: str
) -> list[MarginLegs]:
    """The legs of an account; raises where any of it is unknown."""
    config, account = margin.system.config, margin.account
    balance = parse_settlement_token(account.settlement_balance, config.settlement_decimals)
    rounding = 10.0**-config.settlement_decimals
    legs = [_leg(at, margin_id, settlement_token, balance + account.owed_realized_pnl, 0.0, None)]
    for base_token, position in margin.positions.items():
        legs.append(_market_leg(at, margin_id, base_token, position, config.mm_ratio))
    for token, amount in account.collaterals.items():
        legs.append(_collateral_leg(at, margin_id, margin.system.collateral(token), amount))
    first = legs[0]
    return [_with_bound(first, first.error_bound + rounding), *legs[1:]]


def _market_leg(
    at: At, margin_id: str, base_token: str, position: Position, mm_ratio: int
) -> MarginLegs:
    fixed = (
        position.total_open_notional
        + position.pending_fee
        - known(position.pending_funding_payment)
    )
    size = position.total_position_size
    if position.priced.market.status != "open":
        value = known(position.total_position_value)
        fixed += value - abs(value) * mm_ratio // RATIO
        return _leg(at, margin_id, base_token, fixed, 0.0, None)
    slope = (size * RATIO - abs(size) * mm_ratio) / RATIO / WAD
    price = known(position.priced.reference_price) if size else 0
    return _leg(at, margin_id, base_token, fixed, slope, price / WAD)


def _collateral_leg(at: At, margin_id: str, collateral: Collateral, amount: int) -> MarginLegs:
    slope = amount * collateral.collateral_ratio / RATIO / 10**collateral.decimals
    price = known(collateral.price) / 10**collateral.price_feed_decimals
    return _leg(at, margin_id, collateral.token, 0, slope, price)


def _leg(
    at: At, margin_id: str, token: str, fixed: int, slope: float, price: float | None
) -> MarginLegs:
    valid_to = None if price is None else price * VALID_TO
    scale = abs(fixed) / WAD + abs(slope) * (valid_to or 0.0)
    return MarginLegs(
        at=at,
        margin_id=margin_id,
        piece=0,
        price_id=price_id(at, token),
        intercept=fixed / WAD,
        slope=slope,
        valid_from=0.0,
        valid_to=valid_to,
        error_bound=scale * EPSILON + 4 / WAD,
    )


def _with_bound(leg: MarginLegs, bound: float) -> MarginLegs:
    return replace(leg, error_bound=bound)
