"""The state of a replay while it runs, and the rows that it has made."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from analyzer.evm import Log
from analyzer.protocol import Deployment, State
from analyzer.protocols.perp_v2.deployment_options import settlement_decimals
from analyzer.protocols.perp_v2.ledger import (
    LedgerPosition,
    account_key,
    collateral_key,
    position_key,
    position_of,
    position_state,
)
from analyzer.rows import At, DataQuality, EventKind, PositionEvents, Row

NO_POSITION: Final = LedgerPosition(0, 0)


class Replayed:
    """A deployment's state after the logs so far. ``rows`` are in chain order."""

    def __init__(self, deployment: Deployment, state: State) -> None:
        self.deployment = deployment
        self.rows: list[Row] = []
        self.settlement_decimals = settlement_decimals(deployment)
        self.last_position_change: tuple[int, int, str] | None = None
        self._before = state
        self._changed: dict[str, Mapping[str, Any] | None] = {}

    def state(self, key: str) -> Mapping[str, Any] | None:
        """What stands under a key now."""
        return self._changed[key] if key in self._changed else self._before.get(key)

    def position(self, trader: str, base_token: str) -> LedgerPosition:
        """A position; an unregistered one is empty."""
        return self.registered(trader, base_token) or NO_POSITION

    def registered(self, trader: str, base_token: str) -> LedgerPosition | None:
        """A position, if the market is among the trader's base tokens."""
        kept = self.state(position_key(trader, base_token))
        return None if kept is None else position_of(kept)

    def account(self, trader: str) -> dict[str, Any]:
        """An account's own state, to be changed and emitted."""
        kept = self.state(account_key(trader)) or {}
        return {
            "settlementBalance": int(kept.get("settlementBalance", 0)),
            "collaterals": dict(kept.get("collaterals", {})),
            "owedRealizedPnl": int(kept.get("owedRealizedPnl", 0)),
            "liquidations": int(kept.get("liquidations", 0)),
        }

    def is_collateral(self, token: str) -> bool:
        """Whether a token was added as collateral; what else the vault takes is the settlement."""
        return self.state(collateral_key(token)) is not None

    def at(self, log: Log) -> At:
        """Where a log's rows belong."""
        deployment = self.deployment
        return At(deployment.chain_id, deployment.protocol, deployment.name, log.block_number)

    def emit(
        self,
        log: Log,
        kind: EventKind,
        state_key: str,
        after: Mapping[str, Any] | None,
        **told: Any,
    ) -> None:
        """One row: what happened, and the state that it leaves under its key."""
        self._changed[state_key] = after
        columns: dict[str, Any] = dict.fromkeys(
            (
                "position_id", "margin_id", "account", "market", "side", "collateral_token",
                "size_delta_usd", "collateral_delta", "price", "fee_usd", "pnl_usd",
            )
        )  # fmt: skip
        if "account" in told:
            columns["margin_id"] = told["account"]
            if "market" in told:
                columns["position_id"] = f"{told['account']}:{told['market']}"
        self.rows.append(
            PositionEvents(
                at=self.at(log),
                log_index=log.log_index,
                tx_hash=log.tx_hash,
                block_time=log.block_time,
                kind=kind,
                state_key=state_key,
                after=after,
                **(columns | told),
            )
        )

    def emit_account(
        self, log: Log, kind: EventKind, trader: str, after: Mapping[str, Any], **told: Any
    ) -> None:
        """A row that leaves an account's own state behind."""
        self.emit(log, kind, account_key(trader), after, **({"account": trader} | told))

    def emit_position(
        self,
        log: Log,
        kind: EventKind,
        trader: str,
        base_token: str,
        after: LedgerPosition | None,
        **told: Any,
    ) -> None:
        """A row that leaves a position behind, or ends it."""
        self.emit(
            log,
            kind,
            position_key(trader, base_token),
            None if after is None else position_state(after),
            account=trader,
            market=base_token,
            **told,
        )

    def name_liquidation(self, log: Log, trader: str, base_token: str, fee: int) -> bool:
        """Call the trade of a position earlier in the transaction its liquidation, if it is there.

        The penalty comes on top of what the trade itself cost.
        """
        for place in reversed(range(len(self.rows))):
            row = self.rows[place]
            if not isinstance(row, PositionEvents):
                continue
            if row.tx_hash != log.tx_hash:
                return False
            is_its = row.position_id == f"{trader}:{base_token}"
            if is_its and row.size_delta_usd is not None and row.fee_usd is not None:
                self.rows[place] = replace(row, kind="liquidate", fee_usd=row.fee_usd + fee)
                return True
        return False

    def quarantine(self, log: Log, detail: str) -> None:
        """A row for a log that could not be taken: the state after it is not to be trusted."""
        self.rows.append(
            DataQuality(
                at=self.at(log),
                log_index=log.log_index,
                kind="malformed_log",
                subject=f"{log.address} {log.topics[0]}",
                detail=detail,
            )
        )
