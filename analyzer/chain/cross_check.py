"""What one node says compared with what another says, down to the block and the log that differ."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields
from itertools import count
from typing import Protocol, TypeVar

from analyzer.chain.interface import Chain
from analyzer.chain.wire import describe
from analyzer.errors import AnalyzerError
from analyzer.evm import Answer, Block, Log, LogBatch, LogFilter, Request

T = TypeVar("T")
CURE = "one of the two is wrong, so use RPC URLs that agree"


class Another(Protocol):
    """Puts a question to another node than the one named: who answered, and what."""

    def __call__(self, node: Chain, work: Callable[[Chain], T], /) -> tuple[Chain, T]:
        """Raise ``AnalyzerError`` where no other node answers."""
        ...


class CrossCheck:
    """Compares the first and then every ``every``-th range and round; nothing where it is 0.

    A difference is asked about again, of both nodes: one that is gone is noted, and what both then
    say is what counts; one that stays is an error.
    """

    def __init__(self, every: int, another: Another, note: Callable[[str], None]) -> None:
        self._every = every
        self._another = another
        self._note = note
        self._ranges = count()
        self._rounds = count()

    def block(self, node: Chain, block: Block) -> Block:
        """The block, or the one of that number that both nodes have on being asked again."""
        if not self._every:
            return block
        number = block.number
        other, theirs = self._another(node, lambda other: other.block(number))
        if _identity(block) == _identity(theirs):
            return block
        again, theirs = node.block(number), other.block(number)
        if _identity(again) == _identity(theirs):
            self._note(_gone(node, other, f"headers of block {number}"))
            return again
        raise AnalyzerError(
            f"{node.label} and {other.label} have different blocks {number} ({again.hash[:18]}… "
            f"and {theirs.hash[:18]}…): {CURE}, or an older --block"
        )

    def logs(
        self, node: Chain, filters: Sequence[LogFilter], batch: LogBatch
    ) -> Iterable[LogBatch]:
        """The batch, or what both nodes say of its range on being asked again."""
        if not self._every or next(self._ranges) % self._every:
            return [batch]
        first, last = batch.from_block, batch.to_block
        other, theirs = self._another(node, lambda other: _logs(other, filters, first, last))
        if _same_logs(batch.logs, theirs):
            return [batch]
        again = list(node.logs(filters, first, last))
        if _same_logs([log for b in again for log in b.logs], _logs(other, filters, first, last)):
            self._note(_gone(node, other, f"logs of blocks {first} to {last}"))
            return again
        raise _logs_differ(node, other, filters, first, last)

    def answers(
        self, node: Chain, requests: Sequence[Request], block: Block, answers: list[Answer]
    ) -> list[Answer]:
        """The answers, those that differed replaced by what both nodes say when asked again."""
        if not requests or not self._every or next(self._rounds) % self._every:
            return answers
        other, theirs = self._another(node, lambda other: other.answer(requests, block))
        places = [i for i, pair in enumerate(zip(answers, theirs, strict=True)) if _differ(*pair)]
        if not places:
            return answers
        asked = [requests[place] for place in places]
        mine, theirs = node.answer(asked, block), other.answer(asked, block)
        for request, ours, its in zip(asked, mine, theirs, strict=True):
            if _differ(ours, its):
                raise AnalyzerError(
                    f"{node.label} and {other.label} give different answers to "
                    f"{describe(request)} at block {block.number}: {CURE}"
                )
        self._note(_gone(node, other, f"answers to {len(asked)} reads of block {block.number}"))
        settled = dict(zip(places, mine, strict=True))
        return [settled.get(place, answer) for place, answer in enumerate(answers)]


def _logs_differ(
    node: Chain, other: Chain, filters: Sequence[LogFilter], first: int, last: int
) -> AnalyzerError:
    """The error that names the first block of which two nodes give different logs."""
    names = f"{node.label} and {other.label}"
    low, high = first, last
    while low < high:
        middle = (low + high) // 2
        if _same_logs(_logs(node, filters, low, middle), _logs(other, filters, low, middle)):
            low = middle + 1
        else:
            high = middle
    mine, theirs = _logs(node, filters, low, low), _logs(other, filters, low, low)
    if _same_logs(mine, theirs):
        return AnalyzerError(
            f"{names} twice gave different logs of blocks {first} to {last}, though none differ "
            f"when asked for by the block: {CURE}"
        )
    return AnalyzerError(
        f"{names} give different logs of block {low} ({_difference(mine, theirs)}): {CURE}"
    )


def _difference(mine: Sequence[Log], theirs: Sequence[Log]) -> str:
    if len(mine) != len(theirs):
        return f"{len(mine)} and {len(theirs)} of them"
    ours, its = next((a, b) for a, b in zip(mine, theirs, strict=True) if a != b)
    names = [f.name for f in fields(Log) if getattr(ours, f.name) != getattr(its, f.name)]
    return f"log {ours.log_index} in its {' and '.join(names).replace('_', ' ')}"


def _logs(node: Chain, filters: Sequence[LogFilter], first: int, last: int) -> list[Log]:
    return [log for batch in node.logs(filters, first, last) for log in batch.logs]


def _same_logs(mine: Sequence[Log], theirs: Sequence[Log]) -> bool:
    return len(mine) == len(theirs) and all(a == b for a, b in zip(mine, theirs, strict=True))


def _differ(mine: Answer, theirs: Answer) -> bool:
    """Whether data or outcome differ; nodes word the same revert differently."""
    return (mine.data, mine.error is None) != (theirs.data, theirs.error is None)


def _identity(block: Block) -> tuple[str, str, int]:
    return block.hash, block.parent_hash, block.time


def _gone(node: Chain, other: Chain, what: str) -> str:
    return f"{node.label} and {other.label} gave different {what}, but agree on being asked again"
