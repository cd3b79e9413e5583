"""Logs to rows: what happened to positions and to the funding of their AMMs.

``PositionChanged`` carries the margin and size that it left, but not the open notional; that
follows from the amounts. What cannot be known from the logs is left open (null), never guessed.
A settled position leaves its size: its AMM's ``totalPositionSize`` goes on counting it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from analyzer.abi import Event, load_abi
from analyzer.errors import Revert
from analyzer.event_columns import Known, decode
from analyzer.evm import Log, LogFilter
from analyzer.protocol import Deployment, State
from analyzer.protocols.book import Book, take
from analyzer.protocols.perp_v1.amm import ReserveSnapshot
from analyzer.protocols.perp_v1.contracts import position_id
from analyzer.protocols.perp_v1.deployments import CLEARING_HOUSE, NAME, seconds
from analyzer.protocols.perp_v1.log_rows import event_columns, funding_rows
from analyzer.protocols.perp_v1.premium_history import (
    PremiumHistory,
    histories,
    reserve_fields,
    reserve_key,
)
from analyzer.reads import MalformedError, MissingError
from analyzer.rows import EventKind, Row

FUNDING: Final = "FundingRateUpdated"
LIQUIDATOR: Final = "liquidator"
"""The state key of the account that liquidated last."""
NOTHING: Final = {
    "size": 0,
    "margin": 0,
    "openNotional": 0,
    "lastUpdatedCumulativePremiumFraction": 0,
    "liquidityHistoryIndex": 0,
    "blockNumber": 0,
}
SETTLED: Final = "settledSize"
"""The field of a position's state that holds the size (18 decimals) which has been settled."""


def amms_of(deployment: Deployment) -> tuple[str, ...]:
    """The AMMs that a deployment names; empty where it names none."""
    named = str(deployment.options.get("amms", "")).lower()
    return tuple(address.strip() for address in named.split(",") if address.strip())


def log_filters(deployment: Deployment) -> Sequence[LogFilter]:
    """The ClearingHouse's events on positions, and the AMMs' on reserves and funding."""
    return [
        LogFilter((deployment.contracts[CLEARING_HOUSE].lower(),), (_topics("ClearingHouse"),)),
        LogFilter(amms_of(deployment), (_topics("Amm"),)),
    ]


def events(deployment: Deployment) -> Sequence[Known]:
    """The events that are replayed, of the ClearingHouse and of the AMMs."""
    house = deployment.contracts[CLEARING_HOUSE].lower()
    return [
        *(Known.of(event, house) for event in _events("ClearingHouse").values()),
        *(Known.of(event, *amms_of(deployment)) for event in _events("Amm").values()),
    ]


def replay(deployment: Deployment, logs: Sequence[Log], state: State) -> Sequence[Row]:
    """Rows of logs in chain order; ``state`` is what the logs before them left behind."""
    run = _Replay(Book(deployment, dict(state)), histories(state))
    house = deployment.contracts[CLEARING_HOUSE].lower()
    for log, event, values in decode(events(deployment), logs):
        if event is not None and (log.address != house or event.addresses == (house,)):
            take(run.book, HANDLERS, run, log, event, values)
            if event.name == FUNDING and isinstance(values, MalformedError):
                run.lose_premium(log)
    return run.book.rows


@dataclass(slots=True)
class _Replay:
    """Positions in the book and histories by AMM, as they stand after the logs so far."""

    book: Book
    amms: dict[str, PremiumHistory]

    def position(self, amm: str, trader: str) -> Mapping[str, Any]:
        return self.book.state.get(position_id(trader, amm), {**NOTHING, "amm": amm})

    def fraction(self, amm: str) -> int | None:
        """The AMM's cumulative premium fraction, if all of its history is in the logs."""
        return self.amms[amm].fraction if amm in self.amms else None

    def liquidity_index(self, amm: str) -> int:
        return self.amms[amm].liquidity_history_index if amm in self.amms else 0

    def leave(self, log: Log, kind: EventKind, after: Mapping[str, Any], **what: Any) -> None:
        """Write the position that an event left behind, and its row."""
        before = self.position(after["amm"], what["trader"])
        ends = after["size"] == 0 and after["margin"] == 0 and SETTLED not in after
        columns = event_columns(before, after, what)
        self.book.leave(log, kind, columns["position_id"], None if ends else after, **columns)

    def keep(self, log: Log, kind: EventKind, key: str, after: Mapping[str, Any] | None) -> None:
        """Write state that is no position's."""
        self.book.leave(log, kind, key, after, market=log.address)

    def lose_premium(self, log: Log) -> None:
        """A payment that cannot be read: the AMM's premium is not known from here on."""
        self.amms.setdefault(log.address, PremiumHistory()).fraction = None
        self.keep(log, "premium", log.address, self.amms[log.address].after())


def _position_changed(run: _Replay, log: Log, values: Mapping[str, Any]) -> None:
    amm, trader = values["amm"], values["trader"]
    before = run.position(amm, trader)
    size = values["positionSizeAfter"]
    is_whole = before["size"] + values["exchangedPositionSize"] == size
    if not is_whole:
        detail = f"size {before['size']} and {values['exchangedPositionSize']} do not make {size}"
        run.book.complain(log, "gap_in_logs", position_id(trader, amm), detail)
    after = {
        **before,
        "size": size,
        "margin": values["margin"],
        "openNotional": _open_notional(before, values) if is_whole else None,
        "lastUpdatedCumulativePremiumFraction": run.fraction(amm),
        "liquidityHistoryIndex": run.liquidity_index(amm),
        "blockNumber": log.block_number,
    }
    if size == 0:
        after |= {**NOTHING, "margin": values["margin"], "blockNumber": log.block_number}
    run.leave(log, _kind(before["size"], values), after, **values)


def _open_notional(before: Mapping[str, Any], values: Mapping[str, Any]) -> int | None:
    """``Position.openNotional`` after a change, from the one before and the amounts exchanged."""
    old, old_size, size = before["openNotional"], before["size"], values["positionSizeAfter"]
    if old is None and old_size != 0:
        return None
    exchanged, realized = values["positionNotional"], values["realizedPnl"]
    if old_size == 0:
        return int(exchanged)
    closed_for = old + realized if old_size > 0 else old - realized
    if (old_size > 0) != (size > 0):
        return int(exchanged - closed_for)
    grows = abs(size) >= abs(old_size)
    return int(old + exchanged if grows else closed_for - exchanged)


def _kind(old_size: int, values: Mapping[str, Any]) -> EventKind:
    size = values["positionSizeAfter"]
    if values["liquidationPenalty"]:
        return "liquidate"
    if size == 0:
        return "close"
    if old_size and (old_size > 0) != (size > 0):
        return "flip"
    return "increase" if abs(size) >= abs(old_size) else "decrease"


def _margin_changed(run: _Replay, log: Log, values: Mapping[str, Any]) -> None:
    """``addMargin`` does not settle funding, ``removeMargin`` does."""
    amm, trader, amount = values["amm"], values["sender"], values["amount"]
    before = run.position(amm, trader)
    after = {**before, "margin": before["margin"] + amount - values["fundingPayment"]}
    if amount < 0:
        after["lastUpdatedCumulativePremiumFraction"] = run.fraction(amm)
    run.leave(log, "withdraw" if amount < 0 else "deposit", after, trader=trader, **values)


def _position_adjusted(run: _Replay, log: Log, values: Mapping[str, Any]) -> None:
    """A position moved to a new curve: ``adjustPositionForLiquidityChanged``."""
    before = run.position(values["amm"], values["trader"])
    size, index = values["newPositionSize"], values["newLiquidityIndex"]
    after = {**before, "size": size, "liquidityHistoryIndex": index}
    run.leave(log, "adjust", after, **values)


def _position_settled(run: _Replay, log: Log, values: Mapping[str, Any]) -> None:
    """A closed AMM has paid the position out: ``settlePosition``. The log names no size."""
    before = run.position(values["amm"], values["trader"])
    after = {
        **before,
        **NOTHING,
        "blockNumber": log.block_number,
        SETTLED: before.get(SETTLED, 0) + before["size"],
    }
    run.leave(log, "settle", after, **values)


def _position_liquidated(run: _Replay, log: Log, values: Mapping[str, Any]) -> None:
    run.keep(log, "liquidator", LIQUIDATOR, {"liquidator": values["liquidator"]})


def _reserve_snapshotted(run: _Replay, log: Log, values: Mapping[str, Any]) -> None:
    reserves = values["quoteAssetReserve"], values["baseAssetReserve"]
    taken = ReserveSnapshot(*reserves, values["timestamp"], log.block_number)
    window = seconds(run.book.deployment, "spot_price_twap_interval")
    if log.address not in run.amms:
        run.amms[log.address] = PremiumHistory()
        run.keep(log, "premium", log.address, run.amms[log.address].after())
    index, gone = run.amms[log.address].snapshot(taken, window)
    for old in gone:
        run.keep(log, "reserve", reserve_key(log.address, old), None)
    run.keep(log, "reserve", reserve_key(log.address, index), reserve_fields(taken))


def _funding_rate_updated(run: _Replay, log: Log, values: Mapping[str, Any]) -> None:
    history = run.amms.setdefault(log.address, PremiumHistory())
    window = seconds(run.book.deployment, "spot_price_twap_interval")
    period = seconds(run.book.deployment, "funding_period")
    rate, underlying_price = values["rate"], values["underlyingPrice"]
    try:
        if log.block_time is None:
            raise MissingError("the time of the block was not read")
        history.settle_funding(rate, underlying_price, log.block_time, window, period)
    except (Revert, MissingError):
        history.fraction = None
    run.keep(log, "premium", log.address, history.after())
    run.book.rows += funding_rows(run.book.at(log), log, values, history.fraction, period)


def _liquidity_changed(run: _Replay, log: Log, _: Mapping[str, Any]) -> None:
    history = run.amms.setdefault(log.address, PremiumHistory(fraction=None))
    history.liquidity_history_index += 1
    run.keep(log, "premium", log.address, history.after())


HANDLERS: Final[dict[str, Callable[[_Replay, Log, Mapping[str, Any]], None]]] = {
    "PositionChanged": _position_changed,
    "MarginChanged": _margin_changed,
    "PositionAdjusted": _position_adjusted,
    "PositionSettled": _position_settled,
    "PositionLiquidated": _position_liquidated,
    "ReserveSnapshotted": _reserve_snapshotted,
    FUNDING: _funding_rate_updated,
    "LiquidityChanged": _liquidity_changed,
}


@cache
def _events(name: str) -> dict[str, Event]:
    return {event.topic: event for event in load_abi(NAME, name).events.values()}


def _topics(name: str) -> tuple[str, ...]:
    return tuple(sorted(_events(name)))
