"""What may rest on logs that could not be read, and what the protocol's own totals say of the rest.

A book that balances to the unit proves that no position is missing from it: the totals are kept by
the contract itself and know nothing of logs.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from analyzer.protocol import State
from analyzer.protocols.book import UNREADABLE
from analyzer.reads import Failed
from analyzer.rows import At, DataQuality, Totals

NOT_READ: Final = "positions_not_read"
"""The kind of a data-quality row about positions of which it is not known whether they exist."""
SMALLEST_ADDRESS: Final = 1 << 128
"""A smaller word is taken for an amount: an address below it has four leading bytes of zero."""
Measure = Literal["size", "collateral"]


@dataclass(frozen=True, slots=True)
class UnreadableLog:
    """A log that could not be read, as far as it has words: its topics and its data in hex.

    ``words`` are those of the topics after the first and of the data in one, without ``0x``.
    """

    event: str
    reason: str
    block_number: int
    block_time: int | None
    log_index: int
    topics: tuple[str, ...]
    words: tuple[str, ...]

    @property
    def addresses(self) -> tuple[str, ...]:
        """Every address that it can have named, in its order."""
        found = (word[24:] for word in self.words if not word[:24].strip("0"))
        return tuple(dict.fromkeys("0x" + a for a in found if int(a, 16) >= SMALLEST_ADDRESS))


def unreadable_logs(state: State | None) -> Iterator[UnreadableLog]:
    """The logs up to a block that could not be read."""
    for key, after in (state or {}).items():
        if key.startswith(UNREADABLE):
            yield UnreadableLog(
                event=after["event"],
                reason=after["reason"],
                block_number=after["blockNumber"],
                block_time=after["blockTime"],
                log_index=after["logIndex"],
                topics=tuple(after["topics"]),
                words=tuple(after["words"]),
            )


def readable(state: State | None) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """What the logs that could be read left behind, by state key."""
    return ((k, after) for k, after in (state or {}).items() if not k.startswith(UNREADABLE))


def not_read(at: At, subject: str, reason: str) -> DataQuality:
    """A position of which it is not known whether there is one."""
    return DataQuality(at=at, kind=NOT_READ, subject=subject, detail=reason)


def total(
    at: At,
    name: str,
    subject: str,
    side: str,
    measures: Measure,
    stated: int | Failed,
    summed: int,
    *,
    usd: Callable[[int], int | None] | None = None,
    bound: int = 0,
) -> Totals:
    """A total that the contract keeps, beside what the positions of a snapshot add up to.

    ``stated`` is the contract's integer or ``Failed``; ``usd`` turns a difference into units of
    1e-18 USD, or into ``None`` where there is no price for it.
    """
    difference = None if isinstance(stated, Failed) else stated - summed
    return Totals(
        at=at,
        total_id=":".join(part for part in (name, subject, side) if part),
        name=name,
        subject=subject,
        side=side,
        measures=measures,
        stated=None if isinstance(stated, Failed) else str(stated),
        summed=str(summed),
        bound=str(bound),
        difference_usd=None if difference is None or usd is None else usd(difference),
        is_balanced=difference is not None and abs(difference) <= bound,
        reason=stated.reason if isinstance(stated, Failed) else None,
    )
