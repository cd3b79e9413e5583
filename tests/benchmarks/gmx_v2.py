"""GMX v2: decoding against eth-abi, liquidation prices against plain bisection."""

from collections.abc import Iterator, Sequence

from analyzer.errors import Revert
from analyzer.event_columns import decode
from analyzer.log_columns import LogColumns
from analyzer.protocols.gmx_v2.event_data import decode_slowly, known_events
from analyzer.protocols.gmx_v2.liquidation import liquidation_prices
from analyzer.protocols.gmx_v2.precision import apply_exponent_factor
from analyzer.protocols.gmx_v2.replay import HANDLERS
from analyzer.protocols.gmx_v2.risk import closing_of, is_position_liquidatable
from tests.benchmarks.measure import Line, seconds
from tests.protocols.gmx_v2_run import VECTORS, Case, cases, run_of

POSITIONS = 10_000
BISECTED = 40
ROUNDS = 10


def lines() -> Iterator[Line]:
    """Nested events, then positions by what their price impact depends on."""
    yield from decoding()
    everything = [case for name in VECTORS for case in cases(name)]
    trivial = [case for case in everything if case.closing.impact is not None]
    base = [case for case in trivial if case.closing.max_negative_impact_usd == 0]
    curves = [case for case in everything if case.closing.impact is None]
    yield prices("impact floor 0, the base setting", base)
    yield prices("balance in USD", trivial)
    yield prices("balance in tokens, power curves", curves)


def decoding() -> Iterator[Line]:
    """Nested events to words and to values, against eth-abi on the same logs."""
    recorded = run_of("2b").logs()
    logs = LogColumns.join([LogColumns.of(recorded)] * ROUNDS)
    known = known_events(list(HANDLERS))
    slow = len(recorded) / seconds(lambda: [decode_slowly(log) for log in recorded], 1)
    for what, work in {
        "nested events to words": lambda: decode(known, logs),
        "nested events to Python values": lambda: list(decode(known, logs)),
    }.items():
        fast = len(logs) / seconds(work)
        yield Line(what, f"{fast:,.0f} logs/s", f"{fast / slow:.0f} x eth-abi")


def prices(title: str, chosen: Sequence[Case]) -> Line:
    """Verdict and liquidation prices of 10,000 positions, and the same by bisection."""

    def ours() -> None:
        for case in chosen:
            apply_exponent_factor.cache_clear()
            made = closing_of(
                case.state, case.position, case.closing.discounts,
                case.state.stored(case.position),
            )  # fmt: skip
            is_position_liquidatable(made, case.prices)
            liquidation_prices(made, case.prices)

    few = chosen[:: max(1, len(chosen) // BISECTED)]

    def bisected() -> None:
        for case in few:
            apply_exponent_factor.cache_clear()
            bisection(case)

    mine = seconds(ours, 2) / len(chosen) * POSITIONS
    plain = seconds(bisected, 1) / len(few) * POSITIONS
    return Line(
        f"{POSITIONS // 1000}k prices: {title}",
        f"{mine:.2f} s",
        f"plain bisection {plain / mine:.1f} x that",
    )


def bisection(case: Case) -> None:
    """One flip by halving, as if nothing were known of the form."""
    low, high = case.prices.index.mid // 1000 + 1, 20 * case.prices.index.mid
    market = case.state.market
    try:
        while high - low > 1:
            middle = (low + high) // 2
            at_price = market.at_index_price(case.prices, middle)
            safe = not is_position_liquidatable(case.closing, at_price).is_liquidatable
            if safe == case.position.is_long:
                high = middle
            else:
                low = middle
    except Revert:
        return
