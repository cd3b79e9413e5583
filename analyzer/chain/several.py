"""Several nodes as one chain: when one fails the next goes on, on the same fork or not at all."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import Final, TypeVar

from analyzer.chain.cross_check import CrossCheck
from analyzer.chain.failure import NodeError
from analyzer.chain.interface import Chain, Tag
from analyzer.chain.settings import Progress
from analyzer.errors import AnalyzerError
from analyzer.evm import Answer, Block, LogBatch, LogFilter, Request
from analyzer.payloads import Templates

T = TypeVar("T")
ROUNDS: Final = 2
"""How often each node gets its turn at one question, after its own retries."""


class _OtherChainError(AnalyzerError):
    """The nodes are of different chains: no other node can cure that."""


class SeveralNodes:
    """The first node that answers, in the user's order; one that failed comes last from then on.

    All are of one chain. A run's head is pinned: once a block has been answered, a node takes over
    only if it has the same hash for it. With ``every`` above 0, every so many-th answer is
    compared with another node's.
    """

    is_recorded = False
    deployments = ()

    def __init__(
        self,
        nodes: Sequence[Chain],
        progress: Callable[[Progress], None] | None = None,
        every: int = 0,
    ) -> None:
        self.label = " and ".join(node.label for node in nodes)
        self._nodes = tuple(nodes)
        self._order = deque(nodes)
        self._report = progress or (lambda _: None)
        self._check = CrossCheck(every, self._another, self._note)
        self._chain: tuple[int, str] | None = None
        self._pin: Block | None = None
        self._pinned: dict[str, str] = {}

    @property
    def requests(self) -> int:
        """How many requests were sent to all of them; a batch is one."""
        return sum(node.requests for node in self._nodes)

    def chain_id(self) -> int:
        """The chain id, the same for all nodes that were asked anything."""
        return self._ask(lambda node: node.chain_id(), is_pinned=False)[1]

    def block(self, which: int | Tag) -> Block:
        """A header; by a tag, or above those before it, it is what the nodes have to agree on."""
        is_number = isinstance(which, int)
        node, block = self._ask(lambda node: node.block(which), is_pinned=is_number)
        block = self._check.block(node, block)
        if not is_number or self._pin is None or block.number > self._pin.number:
            self._pin = block
            self._pinned = {node.label: block.hash}
        return block

    def logs(
        self,
        filters: Sequence[LogFilter],
        from_block: int,
        to_block: int,
        templates: Templates | None = None,
    ) -> Iterator[LogBatch]:
        """Logs; a node that takes over begins after the last block that was handed out."""
        if from_block <= to_block and (self._pin is None or self._pin.number < to_block):
            self.block(to_block)
        first, count, turns = from_block, 0, _Turns(self._order)
        batches: Iterator[LogBatch] | None = None
        while first <= to_block:
            node = self._order[0]
            try:
                if batches is None:
                    self._admit(node, is_pinned=True)
                    batches = node.logs(filters, first, to_block, templates)
                batch = next(batches)
                self._refuse_fork(node, batch.blocks)
            except _OtherChainError:
                raise
            except AnalyzerError as error:
                batches = None
                self._note(turns.pass_on(error))
                continue
            turns = _Turns(self._order)
            for checked in self._check.logs(node, filters, batch):
                first = checked.to_block + 1
                count += len(checked.logs)
                done, total = first - from_block, to_block - from_block + 1
                self._report(Progress("logs", done, total, self.requests, count))
                yield checked

    def answer(self, requests: Sequence[Request], block: Block) -> list[Answer]:
        """State reads, each round of them by one node."""
        node, answers = self._ask(lambda node: node.answer(requests, block), is_pinned=True)
        return self._check.answers(node, requests, block, answers)

    def close(self) -> None:
        """Let go of all nodes."""
        with ExitStack() as stack:
            for node in self._nodes:
                stack.callback(node.close)

    def _ask(self, work: Callable[[Chain], T], *, is_pinned: bool) -> tuple[Chain, T]:
        """The answer of the first node that has one, and which node that is."""
        turns = _Turns(self._order)
        while True:
            node = self._order[0]
            try:
                self._admit(node, is_pinned=is_pinned)
                return node, work(node)
            except _OtherChainError:
                raise
            except AnalyzerError as error:
                self._note(turns.pass_on(error))

    def _another(self, node: Chain, work: Callable[[Chain], T]) -> tuple[Chain, T]:
        """The answer of another node, and which; an error where no other has one."""
        reasons = []
        for other in [other for other in self._order if other is not node]:
            try:
                self._admit(other, is_pinned=True)
                return other, work(other)
            except _OtherChainError:
                raise
            except AnalyzerError as error:
                reasons.append(_reason(error))
        raise AnalyzerError(
            f"what {node.label} says cannot be cross-checked, since {'; '.join(reasons)}: use "
            "another RPC URL, or go without --cross-check"
        )

    def _admit(self, node: Chain, *, is_pinned: bool) -> None:
        """Raise unless the node is of the same chain, and of the same fork where that matters."""
        chain_id = node.chain_id()
        if self._chain is None:
            self._chain = chain_id, node.label
        elif self._chain[0] != chain_id:
            raise _OtherChainError(
                f"{self._chain[1]} is chain {self._chain[0]} but {node.label} is chain {chain_id}: "
                "give RPC URLs of one chain"
            )
        pin = self._pin
        if is_pinned and pin is not None and self._pinned.get(node.label) != pin.hash:
            self._refuse_fork(node, [node.block(pin.number)])
            self._pinned[node.label] = pin.hash

    def _refuse_fork(self, node: Chain, blocks: Sequence[Block]) -> None:
        pin = self._pin
        if pin is not None and any(b.number == pin.number and b.hash != pin.hash for b in blocks):
            self._pinned.pop(node.label, None)
            raise NodeError(
                f"{node.label} has another block {pin.number} than the one that was begun with",
                "run again",
            )

    def _note(self, text: str) -> None:
        self._report(Progress("wait", 0, 0, self.requests, note=text))


class _Turns:
    """Whose turn it is at one question, and why the others could not answer it."""

    def __init__(self, order: deque[Chain]) -> None:
        self._order = order
        self._left = ROUNDS * len(order)
        self._reasons: dict[str, str] = {}

    def pass_on(self, error: AnalyzerError) -> str:
        """Put the first node last; a note of it, or one error once all have had their turns."""
        self._reasons[self._order[0].label] = _reason(error)
        self._order.rotate(-1)
        self._left -= 1
        if self._left == 0:
            raise AnalyzerError(
                f"no RPC URL has an answer, since {'; '.join(self._reasons.values())}: try again "
                "later, or use another one"
            ) from None
        return f"{_reason(error)}: going on with {self._order[0].label}"


def _reason(error: AnalyzerError) -> str:
    return error.reason if isinstance(error, NodeError) else str(error)
