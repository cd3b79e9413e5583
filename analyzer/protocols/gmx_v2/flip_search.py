"""Where the exact margin changes its sign: next to the roots of a form, or between two forms."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from analyzer.errors import Revert
from analyzer.protocols.gmx_v2.piecewise import Piece

SAMPLES: Final = 16

FLOORS: Final = 4
"""How many units of the collateral token flooring can take from the fees, at most."""
MAX_JUMPS: Final = 64
GROWING_STEPS: Final = 40

Margin = Callable[[int], int]


@dataclass(frozen=True, slots=True)
class Flip:
    """Two neighbouring prices with different verdicts (USD with 30 decimals per smallest unit)."""

    liquidatable_price: int
    safe_price: int

    @property
    def liquidatable_side(self) -> str:
        """``below`` if lower prices liquidate, ``above`` if higher ones do."""
        return "below" if self.liquidatable_price < self.safe_price else "above"


@dataclass(frozen=True, slots=True)
class Search:
    """The exact margin by index price, how far to look, and the fees that make it a sawtooth."""

    margin: Margin
    far: int
    floored_fees: tuple[int, ...]


def flips_at_roots(search: Search, pieces: list[Piece]) -> Iterator[Flip]:
    """The flips next to the roots of a form that is right but for the flooring of fees."""
    for piece in pieces:
        for root in piece.roots():
            if 0 < root <= search.far and (slope := piece.slope(root)):
                if search.floored_fees:
                    yield from _flips_of_sawtooth(search, root, slope)
                else:
                    yield from _flip_at(search, root, slope)


def _flip_at(search: Search, root: int, slope: int) -> Iterator[Flip]:
    """The flip next to a root of the form, which is right but for the last few units.

    Bracketed by steps that grow; a form that only touches zero has no flip there.
    """
    value = search.margin(root)
    rising = slope > 0
    step = -1 if (value >= 0) == rising else 1
    low, low_value = root, value
    for _ in range(GROWING_STEPS):
        price = min(max(1, low + step), search.far)
        if price == low:
            return
        price_value = search.margin(price)
        if (price_value >= 0) != (low_value >= 0):
            yield _narrow(search.margin, low, low_value, price, price_value)
            return
        low, low_value, step = price, price_value, step * 4


def _flips_of_sawtooth(search: Search, root: int, slope: int) -> Iterator[Flip]:
    """All flips around a root where fees are floored to units of the token whose price moves.

    Between the prices at which a fee loses a unit the margin is a line; at them it jumps by one
    unit's worth, so that close to the root it can cross zero several times.
    """
    reach = FLOORS * root // max(1, abs(slope)) + 2
    low, high = max(1, root - reach), min(root + reach, search.far)
    points = {low, high}
    for fee in search.floored_fees:
        most, least = fee // low, fee // high
        if most - least > MAX_JUMPS:
            break
        for units in range(max(1, least), most + 1):
            points |= {point for point in (fee // units, fee // units + 1) if low < point < high}
    ordered = sorted(points)
    values = [search.margin(point) for point in ordered]
    for a, b, a_value, b_value in zip(
        ordered[:-1], ordered[1:], values[:-1], values[1:], strict=True
    ):
        if (a_value >= 0) != (b_value >= 0):
            yield _narrow(search.margin, a, a_value, b, b_value)


def flips_in_bands(search: Search, best: list[Piece], worst: list[Piece]) -> Iterator[Flip]:
    """Search the prices at which the best form is safe and the worst is not."""
    far = search.far
    cuts = {1, far}
    for piece in (*best, *worst):
        cuts |= {cut for cut in (piece.low, *piece.roots()) if 1 < cut < far}
    low, before, agreed = 1, None, None
    inside = False
    for left, right in pairwise(sorted(cuts)):
        middle = (left + right) // 2
        is_safe = _is_safe(best, middle)
        if is_safe != _is_safe(worst, middle):
            if not inside:
                low, before, inside = left, agreed, True
            continue
        agreed = is_safe
        if inside:
            yield from _search(search, low, before, left, is_safe)
            inside = False
    if inside:
        yield from _search(search, low, before, far, None)


def _search(
    search: Search, low: int, before: bool | None, high: int, after: bool | None
) -> Iterator[Flip]:
    """All flips that samples show between two prices, outside of which both forms agree.

    ``before`` and ``after`` is what they agree on: the ends are moved out until the exact margin
    does so too, to make up for the flooring that the forms leave out.
    """
    margin = search.margin
    low, low_value = _moved_out(search, low, -1, before)
    high, high_value = _moved_out(search, high, 1, after)
    if low_value is None:
        return
    if high_value is not None and (low_value >= 0) != (high_value >= 0):
        yield from _all_around(search, _narrow(margin, low, low_value, high, high_value))
        return
    previous, previous_value = low, low_value
    for sample in range(1, SAMPLES + 1):
        price = low + (high - low) * sample * sample // (SAMPLES * SAMPLES)
        value = _margin_if_any(margin, price)
        if value is None:
            return
        if (value >= 0) != (previous_value >= 0):
            flip = _narrow(margin, previous, previous_value, price, value)
            yield from _all_around(search, flip)
        previous, previous_value = price, value


def _all_around(search: Search, flip: Flip) -> Iterator[Flip]:
    """A flip, with those close by where flooring makes the margin a sawtooth."""
    if not search.floored_fees:
        yield flip
        return
    price = flip.safe_price
    reach = min((price >> 20) + 1, price - 1, search.far - price)
    rise = search.margin(price + reach) - search.margin(price - reach) if reach > 0 else 0
    found = list(_flips_of_sawtooth(search, price, rise // (2 * reach))) if rise else []
    yield from found or [flip]


def _moved_out(
    search: Search, price: int, direction: int, agreed: bool | None
) -> tuple[int, int | None]:
    """A price a little further out at which the margin has the agreed sign, and that margin."""
    step = (price >> 24) + 2
    for _ in range(GROWING_STEPS):
        at = min(max(1, price + direction * step), search.far)
        value = _margin_if_any(search.margin, at)
        if agreed is None or value is None or (value >= 0) == agreed or at in (1, search.far):
            break
        step *= 4
    return at, value


def _margin_if_any(margin: Margin, price: int) -> int | None:
    """The margin, or none at a price that no arithmetic of the contract can take."""
    try:
        return margin(price)
    except Revert:
        return None


def _narrow(margin: Margin, a: int, a_value: int, b: int, b_value: int) -> Flip:
    """Close in on two neighbours with different verdicts: regula falsi, halving when it is slow."""
    turn = 0
    while abs(b - a) > 1:
        if turn % 3 == 2:
            middle = (a + b) // 2
        else:
            middle = a + (b - a) * a_value // (a_value - b_value)
            middle = min(max(middle, min(a, b) + 1), max(a, b) - 1)
        value = margin(middle)
        if (value >= 0) == (a_value >= 0):
            a, a_value = middle, value
        else:
            b, b_value = middle, value
        turn += 1
    return Flip(a, b) if a_value < 0 else Flip(b, a)


def _is_safe(pieces: list[Piece], price: int) -> bool:
    piece = next(
        piece
        for piece in pieces
        if piece.low <= price and (piece.high is None or price <= piece.high)
    )
    return piece.is_safe(price)
