"""Taker positions and makers' orders, as logs change them."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from analyzer.evm import Log
from analyzer.protocols.perp_v2.ledger import LedgerOrder, LedgerPosition
from analyzer.protocols.perp_v2.perp_math import WAD
from analyzer.protocols.perp_v2.position import DUST
from analyzer.protocols.perp_v2.replayed import Replayed
from analyzer.reads import MalformedError
from analyzer.rows import EventKind, Side


def position_changed(replayed: Replayed, log: Log, event: Mapping[str, Any]) -> None:
    """``ClearingHouse.PositionChanged``: the size moves by, the notional moves to.

    The contract has forgotten a market that holds nothing by the time it emits this.
    """
    trader, base_token = event["trader"].lower(), event["baseToken"].lower()
    before = replayed.position(trader, base_token)
    after = replace(
        before,
        taker_position_size=before.taker_position_size + event["exchangedPositionSize"],
        taker_open_notional=event["openNotional"],
        changes=before.changes + 1,
    )
    size, notional = abs(event["exchangedPositionSize"]), abs(event["exchangedPositionNotional"])
    grows = abs(after.taker_position_size) > abs(before.taker_position_size)
    replayed.emit_position(
        log,
        _kind(before, after),
        trader,
        base_token,
        None if _is_deregistered(after) else after,
        side=_side(after if after.taker_position_size else before),
        size_delta_usd=notional if grows else -notional,
        price=notional * WAD // size if size else None,
        fee_usd=event["fee"],
        pnl_usd=event["realizedPnl"],
    )
    if _is_deregistered(after):
        replayed.end_position(log, base_token, after.changes)
    replayed.last_position_change = (log.block_number, log.log_index, f"{trader}:{base_token}")


def position_closed(replayed: Replayed, log: Log, event: Mapping[str, Any]) -> None:
    """``ClearingHouse.PositionClosed``: a position in a closed market is settled and forgotten."""
    trader, base_token = event["trader"].lower(), event["baseToken"].lower()
    changes = replayed.position(trader, base_token).changes
    replayed.end_position(log, base_token, changes, event["closedPositionSize"])
    replayed.emit_position(
        log,
        "settle",
        trader,
        base_token,
        None,
        side="long" if event["closedPositionSize"] > 0 else "short",
        size_delta_usd=-abs(event["closedPositionNotional"]),
        price=event["closedPrice"],
        pnl_usd=event["realizedPnl"],
    )


def liquidity_changed(replayed: Replayed, log: Log, event: Mapping[str, Any]) -> None:
    """``ClearingHouse.LiquidityChanged``: an order grows or shrinks, its debts in proportion.

    A removal settles the taker's side too: ``removeLiquidity`` emits ``PositionChanged`` just
    before this, ``_removeAllLiquidity`` after all of them. Only in the first case is it the last
    word, and an empty market forgotten.
    """
    trader, base_token = event["maker"].lower(), event["baseToken"].lower()
    before = replayed.position(trader, base_token)
    key = event["lowerTick"], event["upperTick"]
    orders = dict(before.orders)
    changed = _changed_order(orders.get(key, LedgerOrder(0, 0, 0)), event)
    if changed.liquidity:
        orders[key] = changed
    else:
        orders.pop(key, None)
    after = replace(before, orders=orders, changes=before.changes + 1)
    this = (log.block_number, log.log_index - 1, f"{trader}:{base_token}")
    is_gone = replayed.last_position_change == this and _is_deregistered(after)
    replayed.emit_position(
        log,
        "add_liquidity" if event["liquidity"] > 0 else "remove_liquidity",
        trader,
        base_token,
        None if is_gone else after,
        fee_usd=-event["quoteFee"],
    )
    if is_gone:
        replayed.end_position(log, base_token, after.changes)


def funding_payment_settled(replayed: Replayed, log: Log, event: Mapping[str, Any]) -> None:
    """``ClearingHouse.FundingPaymentSettled``: told by ``PnlRealized`` already; kept for people."""
    trader, base_token = event["trader"].lower(), event["baseToken"].lower()
    replayed.emit_position(
        log,
        "funding",
        trader,
        base_token,
        replayed.registered(trader, base_token),
        pnl_usd=-event["fundingPayment"],
    )


def _kind(before: LedgerPosition, after: LedgerPosition) -> EventKind:
    """What a trade did to the taker's side; a maker's orders keep a position open without it."""
    old, new = before.taker_position_size, after.taker_position_size
    if old and not new and not after.orders:
        return "close"
    if old * new < 0:
        return "flip"
    return "increase" if abs(new) > abs(old) else "decrease"


def _changed_order(order: LedgerOrder, event: Mapping[str, Any]) -> LedgerOrder:
    liquidity = event["liquidity"]
    if liquidity >= 0:
        return LedgerOrder(
            order.liquidity + liquidity,
            order.base_debt + event["base"],
            order.quote_debt + event["quote"],
        )
    if -liquidity > order.liquidity:
        raise MalformedError(f"LiquidityChanged removes {-liquidity} of {order.liquidity}")
    return LedgerOrder(
        order.liquidity + liquidity,
        order.base_debt - order.base_debt * -liquidity // order.liquidity,
        order.quote_debt - order.quote_debt * -liquidity // order.liquidity,
    )


def _is_deregistered(position: LedgerPosition) -> bool:
    """``AccountBalance._deregisterBaseToken``."""
    sizes = (position.taker_position_size, position.taker_open_notional)
    return not position.orders and all(abs(size) < DUST for size in sizes)


def _side(position: LedgerPosition) -> Side | None:
    if position.taker_position_size == 0:
        return None
    return "long" if position.taker_position_size > 0 else "short"
