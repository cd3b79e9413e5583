"""The SDK's liquidation prices and ours, beside those at which the contract's verdict flips."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from statistics import median

from analyzer.protocols.gmx_v2.liquidation import liquidation_prices
from analyzer.protocols.gmx_v2.risk import is_position_liquidatable
from tests.benchmarks.gmx_sdk import flipping, stored_answers
from tests.protocols.gmx_v2_run import VECTORS, Case

BASIS_POINTS = 10_000


@dataclass(frozen=True, slots=True)
class Compared:
    """A vector with the contract's flip, the SDK's answer and all of ours."""

    case: Case
    liquidatable_price: int
    safe_price: int
    sdk: int
    ours: tuple[tuple[int, int], ...]

    @property
    def is_ours_equal(self) -> bool:
        """Whether both sides of the contract's flip are a flip of ours, to the last integer."""
        return (self.liquidatable_price, self.safe_price) in self.ours

    @property
    def sdk_distance_bps(self) -> Fraction:
        """How far the SDK's price is from the nearer side of the flip."""
        distance = min(abs(self.sdk - self.safe_price), abs(self.sdk - self.liquidatable_price))
        return Fraction(distance * BASIS_POINTS, self.liquidatable_price)

    @property
    def is_sdk_late(self) -> bool:
        """Whether a price on its way to the SDK's passes the contract's first."""
        if self.liquidatable_price < self.safe_price:
            return self.sdk < self.liquidatable_price
        return self.sdk > self.liquidatable_price

    @property
    def is_near_and_leveraged(self) -> bool:
        """Whether the flip is within 20 % of the price and size at least twice the collateral."""
        price, position = self.case.prices.index.mid, self.case.position
        collateral_price = self.case.state.market.collateral_price(
            position.collateral_token, self.case.prices
        ).min
        is_near = abs(self.safe_price - price) * 5 <= price
        return is_near and position.size_in_usd >= 2 * position.collateral_amount * collateral_price

    @property
    def is_balance_improved(self) -> bool:
        """Whether closing the position at the present price improves the market's balance."""
        return is_position_liquidatable(self.case.closing, self.case.prices).balance_was_improved


SETS: dict[str, Callable[[Compared], bool]] = {
    "all": lambda _: True,
    "opened through the order flow": lambda one: one.case.vector["source"] == "real",
    "flip within 20 % of the price, leverage at least 2": lambda one: one.is_near_and_leveraged,
    "closing improves the balance": lambda one: one.is_balance_improved,
    "open interest balanced in tokens": lambda one: one.case.state.in_tokens,
}
HEAD = (
    "positions", "n", "SDK: equal", "< 1 bp", "< 10 bp", "median", "90 % within", "largest",
    "too late", "perpscope: equal", "off",
)  # fmt: skip


def compared() -> list[Compared]:
    """Every vector that the SDK was asked about, with our prices computed now."""
    answers = stored_answers().prices
    return [_compared(case, answers[name]) for name in VECTORS for case in flipping(name)]


def _compared(case: Case, answers: Mapping[str, int]) -> Compared:
    recorded = case.vector["flip"]
    return Compared(
        case,
        int(recorded["liquidatable_price"]),
        int(recorded["safe_price"]),
        answers[str(case.vector["id"])],
        tuple(
            (flip.liquidatable_price, flip.safe_price)
            for flip in liquidation_prices(case.closing, case.prices).flips
        ),
    )


def rows(every: Sequence[Compared]) -> list[tuple[object, ...]]:
    """The table's rows, one a set of positions."""
    return [(name, *row([one for one in every if belongs(one)])) for name, belongs in SETS.items()]


def row(chosen: Sequence[Compared]) -> tuple[object, ...]:
    """One set of positions; the columns are those of ``HEAD`` after its name."""
    distances = sorted(one.sdk_distance_bps for one in chosen)
    equal = sum(one.is_ours_equal for one in chosen)
    return (
        len(chosen),
        distances.count(Fraction(0)),
        sum(distance < 1 for distance in distances),
        sum(distance < 10 for distance in distances),
        _basis_points(median(distances)),
        _basis_points(distances[-(-9 * len(distances) // 10) - 1]),
        _basis_points(distances[-1]),
        sum(one.is_sdk_late for one in chosen),
        equal,
        len(chosen) - equal,
    )


def _basis_points(distance: Fraction) -> str:
    return f"{float(distance):.1f} bp" if distance < 100 else f"{float(distance / 100):.1f} %"
