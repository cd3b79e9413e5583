"""The state of a replay while it runs, and the rows that it has made."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from analyzer.evm import Log
from analyzer.protocol import Deployment, State
from analyzer.protocols.book import Book
from analyzer.protocols.perp_v2.deployment_options import settlement_decimals
from analyzer.protocols.perp_v2.ledger import (
    LedgerPosition,
    account_key,
    collateral_key,
    ended_key,
    position_key,
    position_of,
    position_state,
)
from analyzer.rows import EventKind, PositionEvents

NO_POSITION: Final = LedgerPosition(0, 0)


class Replayed:
    """A deployment's book after the logs so far, in the words of this protocol."""

    def __init__(self, deployment: Deployment, state: State) -> None:
        self.book = Book(deployment, dict(state))
        self.deployment = deployment
        self.settlement_decimals = settlement_decimals(deployment)
        self.last_position_change: tuple[int, int, str] | None = None

    def position(self, trader: str, base_token: str) -> LedgerPosition:
        """A position; an unregistered one is empty."""
        return self.registered(trader, base_token) or NO_POSITION

    def registered(self, trader: str, base_token: str) -> LedgerPosition | None:
        """A position, if the market is among the trader's base tokens."""
        kept = self.book.state.get(position_key(trader, base_token))
        return None if kept is None else position_of(kept)

    def account(self, trader: str) -> dict[str, Any]:
        """An account's own state, to be changed and emitted."""
        kept = self.book.state.get(account_key(trader), {})
        return {
            "settlementBalance": int(kept.get("settlementBalance", 0)),
            "collaterals": dict(kept.get("collaterals", {})),
            "owedRealizedPnl": int(kept.get("owedRealizedPnl", 0)),
            "liquidations": int(kept.get("liquidations", 0)),
        }

    def is_collateral(self, token: str) -> bool:
        """Whether a token was added as collateral; what else the vault takes is the settlement."""
        return collateral_key(token) in self.book.state

    def emit(
        self,
        log: Log,
        kind: EventKind,
        state_key: str,
        after: Mapping[str, Any] | None,
        **columns: Any,
    ) -> None:
        """One row: what happened, and the state that it leaves under its key."""
        if "account" in columns:
            columns["margin_id"] = columns["account"]
            if "market" in columns:
                columns["position_id"] = f"{columns['account']}:{columns['market']}"
        self.book.leave(log, kind, state_key, after, **columns)

    def emit_account(
        self, log: Log, kind: EventKind, trader: str, after: Mapping[str, Any], **columns: Any
    ) -> None:
        """A row that leaves an account's own state behind."""
        self.emit(log, kind, account_key(trader), after, **({"account": trader} | columns))

    def emit_position(
        self,
        log: Log,
        kind: EventKind,
        trader: str,
        base_token: str,
        after: LedgerPosition | None,
        **columns: Any,
    ) -> None:
        """A row that leaves a position behind, or ends it."""
        self.emit(
            log,
            kind,
            position_key(trader, base_token),
            None if after is None else position_state(after),
            account=trader,
            market=base_token,
            **columns,
        )

    def end_position(self, log: Log, base_token: str, changes: int, settled_size: int = 0) -> None:
        """Count an ended position to its market: its size, if settled, and the logs it took."""
        before = self.book.state.get(ended_key(base_token), {"settledSize": 0, "changes": 0})
        after = {
            "settledSize": before["settledSize"] + settled_size,
            "changes": before["changes"] + changes,
        }
        self.emit(log, "market", ended_key(base_token), after, market=base_token)

    def name_liquidation(self, log: Log, trader: str, base_token: str, fee: int) -> bool:
        """Call the trade of a position earlier in the transaction its liquidation, if it is there.

        The penalty comes on top of what the trade itself cost.
        """
        rows = self.book.rows
        for place in reversed(range(len(rows))):
            row = rows[place]
            if not isinstance(row, PositionEvents):
                continue
            if row.tx_hash != log.tx_hash:
                return False
            is_its = row.position_id == f"{trader}:{base_token}"
            if is_its and row.size_delta_usd is not None and row.fee_usd is not None:
                rows[place] = replace(row, kind="liquidate", fee_usd=row.fee_usd + fee)
                return True
        return False
