"""Logs in chain order to position events, each with the exact state that it leaves behind."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from analyzer.abi import Event, load_abi
from analyzer.event_columns import Known, decode
from analyzer.evm import Log, LogFilter
from analyzer.protocol import Deployment, State
from analyzer.protocols.book import take
from analyzer.protocols.perp_v2.contracts import PROTOCOL_NAME
from analyzer.protocols.perp_v2.replayed import Replayed
from analyzer.protocols.perp_v2.replayed_accounts import (
    bad_debt_settled,
    collateral_liquidated,
    deposited,
    pnl_realized,
    position_liquidated,
    withdrawn,
)
from analyzer.protocols.perp_v2.replayed_markets import collateral_added, pool_added
from analyzer.protocols.perp_v2.replayed_positions import (
    funding_payment_settled,
    liquidity_changed,
    position_changed,
    position_closed,
)
from analyzer.rows import Row

Handler = Callable[[Replayed, Log, Mapping[str, Any]], None]
HANDLERS: Final[Mapping[tuple[str, str], Handler]] = {
    ("MarketRegistry", "PoolAdded"): pool_added,
    ("CollateralManager", "CollateralAdded"): collateral_added,
    ("ClearingHouse", "PositionChanged"): position_changed,
    ("ClearingHouse", "PositionClosed"): position_closed,
    ("ClearingHouse", "PositionLiquidated"): position_liquidated,
    ("ClearingHouse", "LiquidityChanged"): liquidity_changed,
    ("ClearingHouse", "FundingPaymentSettled"): funding_payment_settled,
    ("AccountBalance", "PnlRealized"): pnl_realized,
    ("Vault", "Deposited"): deposited,
    ("Vault", "Withdrawn"): withdrawn,
    ("Vault", "CollateralLiquidated"): collateral_liquidated,
    ("Vault", "BadDebtSettled"): bad_debt_settled,
}


def log_filters(deployment: Deployment) -> Sequence[LogFilter]:
    """The deployment's contracts and their events, to be filtered at the node."""
    return (
        LogFilter(
            addresses=tuple(sorted({deployment.contracts[role] for role, _ in HANDLERS})),
            topics=(tuple(sorted(_event(role, name).topic for role, name in HANDLERS)),),
        ),
    )


def events(deployment: Deployment) -> Sequence[Known]:
    """The events that are replayed, each of its own contract."""
    return [Known.of(_event(role, name), deployment.contracts[role]) for role, name in HANDLERS]


def replay(deployment: Deployment, logs: Sequence[Log], state: State) -> Sequence[Row]:
    """Event rows, in chain order; a log that cannot be decoded is a data-quality row."""
    handlers = {name: handler for (_, name), handler in HANDLERS.items()}
    replayed = Replayed(deployment, state)
    for log, event, values in decode(events(deployment), logs):
        if event is not None:
            take(replayed.book, handlers, replayed, log, event, values)
    return replayed.book.rows


def _event(role: str, name: str) -> Event:
    return load_abi(PROTOCOL_NAME, role).events[name]
