"""EventEmitter logs to rows: positions after each change, executed prices, markets' state.

A position's state is what its last event says, and ``pendingImpactAmount``, which no event carries
as a total: increases add to it, decreases take the closed share out.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final

from analyzer.errors import AnalyzerError
from analyzer.evm import Log, LogFilter
from analyzer.protocol import Deployment, State
from analyzer.protocols.gmx_v2.datastore import NAME
from analyzer.protocols.gmx_v2.deployments import EVENT_EMITTER
from analyzer.protocols.gmx_v2.event_data import Decoder, Values, event_topics
from analyzer.protocols.gmx_v2.keys import position_key
from analyzer.protocols.gmx_v2.log_rows import executed_price, funding_row
from analyzer.protocols.gmx_v2.prices import LOST, PRICE_STATE
from analyzer.reads import MalformedError
from analyzer.rows import At, DataQuality, PositionEvents, Row
from analyzer.units import ceil_div, to_e18

EVENT_LOG_1: Final = "0x137a44067c8961cd7e1d876f4754a5a3a75989b4552f1843fc69c3b372def160"
LIQUIDATION: Final = 7
"""``Order.OrderType.Liquidation``."""

STRUCT: Final = (
    "sizeInUsd", "sizeInTokens", "collateralAmount", "borrowingFactor", "fundingFeeAmountPerSize",
    "longTokenClaimableFundingAmountPerSize", "shortTokenClaimableFundingAmountPerSize",
)  # fmt: skip


def log_filters(deployment: Deployment) -> Sequence[LogFilter]:
    """The events that positions, executed prices and markets' state are replayed from."""
    emitter = deployment.contracts[EVENT_EMITTER].lower()
    return [LogFilter((emitter,), ((EVENT_LOG_1,), tuple(sorted(_handlers()))))]


def price_filters(deployment: Deployment) -> Sequence[LogFilter]:
    """The executed prices alone: what a snapshot without history looks for in recent blocks."""
    emitter = deployment.contracts[EVENT_EMITTER].lower()
    return [LogFilter((emitter,), ((EVENT_LOG_1,), event_topics(["OraclePriceUpdate"])))]


def replay(deployment: Deployment, logs: Sequence[Log], state: State) -> Sequence[Row]:
    """Rows of block-aligned logs in chain order; ``state`` is what the logs before them left."""
    run = _Replay(deployment, dict(state))
    handlers = _handlers()
    for log in logs:
        handler = handlers.get(log.topics[1]) if len(log.topics) > 1 else None
        if handler is None:
            run.complain(log, "unknown_event", "no event by this name is known")
            continue
        run.enter(log.tx_hash)
        try:
            handler(run, log, run.decoder.decode(log))
        except (MalformedError, KeyError) as error:
            what = f"item {error} is missing" if isinstance(error, KeyError) else str(error)
            run.complain(log, "malformed_log", what)
            if handler in (_position_increase, _position_decrease):
                run.lose(log, what)
    return run.rows


@dataclass(slots=True)
class _Replay:
    deployment: Deployment
    book: dict[str, Mapping[str, Any]]
    decoder: Decoder = field(default_factory=Decoder)
    rows: list[Row] = field(default_factory=list)
    tx_hash: str = ""
    fees: dict[str, int] = field(default_factory=dict)
    """Fees in USD (30 decimals) by position, of the current transaction."""
    borrowing_side: dict[str, bool] = field(default_factory=dict)
    """Whether the long side's factor was the last to be updated, by market, likewise."""

    def enter(self, tx_hash: str) -> None:
        if tx_hash != self.tx_hash:
            self.tx_hash = tx_hash
            self.fees.clear()
            self.borrowing_side.clear()

    def at(self, log: Log) -> At:
        return At(self.deployment.chain_id, NAME, self.deployment.name, log.block_number)

    def complain(self, log: Log, kind: str, detail: str) -> None:
        subject = log.topics[1] if len(log.topics) > 1 else log.tx_hash
        self.rows.append(
            DataQuality(
                at=self.at(log), log_index=log.log_index, kind=kind, subject=subject, detail=detail
            )
        )

    def leave(self, log: Log, kind: str, key: str, after: Mapping[str, Any], **more: Any) -> None:
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


EMPTY: Final = (
    "position_id", "margin_id", "account", "market", "side", "collateral_token", "size_delta_usd",
    "collateral_delta", "price", "fee_usd", "pnl_usd",
)  # fmt: skip
PRICE: Final = "price"


def _position_increase(run: _Replay, log: Log, values: Values) -> None:
    key, before = _identify(run, values)
    pending = 0 if before is None else before.get("pendingImpactAmount")
    unknown = None if before is None else before.get("unknown")
    if before is None and values["sizeInUsd"] != values["sizeDeltaUsd"]:
        unknown, pending = "its history before the logs at hand is not known", None
    if "pendingPriceImpactAmount" in values:
        pending = None if pending is None else pending + values["pendingPriceImpactAmount"]
    elif "priceImpactAmount" not in values:
        raise MalformedError("a PositionIncrease without price impact")
    after = _after(values, pending, unknown) | {
        "increasedAtTime": values.get("increasedAtTime", _time(log)),
        "decreasedAtTime": before["decreasedAtTime"] if before else 0,
    }
    _leave_position(run, log, "increase", key, values, after, sign=1)


def _position_decrease(run: _Replay, log: Log, values: Values) -> None:
    key, before = _identify(run, values)
    pending: int | None = None
    unknown: str | None = "its history before the logs at hand is not known"
    if before is not None:
        pending, unknown = before.get("pendingImpactAmount"), before.get("unknown")
        if pending is not None:
            size_before = values["sizeInUsd"] + values["sizeDeltaUsd"]
            pending -= proportional_pending_impact(pending, values["sizeDeltaUsd"], size_before)
    after = _after(values, pending, unknown) | {
        "increasedAtTime": before["increasedAtTime"] if before else 0,
        "decreasedAtTime": values.get("decreasedAtTime", _time(log)),
    }
    closed = values["sizeInUsd"] == 0
    kind = "liquidate" if values["orderType"] == LIQUIDATION else "close" if closed else "decrease"
    _leave_position(run, log, kind, key, values, after, sign=-1)


def proportional_pending_impact(pending: int, size_delta_usd: int, size_before: int) -> int:
    """The share of pending impact that closing ``size_delta_usd`` realises.

    ``PositionUtils.getProportionalPendingImpactValues``: negative impact is rounded up in
    magnitude, positive down.
    """
    if size_before == 0:
        return pending
    share = abs(pending) * size_delta_usd
    return -ceil_div(share, size_before) if pending < 0 else share // size_before


def _identify(run: _Replay, values: Values) -> tuple[str, Mapping[str, Any] | None]:
    key = "0x" + values["positionKey"].hex()
    own = position_key(
        values["account"], values["market"], values["collateralToken"], values["isLong"]
    )
    if own != values["positionKey"]:
        raise MalformedError(f"{key} is not the key of the position that it comes with")
    return key, run.book.get(key)


def _after(values: Values, pending: int | None, unknown: Any) -> dict[str, Any]:
    identity = {name: values[name] for name in ("account", "market", "collateralToken", "isLong")}
    struct = {name: values[name] for name in STRUCT}
    pending_impact = {} if pending is None else {"pendingImpactAmount": pending}
    return identity | struct | pending_impact | ({} if unknown is None else {"unknown": unknown})


def _leave_position(
    run: _Replay,
    log: Log,
    kind: str,
    key: str,
    values: Values,
    after: Mapping[str, Any],
    *,
    sign: int,
) -> None:
    collateral_usd = values["collateralDeltaAmount"] * values["collateralTokenPrice.min"]
    pnl = values.get("basePnlUsd")
    fee = run.fees.pop(key, None)
    run.leave(
        log,
        kind,
        key,
        after,
        position_id=key,
        margin_id=key,
        account=values["account"],
        market=values["market"],
        side="long" if values["isLong"] else "short",
        collateral_token=values["collateralToken"],
        size_delta_usd=to_e18(sign * values["sizeDeltaUsd"], 30),
        collateral_delta=to_e18(sign * collateral_usd, 30),
        fee_usd=None if fee is None else to_e18(fee, 30),
        pnl_usd=None if pnl is None else to_e18(pnl, 30),
    )


def _position_fees(run: _Replay, _: Log, values: Values) -> None:
    cost = values["totalCostAmount"] * values["collateralTokenPrice.min"]
    run.fees["0x" + values["positionKey"].hex()] = cost


def _oracle_price_update(run: _Replay, log: Log, values: Values) -> None:
    token = values["token"]
    if not 0 < values["minPrice"] <= values["maxPrice"]:
        detail = f"{token}: minPrice {values['minPrice']}, maxPrice {values['maxPrice']}"
        run.complain(log, "invalid_price", detail)
        return
    before = run.book.get(PRICE_STATE + token, {})
    after = {
        **{name: values[name] for name in ("minPrice", "maxPrice", "timestamp", "provider")},
        "previousMinPrice": before.get("minPrice"),
        "previousMaxPrice": before.get("maxPrice"),
        "blockNumber": log.block_number,
        "logIndex": log.log_index,
    }
    run.leave(log, PRICE, PRICE_STATE + token, after)
    run.rows.append(executed_price(run.at(log), log, token, after))


def _word(word: str, value: str) -> "Handler":
    """A handler of events that say a market's word: what it is now, and by how much it changed."""

    def handle(run: _Replay, log: Log, values: Values) -> None:
        run.rows.append(
            funding_row(
                run.at(log),
                log,
                values,
                side=values.get("isLong"),
                collateral_token=str(values.get("collateralToken", values.get("token", ""))),
                inputs={word: values[value], "delta": values["delta"]},
            )
        )

    return handle


def _cumulative_borrowing_factor(run: _Replay, log: Log, values: Values) -> None:
    run.borrowing_side[values["market"]] = values["isLong"]
    _word("CUMULATIVE_BORROWING_FACTOR", "nextValue")(run, log, values)


def _funding(run: _Replay, log: Log, values: Values) -> None:
    """The rate has no direction here: it is unsigned, and the event names no side."""
    inputs = {"fundingFactorPerSecond": values["fundingFactorPerSecond"]}
    run.rows.append(funding_row(run.at(log), log, values, inputs=inputs))


def _borrowing(run: _Replay, log: Log, values: Values) -> None:
    """The side is that of the cumulative factor that was updated just before."""
    rate = values["borrowingFactorPerSecond"]
    run.rows.append(
        funding_row(
            run.at(log),
            log,
            values,
            side=run.borrowing_side.get(values["market"]),
            borrowing_rate=rate,
            inputs={"borrowingFactorPerSecond": rate},
        )
    )


Handler = Callable[[_Replay, Log, Values], None]

HANDLERS: Final[dict[str, Handler]] = {
    "PositionIncrease": _position_increase,
    "PositionDecrease": _position_decrease,
    "PositionFeesCollected": _position_fees,
    "OraclePriceUpdate": _oracle_price_update,
    "FundingFeeAmountPerSizeUpdated": _word("FUNDING_FEE_AMOUNT_PER_SIZE", "value"),
    "ClaimableFundingAmountPerSizeUpdated": _word("CLAIMABLE_FUNDING_AMOUNT_PER_SIZE", "value"),
    "CumulativeBorrowingFactorUpdated": _cumulative_borrowing_factor,
    "Funding": _funding,
    "Borrowing": _borrowing,
    "OpenInterestUpdated": _word("OPEN_INTEREST", "nextValue"),
    "OpenInterestInTokensUpdated": _word("OPEN_INTEREST_IN_TOKENS", "nextValue"),
    "CollateralSumUpdated": _word("COLLATERAL_SUM", "nextValue"),
    "PoolAmountUpdated": _word("POOL_AMOUNT", "nextValue"),
}


@cache
def _handlers() -> dict[str, Handler]:
    return dict(zip(event_topics(list(HANDLERS)), HANDLERS.values(), strict=True))


def _time(log: Log) -> int:
    """The time of the log's block: what the contract writes where an older event does not say."""
    if log.block_time is None:
        raise AnalyzerError(f"block {log.block_number} has logs but its time was not read")
    return log.block_time
