"""Snapshots of a made-up deployment, stored as `index` stores them, for runs of `check` on them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from duckdb import DuckDBPyConnection

from analyzer.protocol import Deployment
from analyzer.rows import At, MarginAccounts, PositionEvents, Positions, Row, Snapshots
from analyzer.store.derived import put_events, put_snapshot
from analyzer.units import to_e18

OWNER = "0x" + "a" * 40
ETH = "0x" + "e" * 40


@dataclass(frozen=True)
class Held:
    """A position, with the state of its margin account; ``margin`` is its own unless named."""

    name: str
    distance_bps: int | None = 5_000
    state: str = "safe"
    buffer: int = 100
    margin: str | None = None
    account: str = OWNER
    liquidation_kind: str = "flip"
    collateral_state: str | None = None

    @property
    def margin_id(self) -> str:
        return self.margin or self.name


@dataclass(frozen=True)
class Event:
    """A log of a position at a block, which ends it unless it ``goes_on``."""

    block: int
    kind: str
    position: str | None
    margin: str | None = None
    goes_on: bool = False
    log_index: int = 1


def place(protocol: str) -> Deployment:
    return Deployment(protocol, "local", 31337, 1, {})


def store(
    connection: DuckDBPyConnection,
    block: int,
    positions: Sequence[Held] = (),
    events: Sequence[Event] = (),
    *,
    protocol: str = "perp_v1",
    complete: bool = True,
    scope: str = "all",
    margins: Iterable[Held] = (),
) -> None:
    """Store what happened up to a block, and what was there at it.

    ``margins`` are margin accounts without a position.
    """
    at = At(31337, protocol, "local", block)
    put_events(connection, place(protocol), 1, block, [_event(at, one) for one in events])
    rows: list[Row] = [
        Snapshots(
            at=at,
            block_hash=f"0x{block:064x}",
            block_time=1_700_000_000 + block,
            scope=scope,
            positions_from="logs",
            price_basis="made up",
            complete=complete,
            books="balanced",
        ),
        *(_position(at, one) for one in positions),
    ]
    accounts: Mapping[str, Held] = {one.margin_id: one for one in (*positions, *margins)}
    rows += [_margin(at, one) for one in accounts.values()]
    put_snapshot(connection, place(protocol), block, rows)


def _position(at: At, one: Held) -> Positions:
    blank: dict[str, Any] = dict.fromkeys(
        (
            "asset", "collateral_token", "size_tokens", "collateral_usd", "collateral_amount",
            "entry_price", "unrealized_pnl_usd", "funding_owed_usd", "borrowing_owed_usd",
            "leverage_bps", "liquidation_above",
        )
    )  # fmt: skip
    return Positions(
        at=at,
        position_id=one.name,
        margin_id=one.margin_id,
        account=one.account,
        market=ETH,
        side="long",
        size_usd=to_e18(1_000, 0),
        price=to_e18(2_000, 0),
        liquidation_kind=one.liquidation_kind,
        liquidation_below=to_e18(1_900, 0),
        distance_bps=one.distance_bps,
        inputs={},
        outputs={},
        **blank,
    )


def _margin(at: At, one: Held) -> MarginAccounts:
    return MarginAccounts(
        at=at,
        margin_id=one.margin_id,
        account=one.account,
        kind="isolated" if one.margin is None else "cross",
        equity_usd=to_e18(500, 0),
        requirement_usd=to_e18(500 - one.buffer, 0),
        buffer_usd=to_e18(one.buffer, 0),
        state=one.state,
        state_stored=one.state,
        collateral_state=one.collateral_state,
        reason=None,
        blocked_by=None,
        inputs={},
        outputs={},
    )


def _event(at: At, one: Event) -> PositionEvents:
    blank: dict[str, Any] = dict.fromkeys(
        (
            "block_time", "market", "side", "collateral_token", "size_delta_usd",
            "collateral_delta", "price", "fee_usd", "pnl_usd",
        )
    )  # fmt: skip
    return PositionEvents(
        at=At(at.chain_id, at.protocol, at.deployment, one.block),
        log_index=one.log_index,
        tx_hash="0x" + "1" * 64,
        kind=one.kind,
        state_key=one.position or one.margin or "",
        position_id=one.position,
        margin_id=one.margin or one.position,
        account=OWNER,
        after={} if one.goes_on else None,
        **blank,
    )
