"""What a check of a database comes to, in words, with the cure where it fails."""

from dataclasses import dataclass
from typing import Final

from analyzer.indexer.ranges import Range

ANEW: Final = "run `perpscope index --db NEW`"
REBUILD: Final = "run `perpscope index --rebuild`"
MOST: Final = 10
"""Failures of one kind that are named one by one."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What was looked at, what was found, and whether it is as it must be."""

    name: str
    text: str
    holds: bool = True


def blocks(one: Range) -> str:
    """A range of blocks in words."""
    return f"block {one[0]:,}" if one[0] == one[1] else f"blocks {one[0]:,} to {one[1]:,}"
