"""The state that a run of logs carries forward, and the rows that it writes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from analyzer.evm import Log
from analyzer.protocol import Deployment
from analyzer.protocols.gmx_v2.datastore import NAME
from analyzer.protocols.gmx_v2.prices import LOST, PRICE_STATE
from analyzer.rows import At, DataQuality, EventKind, PositionEvents, QualityKind, Row

EMPTY: Final = (
    "position_id", "margin_id", "account", "market", "side", "collateral_token", "size_delta_usd",
    "collateral_delta", "price", "fee_usd", "pnl_usd",
)  # fmt: skip
PRICE: Final = "price"


@dataclass(slots=True)
class Ledger:
    """What a run of logs has left behind so far, and the rows that it has made."""

    deployment: Deployment
    book: dict[str, Mapping[str, Any]]
    rows: list[Row] = field(default_factory=list)
    tx_hash: str = ""
    fees: dict[str, int] = field(default_factory=dict)
    """Fees in USD (30 decimals) by position, of the current transaction."""
    borrowing_side: dict[str, bool] = field(default_factory=dict)
    """Whether the long side's factor was the last to be updated, by market, likewise."""

    def enter(self, tx_hash: str) -> None:
        """Forget what belongs to one transaction when another begins."""
        if tx_hash != self.tx_hash:
            self.tx_hash = tx_hash
            self.fees.clear()
            self.borrowing_side.clear()

    def at(self, log: Log) -> At:
        """Where a log's rows belong."""
        return At(self.deployment.chain_id, NAME, self.deployment.name, log.block_number)

    def complain(self, log: Log, kind: QualityKind, detail: str) -> None:
        """Quarantine a log."""
        subject = log.topics[1] if len(log.topics) > 1 else log.tx_hash
        self.rows.append(
            DataQuality(
                at=self.at(log), log_index=log.log_index, kind=kind, subject=subject, detail=detail
            )
        )

    def leave(
        self, log: Log, kind: EventKind, key: str, after: Mapping[str, Any], **more: Any
    ) -> None:
        """Write what an event left behind; a position without size has ended."""
        ended = kind != PRICE and after.get("sizeInUsd") == 0
        if ended:
            self.book.pop(key, None)
        else:
            self.book[key] = after
        fields: dict[str, Any] = dict.fromkeys(EMPTY) | more
        self.rows.append(
            PositionEvents(
                at=self.at(log),
                log_index=log.log_index,
                tx_hash=log.tx_hash,
                block_time=log.block_time,
                kind=kind,
                state_key=key,
                after=None if ended else after,
                **fields,
            )
        )

    def lose(self, log: Log, why: str) -> None:
        """An account's positions are unknown from here on: one of them changed, and how is lost."""
        account = "0x" + log.topics[2][-40:] if len(log.topics) > 2 else ""
        reason = f"a change in block {log.block_number} could not be read: {why}"
        lost = {"account": account, "unknown": reason}
        self.leave(log, "lost", LOST + account, lost, account=account)
        for key, after in list(self.book.items()):
            if after.get("account") == account and not key.startswith((LOST, PRICE_STATE)):
                self.leave(
                    log, "lost", key, {**after, "unknown": reason}, position_id=key, account=account
                )
