"""What a contract claims to be called: anybody's text, cut to what can be printed."""

from typing import Final

LONGEST: Final = 64


def printable(claimed: str) -> str:
    """At most 64 printable characters of a name or symbol."""
    return "".join(c for c in claimed[: 4 * LONGEST] if c.isprintable())[:LONGEST]
