"""``PositionUtils.getPositionPnlUsd``: a position's profit, capped by what its pool may pay."""

from dataclasses import dataclass

from analyzer.protocols.gmx_v2.precision import apply_factor, div, int256, uint256
from analyzer.protocols.gmx_v2.state import MarketState, Prices, side


@dataclass(frozen=True, slots=True)
class PoolPnl:
    """What the pool's cap on profit is made of, for one side of a market."""

    pool_amount: int
    open_interest: int
    open_interest_in_tokens: int
    max_pnl_factor: int

    @classmethod
    def of(cls, state: MarketState, is_long: bool) -> "PoolPnl":
        """The side's words, each halved in a single-token market."""
        return cls(
            state.pool_amount(is_long),
            state.open_interest(is_long),
            state.open_interest_in_tokens(is_long),
            state.words[f"MAX_PNL_FACTOR_FOR_TRADERS:{side(is_long)}"],
        )


def get_position_pnl_usd(
    pool: PoolPnl, is_long: bool, size_in_usd: int, size_in_tokens: int, prices: Prices
) -> tuple[int, int]:
    """Capped and uncapped pnl of closing the whole position, in USD with 30 decimals."""
    price = prices.index.min if is_long else prices.index.max
    value = int256(size_in_tokens * price)
    uncapped = value - size_in_usd if is_long else size_in_usd - value
    capped = uncapped
    if uncapped > 0:
        pool_pnl = get_pnl(pool, is_long, prices)
        if pool_pnl > 0:
            pool_price = prices.long.min if is_long else prices.short.min
            pool_usd = uint256(pool.pool_amount * pool_price)
            cap = min(pool_pnl, apply_factor(pool_usd, pool.max_pnl_factor))
            if 0 < cap < pool_pnl:
                capped = uncapped * cap // pool_pnl
    # prorated by the closed tokens, which are all: only the division by none is left of it
    return div(capped * size_in_tokens, size_in_tokens), div(
        uncapped * size_in_tokens, size_in_tokens
    )


def get_pnl(pool: PoolPnl, is_long: bool, prices: Prices) -> int:
    """``MarketUtils.getPnl`` of a side, maximised; zero where a side has no open interest."""
    if pool.open_interest == 0 or pool.open_interest_in_tokens == 0:
        return 0
    price = prices.index.max if is_long else prices.index.min
    value = pool.open_interest_in_tokens * price
    return value - pool.open_interest if is_long else pool.open_interest - value
