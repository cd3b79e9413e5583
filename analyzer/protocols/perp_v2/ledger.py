"""What belongs to whom: the part of the contracts' state that logs tell, or that reads tell.

The state of a replay is kept under ``market:<base>``, ``collateral:<token>``, ``account:<trader>``
and ``position:<trader>:<base>``; a position's state exists while its market is registered.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from analyzer.protocol import State

Range = tuple[int, int]


@dataclass(frozen=True, slots=True)
class LedgerOrder:
    """A maker's order as logs tell it."""

    liquidity: int
    base_debt: int
    quote_debt: int


@dataclass(frozen=True, slots=True)
class LedgerPosition:
    """A taker's size and notional (18 decimals) and the account's orders by tick range.

    ``changes`` counts the logs that made it what it is: each may have rounded by a wei.
    """

    taker_position_size: int
    taker_open_notional: int
    orders: Mapping[Range, LedgerOrder] = field(default_factory=dict)
    changes: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class LedgerAccount:
    """A trader's vault balances (token decimals), owed profit (18 decimals) and positions.

    ``liquidations`` counts the positions that this account has taken over from others.
    """

    settlement_balance: int
    collaterals: Mapping[str, int]
    owed_realized_pnl: int
    positions: Mapping[str, LedgerPosition]
    liquidations: int = 0

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing left that could matter to a margin."""
        held = self.settlement_balance or self.owed_realized_pnl or self.collaterals
        return not (held or self.positions)


@dataclass(frozen=True, slots=True)
class Traded:
    """What logs say of a market: what was settled of its positions, and how many changed one."""

    settled_size: int = 0
    changes: int = 0


@dataclass(frozen=True, slots=True)
class Ledger:
    """Markets with their pools, collateral tokens, and accounts by address."""

    markets: Mapping[str, str]
    collaterals: tuple[str, ...]
    accounts: Mapping[str, LedgerAccount]
    traded: Mapping[str, Traded] = field(default_factory=dict)


NOT_TRADED: Final = Traded()
NO_ACCOUNT: Final = LedgerAccount(0, {}, 0, {})


def market_key(base_token: str) -> str:
    """The state key of a market."""
    return f"market:{base_token}"


def ended_key(base_token: str) -> str:
    """The state key of a market's positions that have ended."""
    return f"ended:{base_token}"


def collateral_key(token: str) -> str:
    """The state key of a collateral token."""
    return f"collateral:{token}"


def account_key(trader: str) -> str:
    """The state key of an account."""
    return f"account:{trader}"


def position_key(trader: str, base_token: str) -> str:
    """The state key of an account's position in a market."""
    return f"position:{trader}:{base_token}"


def position_state(position: LedgerPosition) -> dict[str, Any]:
    """A position as it is kept between runs."""
    return {
        "takerPositionSize": position.taker_position_size,
        "takerOpenNotional": position.taker_open_notional,
        "orders": {
            f"{lower}:{upper}": [order.liquidity, order.base_debt, order.quote_debt]
            for (lower, upper), order in position.orders.items()
        },
        "changes": position.changes,
    }


def position_of(state: Mapping[str, Any]) -> LedgerPosition:
    """A position as it was kept."""
    orders = {}
    for key, amounts in state["orders"].items():
        lower, upper = key.split(":")
        orders[int(lower), int(upper)] = LedgerOrder(*map(int, amounts))
    return LedgerPosition(
        int(state["takerPositionSize"]), int(state["takerOpenNotional"]), orders, state["changes"]
    )


def ledger_of(state: State) -> Ledger:
    """Everything that the logs up to a block left behind."""
    markets: dict[str, str] = {}
    collaterals: list[str] = []
    positions: dict[str, dict[str, LedgerPosition]] = {}
    kept: dict[str, Mapping[str, Any]] = {}
    settled: Counter[str] = Counter()
    changes: Counter[str] = Counter()
    for key in sorted(state):
        kind, _, name = key.partition(":")
        match kind:
            case "market":
                markets[name] = state[key]["pool"]
            case "ended":
                settled[name] = state[key]["settledSize"]
                changes[name] += state[key]["changes"]
            case "collateral":
                collaterals.append(name)
            case "account":
                kept[name] = state[key]
            case "position":
                trader, _, base_token = name.partition(":")
                positions.setdefault(trader, {})[base_token] = position_of(state[key])
                changes[base_token] += state[key]["changes"]
    accounts = {
        trader: _account_of(kept.get(trader, {}), positions.get(trader, {}))
        for trader in sorted(kept.keys() | positions.keys())
    }
    traded = {base: Traded(settled[base], changes[base]) for base in settled | changes}
    return Ledger(markets, tuple(collaterals), accounts, traded)


def _account_of(kept: Mapping[str, Any], positions: Mapping[str, LedgerPosition]) -> LedgerAccount:
    collaterals = kept.get("collaterals", {}).items()
    return LedgerAccount(
        settlement_balance=int(kept.get("settlementBalance", 0)),
        collaterals={token: int(amount) for token, amount in collaterals if int(amount)},
        owed_realized_pnl=int(kept.get("owedRealizedPnl", 0)),
        positions=positions,
        liquidations=int(kept.get("liquidations", 0)),
    )
