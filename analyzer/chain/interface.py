"""The one small interface through which everything else sees a chain."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, Protocol

from analyzer.evm import Answer, Block, LogBatch, LogFilter, Request
from analyzer.payloads import Templates

Tag = Literal["latest", "safe", "finalized"]


class Chain(Protocol):
    """A node, several nodes, or a recorded chain.

    Every method raises ``AnalyzerError`` with one sentence for the user when the chain cannot
    answer; none of them returns an empty or older answer in its stead.
    """

    @property
    def label(self) -> str:
        """A name that is safe to print: a file's name or a host, never a URL."""
        ...

    @property
    def is_recorded(self) -> bool:
        """Whether this is a recorded chain: all its logs are at hand, its state reads are few."""
        ...

    @property
    def deployments(self) -> Sequence[Mapping[str, Any]]:
        """What a recorded chain brings along, as a config file's ``[[deployment]]`` tables."""
        ...

    @property
    def requests(self) -> int:
        """How many requests were sent; a batch is one, and a recorded chain needs none."""
        ...

    def chain_id(self) -> int:
        """The chain's id, as the chain itself says."""
        ...

    def block(self, which: int | Tag) -> Block:
        """A block's header, by number or tag."""
        ...

    def logs(
        self,
        filters: Sequence[LogFilter],
        from_block: int,
        to_block: int,
        templates: Templates | None = None,
    ) -> Iterator[LogBatch]:
        """All logs that match any of the filters, in chain order, as consecutive closed ranges.

        Each batch covers its range completely; together the batches cover ``from_block..to_block``.
        Data that one of the ``templates`` fits may be held by it.
        """
        ...

    def answer(self, requests: Sequence[Request], block: Block) -> list[Answer]:
        """The answers to state reads, all pinned to one block, in the order of the requests.

        A revert is an answer; anything else that goes wrong is an error.
        """
        ...

    def close(self) -> None:
        """Let go of connections and files."""
        ...
