"""The book of a replay: what logs leave behind, and one rule for those that cannot be read.

A log that cannot be read (its data cut or too long, another number of topics, values that
contradict the state before them) may have changed whatever it names. So the book keeps the words
that it does have, and a snapshot reads what the contract stores of the accounts among them: see
``evidence``. Nothing that the book says of an account is taken for true without the contract.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from analyzer.event_columns import Known, Values
from analyzer.evm import Log
from analyzer.protocol import Deployment
from analyzer.reads import MalformedError
from analyzer.rows import At, DataQuality, EventKind, PositionEvents, QualityKind, Row

UNREADABLE: Final = "unreadable:"
"""What the state keys of logs that could not be read begin with."""
MOST_WORDS: Final = 32
"""Words of an unreadable log's data that are kept; what names an account stands before them."""
WORD: Final = 32
"""Bytes of a word."""

T = TypeVar("T")


@dataclass(slots=True)
class Book:
    """A deployment's state after the logs so far, and the rows that they made, in chain order."""

    deployment: Deployment
    state: dict[str, Mapping[str, Any]]
    rows: list[Row] = field(default_factory=list)

    def at(self, log: Log) -> At:
        """Where a log's rows belong."""
        deployment = self.deployment
        return At(deployment.chain_id, deployment.protocol, deployment.name, log.block_number)

    def leave(
        self,
        log: Log,
        kind: EventKind,
        state_key: str,
        after: Mapping[str, Any] | None,
        **columns: Any,
    ) -> None:
        """Write what a log left behind under a key (``None``: it has ended), and its row."""
        if after is None:
            self.state.pop(state_key, None)
        else:
            self.state[state_key] = after
        self.rows.append(
            PositionEvents(
                at=self.at(log),
                log_index=log.log_index,
                tx_hash=log.tx_hash,
                block_time=log.block_time,
                kind=kind,
                state_key=state_key,
                after=after,
                **columns,
            )
        )

    def complain(self, log: Log, kind: QualityKind, subject: str, detail: str) -> None:
        """A row for what a log says against its contract's own rules."""
        self.rows.append(
            DataQuality(
                at=self.at(log), log_index=log.log_index, kind=kind, subject=subject, detail=detail
            )
        )

    def distrust(self, log: Log, event: str, reason: str) -> None:
        """A log that cannot be taken: what it names may have changed, and how is not known."""
        self.complain(log, "malformed_log", f"{log.address}:{event}", reason)
        words = [log.data[at : at + WORD].hex() for at in range(0, len(log.data), WORD)]
        after = {
            "event": event,
            "reason": reason,
            "address": log.address,
            "blockNumber": log.block_number,
            "blockTime": log.block_time,
            "logIndex": log.log_index,
            "topics": list(log.topics),
            "words": [topic[2:] for topic in log.topics[1:]]
            + [word for word in words[:MOST_WORDS] if len(word) == 2 * WORD],
        }
        self.leave(log, "unreadable", f"{UNREADABLE}{log.block_number}:{log.log_index}", after)


def take(
    book: Book,
    handlers: Mapping[str, Callable[[T, Log, Values], None]],
    run: T,
    log: Log,
    event: Known,
    values: Values | MalformedError,
) -> None:
    """Let a log's handler change the book; one that cannot be read is distrusted.

    A handler raises ``MalformedError`` before it changes anything.
    """
    try:
        if isinstance(values, MalformedError):
            raise values
        handlers[event.name](run, log, values)
    except MalformedError as error:
        book.distrust(log, event.name, str(error))
