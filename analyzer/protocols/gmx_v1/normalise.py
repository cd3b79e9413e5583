"""Logs to rows: what happened to positions, cumulative funding rates, fast prices.

The Vault splits an operation over several events: fee and profit come first, then the increase or
decrease, which alone names account and tokens, then the struct that it left behind. They are put
together by key within a transaction.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import groupby
from typing import Any, Final

from analyzer.abi import Event, load_abi
from analyzer.event_columns import Known, decode
from analyzer.evm import Log, LogFilter
from analyzer.protocol import Deployment, State
from analyzer.protocols.book import Book, take
from analyzer.protocols.gmx_v1.contracts import Identity, fields_of, identity_of
from analyzer.protocols.gmx_v1.deployments import FAST_PRICE_EVENTS, NAME, VAULT
from analyzer.protocols.gmx_v1.held import STRUCT, struct_fields
from analyzer.protocols.gmx_v1.log_rows import (
    ADJUST,
    DECREASE,
    INCREASE,
    LIQUIDATE,
    Operation,
    block_time,
    event_columns,
    fast_price_row,
    funding_row,
)
from analyzer.reads import MalformedError
from analyzer.rows import EventKind, Row


def log_filters(deployment: Deployment) -> Sequence[LogFilter]:
    """The Vault's events on positions and funding; the fast prices if their contract is named."""
    roles = {VAULT: "Vault", FAST_PRICE_EVENTS: "FastPriceEvents"}
    return [
        LogFilter(
            (deployment.contracts[role].lower(),),
            (tuple(sorted(event.topic for event in load_abi(NAME, name).events.values())),),
        )
        for role, name in roles.items()
        if role in deployment.contracts
    ]


def events(_: Deployment) -> Sequence[Known]:
    """The events that are replayed; the filters name their contracts."""
    return [Known.of(event) for event in _events().values()]


def replay(deployment: Deployment, logs: Sequence[Log], state: State) -> Sequence[Row]:
    """Rows of block-aligned logs in chain order; ``state`` is what the logs before them left.

    A position whose struct is lost by what a contract emitted against its own rules stays in the
    state without one: unknown, not gone.
    """
    book = Book(deployment, dict(state))
    decoded = decode(events(deployment), logs)
    for _, group in groupby(decoded, key=lambda one: (one[0].block_number, one[0].tx_hash)):
        transaction = _Transaction(book)
        for log, event, values in group:
            if event is not None:
                take(book, HANDLERS, transaction, log, event, values)
        transaction.close()
    return book.rows


@dataclass(slots=True)
class _Transaction:
    """One transaction's events, joined by key; what they leave behind goes into ``book``."""

    book: Book
    opened: dict[str, Operation] = field(default_factory=dict)
    fees: dict[str, int] = field(default_factory=dict)
    pnl: dict[str, int] = field(default_factory=dict)

    def close(self) -> None:
        for operation in list(self.opened.values()):
            self.lose(operation, "is not followed by the position that it leaves behind")

    def open(self, log: Log, kind: EventKind, sign: int, values: Mapping[str, Any]) -> None:
        identity, key = _identity(values)
        if key in self.opened:
            self.lose(self.opened[key], "is followed by another one")
        self.opened[key] = Operation(
            log,
            kind,
            key,
            identity,
            size_delta=sign * values["sizeDelta"],
            collateral_delta=sign * values["collateralDelta"],
            price=values["price"],
            fee=self.fees.pop(identity.collateral_token, None),
            pnl=self.pnl.pop(key, None),
        )

    def lose(self, operation: Operation, why: str) -> None:
        del self.opened[operation.key]
        detail = f"{operation.kind} {why}"
        self.book.complain(operation.log, "lost_position", operation.key, detail)
        nothing = struct_fields(None)
        self.leave(operation, {**fields_of(operation.identity), **nothing})

    def leave(self, operation: Operation, after: Mapping[str, Any] | None) -> None:
        """Write what an operation left behind, and its row."""
        columns = event_columns(operation, is_gone=after is None)
        self.book.leave(operation.log, state_key=operation.key, after=after, **columns)


def _collect_margin_fees(run: _Transaction, _: Log, values: Mapping[str, Any]) -> None:
    run.fees[values["token"]] = values["feeUsd"]


def _update_pnl(run: _Transaction, _: Log, values: Mapping[str, Any]) -> None:
    run.pnl[_hex(values["key"])] = values["delta"] if values["hasProfit"] else -values["delta"]


def _increase_position(run: _Transaction, log: Log, values: Mapping[str, Any]) -> None:
    run.open(log, INCREASE, 1, values)


def _decrease_position(run: _Transaction, log: Log, values: Mapping[str, Any]) -> None:
    run.open(log, DECREASE, -1, values)


def _update_position(run: _Transaction, log: Log, values: Mapping[str, Any]) -> None:
    operation = _operation(run, log, values)
    before = run.book.state.get(operation.key, {})
    increased = before.get("lastIncreasedTime")
    if operation.kind == INCREASE:
        increased = block_time(log)
    if increased is None:
        detail = f"{operation.kind} of a position whose last increase is not in the logs"
        run.book.complain(operation.log, "unknown_last_increase", operation.key, detail)
    struct = {name: values[name] for name in STRUCT if name != "lastIncreasedTime"}
    after = {**fields_of(operation.identity), **struct, "lastIncreasedTime": increased}
    run.leave(operation, after)


def _close_position(run: _Transaction, log: Log, values: Mapping[str, Any]) -> None:
    run.leave(_operation(run, log, values), None)


def _liquidate_position(run: _Transaction, log: Log, values: Mapping[str, Any]) -> None:
    identity, key = _identity(values)
    fee = run.fees.pop(identity.collateral_token, None)
    size, collateral, price = values["size"], values["collateral"], values["markPrice"]
    run.leave(Operation(log, LIQUIDATE, key, identity, -size, -collateral, price, fee), None)


def _update_funding_rate(run: _Transaction, log: Log, values: Mapping[str, Any]) -> None:
    run.book.rows.append(funding_row(run.book.at(log), log, values))


def _price_update(run: _Transaction, log: Log, values: Mapping[str, Any]) -> None:
    run.book.rows.append(fast_price_row(run.book.at(log), log, values))


HANDLERS: Final[dict[str, Callable[[_Transaction, Log, Mapping[str, Any]], None]]] = {
    "CollectMarginFees": _collect_margin_fees,
    "UpdatePnl": _update_pnl,
    "IncreasePosition": _increase_position,
    "DecreasePosition": _decrease_position,
    "UpdatePosition": _update_position,
    "ClosePosition": _close_position,
    "LiquidatePosition": _liquidate_position,
    "UpdateFundingRate": _update_funding_rate,
    "PriceUpdate": _price_update,
}


@cache
def _events() -> dict[str, Event]:
    return {
        event.topic: event
        for name in ("Vault", "FastPriceEvents")
        for event in load_abi(NAME, name).events.values()
    }


def _operation(run: _Transaction, log: Log, values: Mapping[str, Any]) -> Operation:
    """The increase or decrease whose result this event is; or a bare update of a known position."""
    key = _hex(values["key"])
    if key in run.opened:
        return run.opened.pop(key)
    if key in run.book.state:
        return Operation(log, ADJUST, key, identity_of(run.book.state[key]))
    raise MalformedError(f"nothing in the logs says whose position {key} is")


def _identity(values: Mapping[str, Any]) -> tuple[Identity, str]:
    identity = Identity(
        values["account"], values["collateralToken"], values["indexToken"], values["isLong"]
    )
    key = _hex(values["key"])
    if identity.key() != key:
        raise MalformedError(f"{key} is not the key of the position that it comes with")
    return identity, key


def _hex(key: bytes) -> str:
    return "0x" + key.hex()
