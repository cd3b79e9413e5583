"""Comparing liquidation prices with those that a bisection of the contract's verdict ended on."""

from collections.abc import Mapping
from typing import Any, Final

from analyzer.protocol import Comparison
from analyzer.protocols.gmx_v2.liquidation import liquidation_prices
from analyzer.protocols.gmx_v2.risk import Closing, is_position_liquidatable
from analyzer.protocols.gmx_v2.state import Prices

NOISE_BITS: Final = 24
"""Flips of one sawtooth lie within this share of the price, as a power of two."""


def compare_flip(
    comparison: Comparison,
    subject: str,
    closing: Closing,
    prices: Prices,
    theirs: Mapping[str, Any],
) -> None:
    """Compare with a search that looked at both ends of a range of prices and bisected it."""
    flips = liquidation_prices(closing, prices).flips
    pairs = [(flip.liquidatable_price, flip.safe_price) for flip in flips]
    if theirs["exists"]:
        recorded = (int(theirs["liquidatable_price"]), int(theirs["safe_price"]))
        is_near = any(abs(one - recorded[0]) <= recorded[0] >> NOISE_BITS for one, _ in pairs)
        found = recorded if recorded in pairs else _bisected(closing, prices) if is_near else pairs
        comparison.compare("flip", subject, "liquidatable_price, safe_price", found, recorded)
        return
    ends = [(int(theirs[f"{end}End"]), theirs[f"liquidatableAt{end.title()}End"])
            for end in ("bad", "good")]  # fmt: skip
    for price, recorded_end in ends:
        verdict = is_position_liquidatable(
            closing, closing.state.market.at_index_price(prices, price)
        )
        comparison.compare("flip", subject, f"at {price}", verdict.is_liquidatable, recorded_end)
    (low, at_low), (high, at_high) = sorted(ends)
    inside = [pair for pair in pairs if low <= min(pair) < high]
    comparison.compare(
        "flip", subject, "an odd number of flips", len(inside) % 2 == 1, at_low != at_high
    )


def _bisected(closing: Closing, prices: Prices) -> tuple[int, int] | None:
    """The flip on which a plain bisection ends, which is how the recorded ones were found.

    Rounding makes the margin a sawtooth, so that close to its root there can be several flips.
    """
    market, price = closing.state.market, prices.index.mid
    ends = (price // 1000 + 1, 20 * price)
    bad, good = ends if closing.position.is_long else reversed(ends)

    def is_liquidatable(at: int) -> bool:
        return is_position_liquidatable(closing, market.at_index_price(prices, at)).is_liquidatable

    if not is_liquidatable(bad) or is_liquidatable(good):
        return None
    while abs(bad - good) > 1:
        middle = (bad + good) // 2
        if is_liquidatable(middle):
            bad = middle
        else:
            good = middle
    return bad, good
