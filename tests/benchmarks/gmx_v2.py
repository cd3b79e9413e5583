"""GMX v2: decoding against eth-abi, liquidation prices against plain bisection, in one run."""

from collections.abc import Callable, Sequence
from time import process_time

from analyzer.errors import Revert
from analyzer.protocols.gmx_v2.event_data import Decoder, decode_slowly
from analyzer.protocols.gmx_v2.liquidation import liquidation_prices
from analyzer.protocols.gmx_v2.precision import apply_exponent_factor
from analyzer.protocols.gmx_v2.risk import closing_of, is_position_liquidatable
from tests.protocols.gmx_v2_run import VECTORS, Case, cases, run_of

POSITIONS = 10_000


def main() -> None:
    """Print what was measured."""
    decoding()
    everything = [case for name in VECTORS for case in cases(name)]
    trivial = [case for case in everything if case.closing.impact is not None]
    base = [case for case in trivial if case.closing.max_negative_impact_usd == 0]
    curves = [case for case in everything if case.closing.impact is None]
    for title, chosen in (
        ("impact floor 0, the base configuration", base),
        ("balance in USD", trivial),
        ("balance in tokens, power curves", curves),
    ):
        prices(title, chosen)


def decoding() -> None:
    """Logs per second through the learned layouts and through eth-abi."""
    logs = run_of("2b").logs()
    decoder = Decoder()
    for log in logs:
        decoder.decode(log)
    fast = len(logs) / seconds(lambda: [decoder.decode(log) for log in logs])
    slow = len(logs) / seconds(lambda: [decode_slowly(log) for log in logs], 1)
    print(f"nested events: {fast:,.0f} logs/s, {fast / slow:.0f} x eth-abi ({slow:,.0f} logs/s)")  # noqa: T201


def prices(title: str, chosen: Sequence[Case]) -> None:
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

    def bisected() -> None:
        for case in chosen[:40]:
            apply_exponent_factor.cache_clear()
            bisection(case)

    mine = seconds(ours) / len(chosen) * POSITIONS
    plain = seconds(bisected, 1) / min(40, len(chosen)) * POSITIONS
    print(  # noqa: T201
        f"{POSITIONS:,} verdicts and liquidation prices, {title}: "
        f"{mine:.2f} s, plain bisection {plain / mine:.1f} x that"
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


def seconds(work: Callable[[], object], times: int = 3) -> float:
    """The least processor time of a few runs."""
    best = float("inf")
    for _ in range(times):
        start = process_time()
        work()
        best = min(best, process_time() - start)
    return best


if __name__ == "__main__":
    main()
