"""GMX v1: verdicts and liquidation prices against plain bisection."""

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass

from analyzer.errors import Revert
from analyzer.protocols.gmx_v1.liquidation import liquidation_price
from analyzer.protocols.gmx_v1.risk import SAFE, Position, Terms, validate_liquidation
from analyzer.protocols.gmx_v1.vector_case import Case
from analyzer.protocols.gmx_v1.vector_prices import PriceFile
from tests.benchmarks.measure import Line, seconds
from tests.protocols.gmx_v1_run import VECTORS

POSITIONS = 10_000


@dataclass(frozen=True, slots=True)
class Asked:
    """A position of the vectors at its block."""

    position: Position
    is_long: bool
    price: int
    terms: Terms


def lines() -> Iterator[Line]:
    """Verdict and price at which it flips, of every vector that has a verdict."""
    chosen = list(_asked())
    ours = seconds(lambda: [_ours(one) for one in chosen]) / len(chosen) * POSITIONS
    plain = seconds(lambda: [_bisected(one) for one in chosen]) / len(chosen) * POSITIONS
    yield Line(
        f"{POSITIONS:,} verdicts and liquidation prices",
        f"{ours:.2f} s",
        f"plain bisection {plain / ours:.0f} x that",
    )


def _asked() -> Iterator[Asked]:
    with gzip.open(VECTORS, "rt") as file:
        document = json.load(file)
    prices = PriceFile(document)
    for vector in document["vectors"]:
        case = Case(vector, prices, is_private=False)
        try:
            terms = case.terms("vault", executable=True)
            one = Asked(case.position, case.is_long, case.price(include_amm=True), terms)
            _ours(one)
        except Revert:
            continue
        yield one


def _ours(one: Asked) -> None:
    validate_liquidation(one.position, one.is_long, one.price, one.terms)
    liquidation_price(one.position, one.is_long, one.terms)


def _bisected(one: Asked) -> int:
    """The flip by halving, as if nothing were known of the form."""
    validate_liquidation(one.position, one.is_long, one.price, one.terms)
    low, high = 0, 20 * one.price
    while high - low > 1:
        middle = (low + high) // 2
        verdict = validate_liquidation(one.position, one.is_long, middle, one.terms)
        if (verdict.state == SAFE) == one.is_long:
            high = middle
        else:
            low = middle
    return low
