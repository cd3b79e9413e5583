"""EventEmitter logs to rows: positions after each change, executed prices, markets' state."""

from collections.abc import Callable, Sequence
from typing import Final

from analyzer.event_columns import Known, Values, decode
from analyzer.evm import Log, LogFilter
from analyzer.protocol import Deployment, State
from analyzer.protocols.book import Book, take
from analyzer.protocols.gmx_v2.deployments import EVENT_EMITTER
from analyzer.protocols.gmx_v2.event_data import event_topics, known_events
from analyzer.protocols.gmx_v2.items import Items
from analyzer.protocols.gmx_v2.ledger import Ledger
from analyzer.protocols.gmx_v2.log_rows import executed_price, funding_row
from analyzer.protocols.gmx_v2.position_events import (
    position_decrease,
    position_fees,
    position_increase,
)
from analyzer.protocols.gmx_v2.price_doubts import PRICE_STATE, TOKEN_TOPIC
from analyzer.reads import MalformedError
from analyzer.rows import Row

EVENT_LOG_1: Final = "0x137a44067c8961cd7e1d876f4754a5a3a75989b4552f1843fc69c3b372def160"


def log_filters(deployment: Deployment) -> Sequence[LogFilter]:
    """The events that positions, executed prices and markets' state are replayed from."""
    emitter = deployment.contracts[EVENT_EMITTER].lower()
    return [LogFilter((emitter,), ((EVENT_LOG_1,), tuple(sorted(event_topics(list(HANDLERS))))))]


def price_filters(deployment: Deployment) -> Sequence[LogFilter]:
    """The executed prices alone: what a snapshot without history looks for in recent blocks."""
    emitter = deployment.contracts[EVENT_EMITTER].lower()
    return [LogFilter((emitter,), ((EVENT_LOG_1,), event_topics(["OraclePriceUpdate"])))]


def events(_: Deployment) -> Sequence[Known]:
    """The EventEmitter's events that are replayed."""
    return known_events(list(HANDLERS))


def replay(deployment: Deployment, logs: Sequence[Log], state: State) -> Sequence[Row]:
    """Rows of block-aligned logs in chain order; ``state`` is what the logs before them left."""
    run = Ledger(Book(deployment, dict(state)))
    for log, event, values in decode(events(deployment), logs):
        if event is None:
            subject = log.topics[1] if len(log.topics) > 1 else log.tx_hash
            run.book.complain(log, "unknown_event", subject, "no event by this name is known")
            continue
        run.enter(log.tx_hash)
        items = values if isinstance(values, MalformedError) else Items(values)
        take(run.book, HANDLERS, run, log, event, items)
    return run.book.rows


def _oracle_price_update(run: Ledger, log: Log, values: Values) -> None:
    """``Oracle`` sets no price of zero, and none whose ends are crossed.

    The first releases said neither when a price was observed nor who provided it: its block's time
    is the latest that it can be.
    """
    token, low, high = values["token"], values["minPrice"], values["maxPrice"]
    if not 0 < low <= high:
        raise MalformedError(f"minPrice {low} and maxPrice {high} are no price")
    if log.topics[TOKEN_TOPIC] != "0x" + token[2:].rjust(64, "0"):
        raise MalformedError(f"token {token} is not the one of its topic")
    before = run.book.state.get(PRICE_STATE + token, {})
    after = {
        "minPrice": low,
        "maxPrice": high,
        "timestamp": values.get("timestamp", log.block_time),
        "provider": values.get("provider"),
        "previousMinPrice": before.get("minPrice"),
        "previousMaxPrice": before.get("maxPrice"),
        "blockNumber": log.block_number,
        "logIndex": log.log_index,
    }
    run.book.leave(log, "price", PRICE_STATE + token, after)
    run.book.rows.append(executed_price(run.book.at(log), log, token, after))


def _word(word: str, value: str) -> "Handler":
    """A handler of events that say a market's word: what it is now, and by how much it changed."""

    def handle(run: Ledger, log: Log, values: Values) -> None:
        run.book.rows.append(
            funding_row(
                run.book.at(log),
                log,
                values,
                side=values.get("isLong"),
                collateral_token=str(values.get("collateralToken", values.get("token", ""))),
                inputs={word: values[value], "delta": values["delta"]},
            )
        )

    return handle


def _cumulative_borrowing_factor(run: Ledger, log: Log, values: Values) -> None:
    _word("CUMULATIVE_BORROWING_FACTOR", "nextValue")(run, log, values)
    run.borrowing_side[values["market"]] = values["isLong"]


def _funding(run: Ledger, log: Log, values: Values) -> None:
    """The rate has no direction here: it is unsigned, and the event names no side."""
    inputs = {"fundingFactorPerSecond": values["fundingFactorPerSecond"]}
    run.book.rows.append(funding_row(run.book.at(log), log, values, inputs=inputs))


def _borrowing(run: Ledger, log: Log, values: Values) -> None:
    """The side is that of the cumulative factor that was updated just before."""
    rate = values["borrowingFactorPerSecond"]
    run.book.rows.append(
        funding_row(
            run.book.at(log),
            log,
            values,
            side=run.borrowing_side.get(values["market"]),
            borrowing_rate=rate,
            inputs={"borrowingFactorPerSecond": rate},
        )
    )


Handler = Callable[[Ledger, Log, Values], None]

HANDLERS: Final[dict[str, Handler]] = {
    "PositionIncrease": position_increase,
    "PositionDecrease": position_decrease,
    "PositionFeesCollected": position_fees,
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
