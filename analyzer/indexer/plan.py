"""What one run of ``index`` is asked to do, and whom it tells how far it is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from analyzer.chain.interface import Tag
from analyzer.protocol import FRESHEST, Deployment, PriceBasis

Source = Literal["logs", "state", "both"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One run: deployments of one chain, at one block.

    ``from_block`` and ``to_block`` ask for history as well; ``positions`` is chosen if unset.
    ``confirmations`` is how many blocks below ``block`` the snapshot lies. ``prices`` are the
    user's own, by asset, in E18. ``price_basis`` is for protocols that take prices.
    """

    deployments: Sequence[Deployment]
    block: int | Tag = "latest"
    confirmations: int = 0
    accounts: tuple[str, ...] = ()
    positions: Source | None = None
    from_block: int | None = None
    to_block: int | None = None
    prices: Mapping[str, int] = field(default_factory=dict)
    price_basis: PriceBasis = FRESHEST


class Progress(Protocol):
    """Listens to a run; the command line shows it on a terminal."""

    def stage(self, deployment: Deployment, text: str) -> None:
        """A new stage of a deployment has begun."""
        ...

    def blocks(
        self, deployment: Deployment, done: int, total: int, logs: int, requests: int
    ) -> None:
        """So many of the blocks are fetched, with so many logs, by these requests."""
        ...

    def replayed(self, deployment: Deployment, logs: int) -> None:
        """So many stored logs have been replayed."""
        ...


class Silent:
    """A listener that says nothing."""

    def stage(self, deployment: Deployment, text: str) -> None:
        """Say nothing."""

    def blocks(
        self, deployment: Deployment, done: int, total: int, logs: int, requests: int
    ) -> None:
        """Say nothing."""

    def replayed(self, deployment: Deployment, logs: int) -> None:
        """Say nothing."""
