"""Names and amounts as rows carry them."""

from typing import Any, Final

from analyzer.reads import Failed
from analyzer.rows import At

LONGEST_SYMBOL: Final = 64


def price_id(at: At, token: str) -> str:
    """The id of a token's price in a deployment."""
    return f"{at.chain_id}:{at.protocol}:{at.deployment}:{token}"


def printable(claimed: Any) -> str | None:
    """At most 64 printable characters of what a contract calls itself."""
    if not isinstance(claimed, str):
        return None
    return "".join(c for c in claimed[: 4 * LONGEST_SYMBOL] if c.isprintable())[:LONGEST_SYMBOL]


def shown(value: Any) -> Any:
    """A value for ``inputs`` and ``outputs``: what has none says why."""
    if isinstance(value, Failed):
        return {"revert" if value.reverted else "unknown": value.reason}
    return value


def amount(value: Any) -> int | None:
    """A value for a column: none where it is not known."""
    return None if isinstance(value, Failed) else value
