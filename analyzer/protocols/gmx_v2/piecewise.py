"""A position's margin as a function of the index price: pieces that are ratios of polynomials.

The margin is remaining collateral minus requirement, in USD with 30 decimals. It is linear in the
price as long as neither the pool's cap on profit nor the caps on price impact begin to bind; where
profit is capped it is a quotient of degree two. Two things are left out, and are what the exact
predicate is for: the flooring of fees to whole token units, and price impact that follows a power
of the price. For the latter there is a best and a worst form, between which the margin lies.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import isqrt

from analyzer.protocols.gmx_v2.precision import FLOAT_PRECISION, apply_factor
from analyzer.protocols.gmx_v2.risk import Closing
from analyzer.protocols.gmx_v2.state import Prices

Polynomial = tuple[int, int, int]
"""Coefficients of price to the powers 0, 1 and 2."""


@dataclass(frozen=True, slots=True)
class Piece:
    """The margin between two prices: ``numerator / denominator``, the latter positive there."""

    low: int
    high: int | None
    numerator: Polynomial
    denominator: Polynomial
    is_capped: bool

    def is_safe(self, price: int) -> bool:
        """The sign of the form at a price."""
        return value_at(self.numerator, price) >= 0

    def slope(self, price: int) -> int:
        """The margin's slope at a root of it, in USD (30 decimals) per unit of price."""
        _, first, second = self.numerator
        return (first + 2 * second * price) // max(1, value_at(self.denominator, price))

    def roots(self) -> list[int]:
        """Prices within the piece, one unit wider on both sides, at which the margin is zero."""
        return [
            root
            for root in _roots(self.numerator)
            if root >= self.low - 1 and (self.high is None or root <= self.high + 1)
        ]


@dataclass(frozen=True, slots=True)
class Terms:
    """The parts of a margin in which prices are linear: constant and per unit of price."""

    is_long: bool
    rest: tuple[int, int]
    size: tuple[int, int]
    """Size in USD and in tokens."""
    pool: tuple[int, int]
    """The side's open interest in USD and in tokens."""
    cap: tuple[int, int]
    """What the pool may pay to the side."""
    impact: tuple[int, int]
    max_negative_impact_usd: int


def margin_pieces(
    closing: Closing, prices: Prices, requirement: int
) -> tuple[list[Piece], list[Piece]]:
    """The best and the worst form; one and the same list where the impact is known."""
    if closing.impact is not None:
        impact, improved = closing.impact
        terms = _terms(closing, prices, requirement, impact, closing.position_fee_usd[improved])
        pieces = _pieces(terms)
        return pieces, pieces
    low_fee, high_fee = sorted(closing.position_fee_usd)
    floor = closing.max_negative_impact_usd
    best = _pieces(_terms(closing, prices, requirement, None, low_fee))
    if floor == 0 and low_fee == high_fee:
        return best, best
    return best, _pieces(_terms(closing, prices, requirement + floor, None, high_fee))


def _terms(
    closing: Closing, prices: Prices, requirement: int, impact: int | None, fee_usd: int
) -> Terms:
    """The terms with a price impact in USD, or with none at all."""
    position, market, pool = closing.position, closing.state.market, closing.pool
    rest = _collateral_less_fees(closing, prices, fee_usd)
    pool_token, pool_price = (
        (market.long_token, prices.long.min)
        if position.is_long
        else (market.short_token, prices.short.min)
    )
    paid = pool.pool_amount * pool.max_pnl_factor
    cap = (
        (0, paid // FLOAT_PRECISION)
        if pool_token == market.index_token
        else (paid * pool_price // FLOAT_PRECISION, 0)
    )
    capped, pending = 0, 0
    if impact is not None:
        most = closing.max_positive_impact_usd
        capped = impact if most is None else min(impact, most)
        pending = position.pending_impact_amount if closing.state.release.has_pending_impact else 0
    return Terms(
        is_long=position.is_long,
        rest=(rest[0] - requirement, rest[1]),
        size=(position.size_in_usd, position.size_in_tokens),
        pool=(pool.open_interest, pool.open_interest_in_tokens),
        cap=cap,
        impact=(capped, pending),
        max_negative_impact_usd=closing.max_negative_impact_usd if impact is not None else 0,
    )


def _collateral_less_fees(closing: Closing, prices: Prices, fee_usd: int) -> tuple[int, int]:
    position, market, discounts = closing.position, closing.state.market, closing.discounts
    pro = discounts.pro_discount_factor if discounts.pro_tier else 0
    referral = discounts.trader_discount_factor if discounts.has_referral_code else 0
    amount = position.collateral_amount - closing.funding_fee_amount
    if position.collateral_token == market.index_token:
        fees_usd = fee_usd - apply_factor(fee_usd, max(pro, referral)) + closing.borrowing_fee_usd
        return -fees_usd, amount
    price = market.collateral_price(position.collateral_token, prices).min
    fee = fee_usd // price
    fees = fee - apply_factor(fee, max(pro, referral)) + closing.borrowing_fee_usd // price
    return (amount - fees) * price, 0


def _pieces(terms: Terms) -> list[Piece]:
    cuts = sorted({cut for cut in _cuts(terms) if cut > 0})
    bounds: Sequence[int | None] = [0, *cuts, None]
    return [_piece(terms, low, high) for low, high in pairwise(bounds) if low is not None]


def _cuts(terms: Terms) -> Iterable[int]:
    """Prices at which another form begins: profit, its cap, and the caps on price impact."""
    size, tokens = terms.size
    if tokens:
        yield size // tokens
    pool, pool_tokens = terms.pool
    cap, cap_slope = terms.cap
    signed = 1 if terms.is_long else -1
    if slope := pool_tokens - signed * cap_slope:
        yield (pool + signed * cap) // slope
    impact, pending = terms.impact
    if pending:
        yield -impact // pending
        yield (-terms.max_negative_impact_usd - impact) // pending


def _piece(terms: Terms, low: int, high: int | None) -> Piece:
    probe = 2 * low + 2 if high is None else (low + high + 1) // 2
    constant, slope = terms.rest
    impact = terms.impact[0] + terms.impact[1] * probe
    if -terms.max_negative_impact_usd < impact < 0:
        constant, slope = constant + terms.impact[0], slope + terms.impact[1]
    elif impact < 0:
        constant -= terms.max_negative_impact_usd
    signed = 1 if terms.is_long else -1
    profit = (-signed * terms.size[0], signed * terms.size[1])
    pool = (-signed * terms.pool[0], signed * terms.pool[1])
    cap_at = terms.cap[0] + terms.cap[1] * probe
    has_pool = terms.pool[0] > 0 and terms.pool[1] > 0
    if has_pool and profit[0] + profit[1] * probe > 0 and 0 < cap_at < pool[0] + pool[1] * probe:
        numerator = _sum(_product((constant, slope), pool), _product(profit, terms.cap))
        return Piece(low, high, numerator, (*pool, 0), is_capped=True)
    numerator = (constant + profit[0], slope + profit[1], 0)
    return Piece(low, high, numerator, (1, 0, 0), is_capped=False)


def _product(a: tuple[int, int], b: tuple[int, int]) -> Polynomial:
    return a[0] * b[0], a[0] * b[1] + a[1] * b[0], a[1] * b[1]


def _sum(a: Polynomial, b: Polynomial) -> Polynomial:
    return a[0] + b[0], a[1] + b[1], a[2] + b[2]


def value_at(polynomial: Polynomial, price: int) -> int:
    """The polynomial's value."""
    zeroth, first, second = polynomial
    return zeroth + (first + second * price) * price


def _roots(polynomial: Polynomial) -> list[int]:
    c, b, a = polynomial
    if a == 0:
        return [-c // b] if b else []
    discriminant = b * b - 4 * a * c
    if discriminant < 0:
        return []
    root = isqrt(discriminant)
    return sorted({(-b - root) // (2 * a), (-b + root) // (2 * a)})
