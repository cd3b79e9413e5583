"""The mark price at which an account becomes liquidatable, everything else frozen.

Account value is rounded down to the settlement token's unit while the requirement is not, so for a
long the verdict can go liquidatable, safe, liquidatable, safe as the mark rises. Both ends of that
band are found exactly; a short has one edge.
"""

from dataclasses import dataclass

from analyzer.protocols.perp_v2.account import (
    MarginAccount,
    get_total_abs_position_value,
    get_unrounded_account_value,
)
from analyzer.protocols.perp_v2.perp_math import RATIO, WAD, mul_div, mul_ratio
from analyzer.protocols.perp_v2.state import known
from analyzer.reads import MissingError
from analyzer.rows import LiquidationKind


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkSlice:
    """An account seen as a function of one market's mark, all amounts with 18 decimals.

    ``rest_value`` is the unrounded account value and ``rest_abs`` the position value of all else;
    ``quantum`` is one unit of the settlement token.
    """

    size: int
    rest_value: int
    rest_abs: int
    mm_ratio: int
    quantum: int

    def is_liquidatable(self, mark: int) -> bool:
        """``ClearingHouse._isLiquidatable`` if this were the mark."""
        value = mul_div(self.size, mark, WAD)
        floored = (self.rest_value + value) // self.quantum * self.quantum
        return floored < mul_ratio(self.rest_abs + abs(value), self.mm_ratio)

    def quantum_of(self, mark: int) -> int:
        """How many whole settlement units the account is worth at a mark."""
        return (self.rest_value + mul_div(self.size, mark, WAD)) // self.quantum


@dataclass(frozen=True, slots=True)
class LiquidationPrice:
    """Marks with 18 decimals.

    ``below`` is the highest liquidatable mark under the safe region, ``above`` the lowest over it;
    between ``first_safe`` and ``below`` a long's verdict is not monotone.
    """

    kind: LiquidationKind
    below: int | None = None
    above: int | None = None
    first_safe: int | None = None


def mark_slice(margin: MarginAccount, base_token: str) -> MarkSlice:
    """The account as a function of a market's mark; raises where any of it is unknown.

    In a market that is not open the mark has no part in the verdict: the size counts as none.
    """
    position = margin.positions[base_token]
    config = margin.system.config
    is_open = position.priced.market.status == "open"
    size = position.total_position_size if is_open else 0
    value = known(position.total_position_value) if is_open else 0
    return MarkSlice(
        size=size,
        rest_value=get_unrounded_account_value(margin) - value,
        rest_abs=get_total_abs_position_value(margin) - abs(value),
        mm_ratio=config.mm_ratio,
        quantum=10 ** (18 - config.settlement_decimals),
    )


def get_liquidation_price(cut: MarkSlice) -> LiquidationPrice:
    """The marks around the safe region; exact. A requirement of all value has none for longs."""
    if cut.size > 0 and cut.mm_ratio >= RATIO:
        raise MissingError(
            f"a maintenance ratio of {cut.mm_ratio} millionths leaves no safe region"
        )
    if cut.size == 0:
        return LiquidationPrice("always" if cut.is_liquidatable(0) else "never")
    if cut.size < 0:
        above = first_liquidatable_of_short(cut)
        return LiquidationPrice("flip" if above else "always", above=above or None)
    below = last_liquidatable_of_long(cut)
    if below is None:
        return LiquidationPrice("never")
    return LiquidationPrice("flip", below=below, first_safe=first_safe_of_long(cut))


def first_liquidatable_of_short(cut: MarkSlice) -> int:
    """The lowest mark at which a short is liquidatable: value falls and requirement rises."""
    low, high = -1, 1
    while not cut.is_liquidatable(high):
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if cut.is_liquidatable(middle) else (middle, high)
    return high


def last_liquidatable_of_long(cut: MarkSlice, at_most: int | None = None) -> int | None:
    """The highest mark, up to ``at_most``, at which a long is liquidatable; ``None`` for none.

    Within one settlement unit the verdict only turns from safe to liquidatable as the mark rises,
    so the highest mark of each unit decides; from one unit to the next it only gets safer.
    """
    mark = _highest_mark(cut, _last_unit(cut, 1))
    if at_most is not None:
        mark = min(mark, at_most)
    while mark >= 0 and not cut.is_liquidatable(mark):
        mark = _highest_mark(cut, cut.quantum_of(mark) - 1)
    return mark if mark >= 0 else None


def first_safe_of_long(cut: MarkSlice) -> int:
    """The lowest mark at which a long is safe: the lowest mark of the first safe unit."""
    mark = max(0, _highest_mark(cut, _last_unit(cut, 0)) + 1)
    while cut.is_liquidatable(mark):
        mark = _highest_mark(cut, cut.quantum_of(mark)) + 1
    return mark


def _last_unit(cut: MarkSlice, end: int) -> int:
    """The last settlement unit whose start (``end`` 0) or end (1) is liquidatable in value terms.

    Value grows by a unit where the requirement grows by less, so this is one boundary: with
    ``v = rest_abs - rest_value + (units + end) * quantum - end``, ``units * quantum < v * mm``.
    """
    offset = cut.rest_abs - cut.rest_value
    low, high = -1, 1

    def is_liquidatable(units: int) -> bool:
        value = max(offset + (units + end) * cut.quantum - end, cut.rest_abs)
        return units * cut.quantum < mul_ratio(value, cut.mm_ratio)

    while is_liquidatable(high):
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if is_liquidatable(middle) else (low, middle)
    return low


def _highest_mark(cut: MarkSlice, units: int) -> int:
    """The highest mark at which a long's account is worth at most so many settlement units."""
    value = (units + 1) * cut.quantum - 1 - cut.rest_value
    return ((value + 1) * WAD - 1) // cut.size if value >= 0 else -1


def get_reachable_liquidation(
    cut: MarkSlice, found: LiquidationPrice, lowest: int, highest: int
) -> int | None:
    """The first liquidatable mark that the oracle alone can bring about, if there is one.

    The mark is a median: with the market still, it stays within the two market TWAPs.
    """
    if found.kind == "never":
        return None
    if found.kind == "always" or cut.size <= 0:
        nearest = max(lowest, found.above or 0)
        return nearest if nearest <= highest else None
    nearest_below = last_liquidatable_of_long(cut, highest)
    return nearest_below if nearest_below is not None and nearest_below >= lowest else None
