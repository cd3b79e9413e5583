"""Where a position becomes liquidatable: an exact search on the contract's own formula.

The variable is the AMM's quote reserve, moved along its curve and held there until the 15-minute
TWAP has followed; the price that is published is the spot price of those reserves. The oracle
stays where it is. Where the over-spread rule then protects the trader, the oracle is ``binding``:
the mark is bad enough, and ``oracle_price`` is the oracle price that the liquidation also needs.

The verdict wobbles by a few wei around its edge (divisions on the curve), so the edge is a pair of
neighbouring reserves of which both were evaluated, inside a proven ``band``: on its one side every
reserve liquidates, on its other side none does.
"""

from dataclasses import dataclass, replace
from math import isqrt

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
    PnlCalcOption,
    Position,
    get_funding_payment,
    get_margin_ratio,
    judge,
    value_position,
)
from analyzer.protocols.perp_v1.decimals import ONE, mul_d
from analyzer.protocols.perp_v1.search import bisect, boundary, gallop, holds
from analyzer.rows import LiquidationKind


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
    """Only a flip has an edge."""

    kind: LiquidationKind
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
        return (
            boundary(self.is_below, near, 0, above),
            boundary(self.is_above, near, above, 0),
        )


def _search(amm: Amm, position: Position, config: Config, curve: _Curve) -> LiquidationPrice:
    towards = -1 if position.size > 0 else 1

    def is_bad(reserve: int) -> bool:
        ratio = get_margin_ratio(held(amm, reserve), position).margin_ratio
        return ratio < config.maintenance_margin_ratio

    root = max(1, curve.root())
    bad = gallop(is_bad, root, towards)
    if bad is None:
        return LiquidationPrice("never", reason="no reserves on the curve liquidate it")
    safe = gallop(lambda reserve: not holds(is_bad, reserve), root, -towards)
    if safe is None:
        return LiquidationPrice("always", reason="all reserves on the curve liquidate it")
    reserve = bisect(lambda x: holds(is_bad, x), bad, safe)
    at_edge = held(amm, reserve)
    try:
        is_mark = judge(at_edge, position, config).is_liquidatable
        oracle = None if is_mark else _oracle_edge(at_edge, position, config)
        shielded = _shield(amm, position, config, reserve) if is_mark else None
    except Revert as revert:
        return LiquidationPrice("unknown", reason=f"reverted: {revert.reason}")
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

    mark, oracle = get_spot_price(amm), get_underlying_price(amm)
    spread = amm.max_oracle_spread_ratio if mark < oracle else -amm.max_oracle_spread_ratio
    guess = mark * ONE // (ONE - spread) if spread < ONE else oracle
    return boundary(lets_go, guess, mark, oracle)


def _shield(amm: Amm, position: Position, config: Config, reserve: int) -> int | None:
    """The first mark beyond the edge at which the over-spread rule protects again, if it does."""
    oracle = get_underlying_price(amm)
    at_oracle = value_position(amm, position, PnlCalcOption.ORACLE)
    if at_oracle.margin_ratio < config.maintenance_margin_ratio:
        return None

    def protects(at: int) -> bool:
        return not holds(lambda x: judge(held(amm, x), position, config).is_liquidatable, at)

    towards = -1 if position.size > 0 else 1
    limit = oracle * max(0, ONE + towards * amm.max_oracle_spread_ratio) // ONE
    k = mul_d(amm.quote_asset_reserve, amm.base_asset_reserve)
    guess = isqrt(limit * k)
    start = min(guess, reserve) if towards < 0 else max(guess, reserve)
    beyond = gallop(protects, start, towards)
    if beyond is None:
        return None
    return get_spot_price(held(amm, boundary(protects, guess, beyond, reserve)))
