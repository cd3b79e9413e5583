"""Liquidation prices: none, one or two (rarely more), each confirmed by the exact predicate.

Moved is the index price with min = max, and with it every token that is the same one; all else is
frozen. The piecewise form says where to look; the contract's own arithmetic at a price and at its
neighbour decides. Nothing assumes that the verdict is monotone in the price.
"""

from dataclasses import dataclass
from typing import Final

from analyzer.protocols.gmx_v2.flip_search import Flip, Search, flips_at_roots, flips_in_bands
from analyzer.protocols.gmx_v2.piecewise import margin_pieces
from analyzer.protocols.gmx_v2.risk import Closing, is_position_liquidatable
from analyzer.protocols.gmx_v2.state import Prices
from analyzer.rows import LiquidationKind

REACH_BITS: Final = 20
"""How far is looked: up to 2^20 times the index price."""


@dataclass(frozen=True, slots=True)
class LiquidationPrices:
    """All flips in ascending order, and the bounds of the safe region nearest to the price.

    ``kind`` is ``flip``, ``never`` or ``always``. ``below`` is the highest price under the safe
    region at which the position is liquidatable, ``above`` the lowest over it.
    """

    kind: LiquidationKind
    flips: tuple[Flip, ...]
    below: int | None
    above: int | None


def liquidation_prices(closing: Closing, prices: Prices) -> LiquidationPrices:
    """Where the verdict of a liquidation flips; raises ``Revert`` where there is no verdict."""
    requirement = max(
        closing.min_collateral_usd, closing.min_collateral_usd_for_leverage_for_liquidation, 1
    )
    market = closing.state.market

    def margin(price: int) -> int:
        at_price = market.at_index_price(prices, price)
        return is_position_liquidatable(closing, at_price).remaining_collateral_usd - requirement

    price = max(1, prices.index.mid)
    best, worst = margin_pieces(closing, prices, requirement)
    search = Search(margin, price << REACH_BITS, _floored_fees(closing))
    found = flips_at_roots(search, best) if best is worst else flips_in_bands(search, best, worst)
    flips = tuple(sorted(set(found), key=lambda flip: flip.liquidatable_price))
    if not flips:
        return LiquidationPrices("never" if margin(price) >= 0 else "always", (), None, None)
    below, above = _safe_region(flips, price)
    return LiquidationPrices("flip", flips, below, above)


def _floored_fees(closing: Closing) -> tuple[int, ...]:
    """The fees in USD whose flooring to units of the index token makes the margin a sawtooth."""
    if closing.position.collateral_token != closing.state.market.index_token:
        return ()
    return tuple({*closing.position_fee_usd, closing.borrowing_fee_usd} - {0})


def _safe_region(flips: tuple[Flip, ...], price: int) -> tuple[int | None, int | None]:
    """The bounds of the safe region that holds the price, or else of the nearest one."""
    if len(flips) == 1:
        (flip,) = flips
        at = flip.liquidatable_price
        return (at, None) if at < flip.safe_price else (None, at)
    regions: list[tuple[int | None, int | None]] = []
    opened: Flip | None = None
    for flip in flips:
        if flip.liquidatable_side == "below":
            opened = flip
        else:
            regions.append((opened.liquidatable_price if opened else None, flip.liquidatable_price))
            opened = None
    if opened:
        regions.append((opened.liquidatable_price, None))

    def distance(region: tuple[int | None, int | None]) -> int:
        below, above = region
        under = max(0, below + 1 - price) if below is not None else 0
        over = max(0, price - above + 1) if above is not None else 0
        return under + over

    return min(regions, key=distance)
