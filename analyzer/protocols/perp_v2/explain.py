"""An account's arithmetic line by line, in the contracts' names and integers."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from analyzer.protocol import Line, StoredAccount

ACCOUNT_LINES: Final = (
    ("settlementBalance", "Vault.getBalance, in the settlement token's decimals"),
    ("owedRealizedPnl", "realised profit that is not in the balance yet, 18 decimals"),
)
POSITION_LINES: Final = (
    ("takerPositionSize", "base of the taker position, 18 decimals"),
    ("takerOpenNotional", "its quote: what was paid for it is negative"),
    ("referencePrice", "the price at which the contract values it"),
)
VALUE_LINES: Final = (
    ("totalPositionSize", "taker and maker base, less what was borrowed for orders"),
    ("totalPositionValue", "size * price / 1e18, truncated"),
    ("totalOpenNotional", "quote, less what was borrowed for orders"),
    ("pendingFundingPayment", "funding since it was settled; positive is paid by the trader"),
    ("liquidate", "what liquidate() would say in this market"),
)
RESULT_LINES: Final = (
    ("pendingFee", "uncollected fees of orders"),
    ("allPendingFunding", "pending funding of all markets"),
    ("unrealizedPnl", "position values and open notionals"),
    ("accountValue", "balance + owed + fees - funding + collateral + unrealized, rounded down"),
    ("totalAbsPositionValue", "sum of the absolute position values"),
    ("marginRequirement", "totalAbsPositionValue * mmRatio / 1e6"),
    ("isLiquidatable", "accountValue < marginRequirement"),
    ("vaultIsLiquidatable", "Vault.isLiquidatable: whether its collateral can be sold"),
)


def explain(account: StoredAccount) -> Sequence[Line]:
    """From balances over positions to the verdict; what is unknown says why."""
    lines = [Line("account", account.account)]
    if account.reason:
        lines.append(Line("reason", account.reason, "why the verdict is unknown"))
    lines += _lines(account.inputs, ACCOUNT_LINES)
    for token, balance in (account.inputs.get("collaterals") or {}).items():
        lines.append(Line(f"collateral {token}", str(balance), "in the token's decimals"))
    for position in account.positions:
        lines.append(Line("market", position.market, position.side))
        lines += _lines(position.inputs, POSITION_LINES)
        lines += _lines(position.outputs, VALUE_LINES)
        found = position.outputs.get("liquidationPrice") or {}
        lines += [
            Line(f"liquidationPrice.{name}", str(value), "mark, 18 decimals")
            for name, value in found.items()
            if value is not None
        ]
    lines += _lines(account.inputs, (("mmRatio", "maintenance margin ratio in millionths"),))
    return lines + _lines(account.outputs, RESULT_LINES)


def _lines(values: Mapping[str, Any], named: Sequence[tuple[str, str]]) -> list[Line]:
    return [Line(name, str(values[name]), meaning) for name, meaning in named if name in values]
