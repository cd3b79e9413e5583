"""Executed prices that are not the newest: a log of a later one could not be read, or never came.

Positions change at the prices of their market's three tokens, and ``Oracle`` has emitted each of
them in the same transaction: ``withOraclePrices`` sets them before and clears them after it. A
position's event carries those of its index and its collateral token. So one without its prices
proves that logs are missing.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from analyzer.protocol import State
from analyzer.protocols.evidence import UnreadableLog, unreadable_logs
from analyzer.protocols.gmx_v2.readings import Readings

PRICE_STATE: Final = "price:"
"""State keys of executed prices: this and the token."""
USED_PRICE: Final = "used:"
"""State keys of what a market's newest position event was executed at: this and the market."""
PRICE_EVENT: Final = "OraclePriceUpdate"
TOKEN_TOPIC: Final = 2
"""Which topic of its log names the token."""


@dataclass(frozen=True, slots=True)
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
            found[token] = max(found.get(token, doubt), doubt, key=lambda one: one.block_number)
    return found


def _unreadable(got: Readings, state: State) -> Iterator[tuple[str, Doubt]]:
    for log in unreadable_logs(state):
        if log.event == PRICE_EVENT:
            reason = f"an {PRICE_EVENT} of block {log.block_number} could not be read: {log.reason}"
            doubt = Doubt(log.block_number, log.log_index, log.block_time, reason)
            yield from ((token, doubt) for token in _named(log, got.tokens))


def _named(log: UnreadableLog, tokens: Sequence[str]) -> Sequence[str]:
    """The tokens that a log can be of: those among its words, any where its topic names none."""
    named = log.addresses
    if len(log.topics) <= TOKEN_TOPIC or "0x" + log.topics[TOKEN_TOPIC][-40:] not in named:
        return tokens
    return [token for token in tokens if token in named]


def _missing(got: Readings, state: State) -> Iterator[tuple[str, Doubt]]:
    """Prices that a position's event was executed at and no ``OraclePriceUpdate`` before it says.

    Those of an older event of the same market do not matter: a newer one had newer prices.
    """
    for market, props in got.markets.items():
        used = state.get(USED_PRICE + market)
        if used is None:
            continue
        reason = (
            f"a position of block {used['blockNumber']} was executed at a price of which no "
            f"{PRICE_EVENT} came"
        )
        doubt = Doubt(used["blockNumber"], used["logIndex"], used["blockTime"], reason)
        prices = {
            props.long_token: None, props.short_token: None,
            props.index_token: used["index"], used["collateralToken"]: used["collateral"],
        }  # fmt: skip
        for token, price in prices.items():
            if not _is_in(used, price, state.get(PRICE_STATE + token)):
                yield token, doubt


def _is_in(
    used: Mapping[str, Any], price: list[int] | None, update: Mapping[str, Any] | None
) -> bool:
    """Whether a token's newest update is of the event's block, and says the event's price."""
    if update is None or update["blockNumber"] != used["blockNumber"]:
        return False
    return price is None or price == [update["minPrice"], update["maxPrice"]]
