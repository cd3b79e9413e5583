"""What the contracts hold of all accounts together, beside what the accounts add up to.

Collateral lies in the vault as tokens, one for one with the accounts' balances. Sizes have no total
of their own, but every base token that one account is long another is short: they add up to zero,
within a wei for each change of a position, as swaps and liquidity round against the trader.
Settlement balances and owed profit are in no total: they are read from the contracts one by one.
"""

from collections.abc import Callable

from analyzer.protocols.evidence import total
from analyzer.protocols.perp_v2.collateral import get_collateral_value
from analyzer.protocols.perp_v2.ledger import NOT_TRADED
from analyzer.protocols.perp_v2.perp_math import WAD, mul_div
from analyzer.protocols.perp_v2.position import unrounded_size
from analyzer.protocols.perp_v2.prices import PricedMarket
from analyzer.protocols.perp_v2.reading import Readings
from analyzer.protocols.perp_v2.state import Collateral, attempt
from analyzer.reads import Failed
from analyzer.rows import At, Totals


def ledger_totals(at: At, readings: Readings) -> list[Totals]:
    """The vault's tokens against collateral balances, zero against the sizes of each market."""
    rows = [_collateral_total(at, readings, token) for token in sorted(readings.system.collaterals)]
    return rows + [_size_total(at, readings, base) for base in sorted(readings.system.markets)]


def _collateral_total(at: At, readings: Readings, token: str) -> Totals:
    """``ERC20.balanceOf(Vault)``: deposits, withdrawals and liquidations move both alike."""
    summed = sum(account.collaterals.get(token, 0) for account in readings.ledger.accounts.values())
    stated = readings.values["collateral", token, "vault"]
    collateral = readings.system.collaterals[token]
    return total(
        at, "balanceOf(Vault)", token, "", "collateral", stated, summed, usd=_worth(collateral)
    )


def _size_total(at: At, readings: Readings, base_token: str) -> Totals:
    """Zero against the sizes of all accounts and of those that were settled in a closed market."""
    market = readings.system.markets[base_token]
    traded = readings.ledger.traded.get(base_token, NOT_TRADED)
    summed, bound, unread = traded.settled_size, traded.changes, None
    if isinstance(market, Failed):
        unread = market
    else:
        for account in readings.accounts.values():
            if isinstance(account, Failed):
                unread = account
            elif base_token in account.positions:
                held = account.positions[base_token]
                summed += unrounded_size(market, held)
                bound += len(held.orders)
    return total(
        at, "getTotalPositionSize", base_token, "both", "size", unread or 0, summed,
        usd=None if isinstance(market, Failed) else _value(market), bound=bound,
    )  # fmt: skip


def _worth(collateral: Collateral | Failed) -> Callable[[int], int | None]:
    """From an amount of a collateral token to units of 1e-18 USD."""

    def worth(amount: int) -> int | None:
        if isinstance(collateral, Failed):
            return None
        value = attempt(get_collateral_value, collateral, abs(amount))
        return None if isinstance(value, Failed) else value if amount >= 0 else -value

    return worth


def _value(market: PricedMarket) -> Callable[[int], int | None]:
    """From a size to units of 1e-18 USD at the market's reference price."""
    price = market.reference_price
    return lambda size: None if isinstance(price, Failed) else mul_div(size, price, WAD)
