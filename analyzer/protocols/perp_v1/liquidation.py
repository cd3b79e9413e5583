"""Where a position becomes liquidatable: an exact search on the contract's own formula.

The variable is the AMM's quote reserve, moved along its curve and held there until the 15-minute
TWAP has followed; the price that is published is the spot price of those reserves. The oracle
stays where it is. Where the over-spread rule then protects the trader, the oracle is ``binding``:
the mark is bad enough, and ``oracle_price`` is the oracle price that the liquidation also needs.

The verdict wobbles by a few wei around its edge (divisions on the curve), so the edge is a pair of
neighbouring reserves of which both were evaluated, inside a proven ``band``: on its one side every
reserve liquidates, on its other side none does.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import isqrt
from typing import Final

from analyzer.errors import Revert
from analyzer.protocols.perp_v1.amm import (
    Amm,
    ReserveSnapshot,
    get_spot_price,
    get_underlying_price,
    move_reserves,
)
from analyzer.protocols.perp_v1.clearing_house import (
    Config,
    Position,
    get_funding_payment,
    get_margin_ratio,
    judge,
)
from analyzer.protocols.perp_v1.decimals import ONE, mul_d
from analyzer.units import BASIS_POINTS

GALLOPS: Final = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """Neighbouring quote reserves with different verdicts, and what surrounds them.

    ``price`` is the mark at ``liquidatable_reserve``. ``band`` holds the reserves between which
    rounding decides. ``shielded_price`` is the first mark beyond the edge at which the over-spread
    rule protects again, if it does.
    """

    price: int
    liquidatable_reserve: int
    safe_reserve: int
    band: tuple[int, int]
    binding: str
    oracle_price: int | None
    shielded_price: int | None


@dataclass(frozen=True, slots=True)
class LiquidationPrice:
    """``kind`` is ``flip``, ``never``, ``always`` or ``unknown``; only a flip has an edge."""

    kind: str
    edge: Edge | None = None
    reason: str = ""


def held(amm: Amm, quote_asset_reserve: int) -> Amm:
    """The AMM after its reserves moved along the curve and the TWAP has caught up with them."""
    moved = move_reserves(amm, quote_asset_reserve)
    snapshot = ReserveSnapshot(
        moved.quote_asset_reserve,
        moved.base_asset_reserve,
        moved.block_timestamp,
        moved.block_number,
    )
    return replace(moved, reserve_snapshots=(snapshot,), first_snapshot=0)


def liquidation_price(amm: Amm, position: Position, config: Config) -> LiquidationPrice:
    """The edge of the safe region in mark price, for one position with all else frozen."""
    required, owed = config.maintenance_margin_ratio, get_funding_payment(amm, position)
    if not amm.is_open:
        return LiquidationPrice("never", reason="amm was closed")
    if not 0 < required < ONE:
        return LiquidationPrice("unknown", reason="the maintenance margin ratio is not below 1")
    if position.size > 0:
        cost = position.open_notional + owed - position.margin
        if cost <= 0:
            return LiquidationPrice("never", reason="the margin covers the whole position")
        curve = _Curve(amm, position.size, (cost * ONE - 1) // (ONE - required))
    else:
        worth = position.open_notional - owed + position.margin
        if worth <= 0:
            return LiquidationPrice("always", reason="the funding owed exceeds the proceeds")
        curve = _Curve(amm, position.size, worth * ONE // (ONE + required) + 1)
    return _search(amm, position, config, curve)


def distance_bps(amm: Amm, position: Position, found: LiquidationPrice) -> int | None:
    """How far the binding prices are from the edge, in basis points of their current value."""
    if found.edge is None:
        return None
    mark, oracle = get_spot_price(amm), get_underlying_price(amm)
    sign = 1 if position.size > 0 else -1
    ways = [sign * (mark - found.edge.price) * BASIS_POINTS // mark if mark else 0]
    if found.edge.oracle_price is not None and oracle:
        ways.append(sign * (oracle - found.edge.oracle_price) * BASIS_POINTS // oracle)
    return max(0, *ways)


@dataclass(frozen=True, slots=True)
class _Curve:
    """The notional of ``size`` along the curve, bounded from both sides of its roundings.

    ``limit`` is the highest notional that liquidates a long, or the lowest that does so to a short.
    With K = k * 1e18 the base reserve is K // x, and dropping or granting every rounding gives the
    bounds on ``getOutputPrice`` that the four inequalities below rest on.
    """

    amm: Amm
    size: int
    limit: int

    @property
    def k(self) -> int:
        return mul_d(self.amm.quote_asset_reserve, self.amm.base_asset_reserve) * ONE

    def root(self) -> int:
        """The quote reserve at which the real-valued notional equals the limit."""
        n, limit = abs(self.size), self.limit
        root = isqrt(limit * limit * n * n + 4 * n * limit * self.k)
        return (root + (limit * n if self.size > 0 else -limit * n)) // (2 * n)

    def is_below(self, x: int) -> bool:
        """Whether every rounding leaves the notional at x on the limit's lower side."""
        n, k = abs(self.size), self.k
        if self.size > 0:
            return (n * x + ONE) * x <= (self.limit - 1) * (k + (n - 1) * x)
        pole = k - x * (1 + n)
        return pole > 0 and n * x * x < (self.limit - 1) * pole

    def is_above(self, x: int) -> bool:
        """Whether every rounding leaves the notional at x on the limit's upper side."""
        n, k = abs(self.size), self.k
        if self.size > 0:
            return n * x * x > (self.limit + 1) * (k + n * x)
        return n * x >= k or (n * x - ONE) * x >= self.limit * (k - n * x)

    def band(self, near: int) -> tuple[int, int]:
        """The last reserve that is certainly below the limit, the first certainly above it."""
        above = near + 1
        while not self.is_above(above):
            above *= 2
        return _bisect(self.is_below, 0, above), _bisect(self.is_above, above, 0)


def _search(amm: Amm, position: Position, config: Config, curve: _Curve) -> LiquidationPrice:
    towards = -1 if position.size > 0 else 1

    def is_bad(reserve: int) -> bool:
        ratio = get_margin_ratio(held(amm, reserve), position).margin_ratio
        return ratio < config.maintenance_margin_ratio

    def is_liquidatable(reserve: int) -> bool:
        return judge(held(amm, reserve), position, config).is_liquidatable

    root = max(1, curve.root())
    bad = _gallop(is_bad, root, towards)
    safe = _gallop(lambda reserve: not _holds(is_bad, reserve), root, -towards)
    if bad is None or safe is None:
        return LiquidationPrice("never", reason="no reserves on the curve liquidate it")
    reserve = _bisect(lambda x: _holds(is_bad, x), bad, safe)
    at_edge = held(amm, reserve)
    try:
        is_mark = judge(at_edge, position, config).is_liquidatable
        oracle = None if is_mark else _oracle_edge(at_edge, position, config)
    except Revert as revert:
        return LiquidationPrice("unknown", reason=f"reverted: {revert.reason}")
    shielded = None
    if is_mark:
        beyond = _gallop(lambda x: not _holds(is_liquidatable, x), reserve, towards)
        if beyond is not None:
            last = _bisect(lambda x: not _holds(is_liquidatable, x), beyond, reserve)
            shielded = get_spot_price(held(amm, last))
    edge = Edge(
        price=get_spot_price(at_edge),
        liquidatable_reserve=reserve,
        safe_reserve=reserve - towards,
        band=curve.band(root),
        binding="mark" if is_mark else "oracle",
        oracle_price=oracle,
        shielded_price=shielded,
    )
    return LiquidationPrice("flip", edge)


def _oracle_edge(amm: Amm, position: Position, config: Config) -> int:
    """The oracle price nearest to the present one at which the over-spread rule lets go.

    Between the mark, where there is no spread, and the present oracle the spread only grows.
    """

    def lets_go(oracle_price: int) -> bool:
        return judge(replace(amm, underlying_price=oracle_price), position, config).is_liquidatable

    return _bisect(lets_go, get_spot_price(amm), get_underlying_price(amm))


def _holds(predicate: Callable[[int], bool], reserve: int) -> bool:
    """A predicate of the contract; where the contract reverts, nothing is liquidated."""
    try:
        return predicate(reserve)
    except Revert:
        return False


def _gallop(predicate: Callable[[int], bool], start: int, towards: int) -> int | None:
    """The first point with the predicate in steps that double, or None if there is none."""
    step, point = 1, start
    for _ in range(GALLOPS):
        if point >= 1 and _holds(predicate, point):
            return point
        point = start + towards * step
        if point < 1:
            return 1 if _holds(predicate, 1) else None
        step *= 2
    return None


def _bisect(predicate: Callable[[int], bool], true: int, false: int) -> int:
    """The point with the predicate whose neighbour towards ``false`` lacks it."""
    while abs(true - false) > 1:
        middle = (true + false) // 2
        if predicate(middle):
            true = middle
        else:
            false = middle
    return true
