"""Executed prices that are not the newest: a log of a later one could not be read, or never came.

A position's event carries the prices that it was executed at, and ``Oracle`` has emitted each of
them in the same transaction. So a position's event without its prices proves that logs are missing.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from analyzer.protocol import State
from analyzer.protocols.evidence import unreadable_logs
from analyzer.protocols.gmx_v2.readings import Readings

PRICE_STATE: Final = "price:"
"""State keys of executed prices: this and the token."""
USED_PRICE: Final = "used:"
"""State keys of what a market's newest position event was executed at: this and the market."""
PRICE_EVENT: Final = "OraclePriceUpdate"


@dataclass(frozen=True, slots=True, order=True)
class Doubt:
    """From which log on a token's executed price is not known, at what time, and why."""

    block_number: int
    log_index: int
    block_time: int | None
    reason: str


def price_doubts(got: Readings, state: State) -> dict[str, Doubt]:
    """The tokens whose newest executed price is not in the logs that could be read."""
    found: dict[str, Doubt] = {}
    for token, doubt in (*_unreadable(got, state), *_missing(got, state)):
        price = state.get(PRICE_STATE + token)
        known = (price["blockNumber"], price["logIndex"]) if price else (-1, -1)
        if known < (doubt.block_number, doubt.log_index):
            found[token] = max(doubt, found.get(token, doubt))
    return found


def _unreadable(got: Readings, state: State) -> Iterator[tuple[str, Doubt]]:
    """The token of a price is a topic of its log; a log without it may be of any token."""
    for log in unreadable_logs(state):
        if log.event == PRICE_EVENT:
            reason = f"an {PRICE_EVENT} of block {log.block_number} could not be read: {log.reason}"
            doubt = Doubt(log.block_number, log.log_index, log.block_time, reason)
            named = [token for token in got.tokens if token in log.addresses]
            for token in named or got.tokens:
                yield token, doubt


def _missing(got: Readings, state: State) -> Iterator[tuple[str, Doubt]]:
    """Prices that a position's event shows and no ``OraclePriceUpdate`` before it does."""
    for market, props in got.markets.items():
        used = state.get(USED_PRICE + market)
        if used is None:
            continue
        for token, prices in (
            (props.index_token, used["index"]),
            (used["collateralToken"], used["collateral"]),
        ):
            if not _is_shown(state.get(PRICE_STATE + token), used, prices):
                reason = (
                    f"a position of block {used['blockNumber']} was executed at a price of which "
                    f"no {PRICE_EVENT} came"
                )
                place = used["blockNumber"], used["logIndex"]
                yield token, Doubt(*place, used["blockTime"], reason)


def _is_shown(price: Mapping[str, Any] | None, used: Mapping[str, Any], prices: list[int]) -> bool:
    return (
        price is not None
        and price["blockNumber"] == used["blockNumber"]
        and [price["minPrice"], price["maxPrice"]] == prices
    )
