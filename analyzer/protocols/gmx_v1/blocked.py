"""Why the liquidating call would fail although the position is liquidatable: the pool.

The Vault pays out of the pool of the collateral token what a liquidation leaves to pay, and takes
no amount out of it that other positions have reserved.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from analyzer.protocols.gmx_v1.risk import (
    OVER_LEVERAGED,
    SAFE,
    Position,
    Verdict,
    power_of_ten,
)


@dataclass(frozen=True, slots=True)
class Pool:
    """The pool of a position's collateral token; ``max_price`` is without AMM (1e30)."""

    amount: int
    reserved: int
    token_decimals: int
    max_price: int

    def tokens(self, usd: int) -> int:
        """``Vault.usdToTokenMin``."""
        return usd * power_of_ten(self.token_decimals) // self.max_price


@dataclass(frozen=True, slots=True)
class Liquidation:
    """What ``Vault.liquidatePosition`` is about to settle (1e30 USD)."""

    position: Position
    is_long: bool
    verdict: Verdict
    has_profit: bool
    delta: int
    liquidation_fee_usd: int


def blocked_by(due: Liquidation, pool: Pool) -> str | None:
    """The reason with which ``Vault.liquidatePosition`` reverts for want of pool or reserve."""
    if due.verdict.state == SAFE or pool.max_price == 0:
        return None
    reserved = pool.reserved - due.position.reserve_amount
    if reserved < 0:
        return "Vault: insufficient reserve"
    amount = pool.amount
    for usd in _payments(due):
        amount -= pool.tokens(usd) if usd >= 0 else -pool.tokens(-usd)
        if amount < 0:
            return "Vault: poolAmount exceeded"
        if usd >= 0 and reserved > amount:
            return "Vault: reserve exceeds pool"
    return None


def _payments(due: Liquidation) -> Iterator[int]:
    """What leaves the pool, one after the other; negative where it comes in."""
    collateral, fees = due.position.collateral, due.verdict.margin_fees
    change = due.delta if due.has_profit else -due.delta
    if due.verdict.state == OVER_LEVERAGED:
        yield collateral + change if due.is_long else change
        return
    if due.is_long:
        yield fees
    elif fees < collateral:
        yield fees - collateral
    yield due.liquidation_fee_usd
