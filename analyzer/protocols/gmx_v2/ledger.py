"""What a run of logs carries forward beside the book: what belongs to one transaction."""

from dataclasses import dataclass, field

from analyzer.protocols.book import Book


@dataclass(slots=True)
class Ledger:
    """The book of a run, and what events of a transaction say of each other."""

    book: Book
    tx_hash: str = ""
    fees: dict[str, int] = field(default_factory=dict)
    """Fees in USD (30 decimals) by position, of the current transaction."""
    borrowing_side: dict[str, bool] = field(default_factory=dict)
    """Whether the long side's factor was the last to be updated, by market, likewise."""

    def enter(self, tx_hash: str) -> None:
        """Forget what belongs to one transaction when another begins."""
        if tx_hash != self.tx_hash:
            self.tx_hash = tx_hash
            self.fees.clear()
            self.borrowing_side.clear()
