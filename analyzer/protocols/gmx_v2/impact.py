"""``PositionPricingUtils.getPriceImpactUsd``: the price impact of closing a whole position."""

from dataclasses import dataclass

from analyzer.protocols.gmx_v2.precision import apply_exponent_factor, apply_factor
from analyzer.protocols.gmx_v2.state import MarketState, Words, sign


@dataclass(frozen=True, slots=True)
class OpenInterest:
    """``OpenInterestParams``: both sides before and after, in USD with 30 decimals."""

    long: int
    short: int
    next_long: int
    next_short: int

    @property
    def diff(self) -> int:
        """``initialDiffUsd``."""
        return abs(self.long - self.short)

    @property
    def next_diff(self) -> int:
        """``nextDiffUsd``."""
        return abs(self.next_long - self.next_short)

    @property
    def is_same_side(self) -> bool:
        """``isSameSideRebalance``."""
        return (self.long <= self.short) == (self.next_long <= self.next_short)

    @property
    def was_improved(self) -> bool:
        """``balanceWasImproved``."""
        return self.next_diff < self.diff


def get_price_impact_usd(
    state: MarketState, size_in_usd: int, size_in_tokens: int, is_long: bool, index_mid: int
) -> tuple[int, bool]:
    """Impact in USD (30 decimals) of closing the size, and the flag that selects the fee tier."""
    delta = size_in_tokens * index_mid if state.in_tokens else size_in_usd
    pool = next_open_interest(state, delta, is_long, index_mid)
    impact, improved = impact_of(state, pool)
    if impact < 0 and state.words["VIRTUAL_TOKEN_ID"]:
        virtual = next_open_interest_for_virtual_inventory(state, delta, is_long, index_mid)
        virtual_impact, virtual_improved = impact_of(state, virtual)
        if virtual_impact < impact:
            impact, improved = virtual_impact, virtual_improved
    return impact, improved if state.release.fee_tier_by_balance else impact > 0


def balance_was_improved(
    state: MarketState, size_in_usd: int, size_in_tokens: int, is_long: bool
) -> bool | None:
    """The flag of ``get_price_impact_usd`` where it follows from the balances alone; else ``None``.

    It then depends on no price, since in tokens mode all of a balance is multiples of the price:
    a balance that improves on its own side has impact of at least zero, one that does not of at
    most zero. Only a crossover asks for the curve.
    """
    if not state.release.fee_tier_by_balance:
        return None
    delta = size_in_tokens if state.in_tokens else size_in_usd
    pool = next_open_interest(state, delta, is_long, 1)
    if not state.words["VIRTUAL_TOKEN_ID"] or (pool.was_improved and pool.is_same_side):
        return pool.was_improved
    virtual = next_open_interest_for_virtual_inventory(state, delta, is_long, 1)
    if virtual.was_improved == pool.was_improved:
        return pool.was_improved
    if virtual.was_improved and virtual.is_same_side:
        return pool.was_improved
    return None


def next_open_interest(
    state: MarketState, delta: int, is_long: bool, index_mid: int
) -> OpenInterest:
    """``getNextOpenInterest`` for a decrease by ``delta`` USD; the closing side ends at zero."""
    return _decreased(
        state.open_interest_for_balance(True, index_mid),
        state.open_interest_for_balance(False, index_mid),
        delta,
        is_long,
    )


def next_open_interest_for_virtual_inventory(
    state: MarketState, delta: int, is_long: bool, index_mid: int
) -> OpenInterest:
    """``getNextOpenInterestForVirtualInventory`` for a decrease by ``delta`` USD."""
    if state.in_tokens:
        inventory = state.words["VIRTUAL_INVENTORY_FOR_POSITIONS_IN_TOKENS"] * index_mid
    else:
        inventory = state.words["VIRTUAL_INVENTORY_FOR_POSITIONS"]
    long, short = (0, inventory) if inventory > 0 else (-inventory, 0)
    return _decreased(long + delta, short + delta, delta, is_long)


def impact_of(state: MarketState, balance: OpenInterest) -> tuple[int, bool]:
    """``_getPriceImpactUsd``: the curve of one balance, and whether the balance improved."""
    (positive_factor, positive_exponent), (negative_factor, negative_exponent) = curves(state)
    improved = balance.was_improved
    if balance.is_same_side:
        factor, exponent = (
            (positive_factor, positive_exponent)
            if improved
            else (negative_factor, negative_exponent)
        )
        before = _impact(balance.diff, factor, exponent)
        after = _impact(balance.next_diff, factor, exponent)
        return (abs(before - after) if improved else -abs(before - after)), improved
    gain = _impact(balance.diff, positive_factor, positive_exponent)
    loss = _impact(balance.next_diff, negative_factor, negative_exponent)
    return gain - loss, improved


def curves(state: MarketState) -> tuple[tuple[int, int], tuple[int, int]]:
    """Factor and exponent of positive and of negative impact; the positive never exceed those."""
    words = state.words
    positive, negative = (
        (
            words[f"POSITION_IMPACT_FACTOR:{of}"],
            _exponent(state.release.split_impact_exponents, words, of),
        )
        for of in (sign(True), sign(False))
    )
    return (min(positive[0], negative[0]), min(positive[1], negative[1])), negative


def _exponent(is_split: bool, words: Words, of: str) -> int:
    name = "POSITION_IMPACT_EXPONENT_FACTOR"
    return words[f"{name}:{of}"] if is_split else words[name]


def _impact(diff: int, factor: int, exponent: int) -> int:
    return apply_factor(apply_exponent_factor(diff, exponent), factor)


def _decreased(long: int, short: int, delta: int, is_long: bool) -> OpenInterest:
    next_long = max(0, long - delta) if is_long else long
    next_short = short if is_long else max(0, short - delta)
    return OpenInterest(long, short, next_long, next_short)
