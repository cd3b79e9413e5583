"""What a protocol folder declares: the contract between ``protocols/<name>/`` and everything else.

A protocol knows no network, no database and no clock. It says which logs it needs, turns logs into
rows, asks for state with generators of reads, and turns state into rows with exact verdicts.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from analyzer.event_columns import Known
from analyzer.evm import Block, Log, LogFilter
from analyzer.reads import Reads
from analyzer.rows import MarginState, Row, Side

State = Mapping[str, Mapping[str, Any]]
"""The newest ``after`` of every ``state_key`` that has not ended."""

PriceBasis = Literal["freshest", "executed", "feed"]
"""Which prices verdicts rest on, where a protocol liquidates at prices that are signed off chain.

``executed`` is what the newest transaction used, ``feed`` is what stands on chain, ``freshest`` the
first of the two that is not past the age up to which the protocol itself accepts it. A token that
has no price of the basis has the freshest.
"""
FRESHEST: Final = "freshest"


@dataclass(frozen=True, slots=True)
class Deployment:
    """One instance of a protocol on one chain: data, in a protocol's folder or a user's config.

    ``official`` deployments are indexed without being named. ``verified`` is false where nobody has
    yet checked the entry against the chain; it is checked at first contact in any case.
    """

    protocol: str
    name: str
    chain_id: int
    start_block: int
    contracts: Mapping[str, str]
    options: Mapping[str, str | int | bool] = field(default_factory=dict)
    official: bool = False
    verified: bool = False

    @property
    def title(self) -> str:
        """Its protocol and its name, for people."""
        return f"{self.protocol} {self.name}"


@dataclass(frozen=True, slots=True)
class Probe:
    """What was found on chain at first contact; ``facts`` is for the protocol's own use."""

    release: str
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SnapshotRequest:
    """What a state snapshot is to cover.

    ``state`` is what the logs up to the block left behind (``None``: logs were not read),
    ``source`` is ``logs``, ``state`` or ``both``, ``accounts`` is empty for all, ``prices`` are the
    user's own (asset to E18). Only protocols that take prices look at ``price_basis``.
    """

    block: Block
    source: str
    state: State | None
    accounts: tuple[str, ...] = ()
    prices: Mapping[str, int] = field(default_factory=dict)
    price_basis: PriceBasis = FRESHEST


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One deployment's rows at one block; not ``complete`` if part of the scope is missing."""

    rows: Sequence[Row]
    price_basis: str
    complete: bool = True


@dataclass(frozen=True, slots=True)
class Difference:
    """One place where our value and the contract's differ."""

    kind: str  # "verdict", "value" or "flip"
    subject: str
    name: str
    ours: str
    theirs: str


@dataclass(slots=True)
class Comparison:
    """A tally of what was compared with the contracts' own answers."""

    verdicts: int = 0
    values: int = 0
    flips: int = 0
    skipped: int = 0
    differences: list[Difference] = field(default_factory=list)
    skip_reasons: list[str] = field(default_factory=list)

    def compare(self, kind: str, subject: str, name: str, ours: Any, theirs: Any) -> None:
        """Count one comparison of ``kind`` (``verdict``, ``value`` or ``flip``)."""
        match kind:
            case "verdict":
                self.verdicts += 1
            case "value":
                self.values += 1
            case "flip":
                self.flips += 1
            case _:
                raise ValueError(kind)
        if ours != theirs:
            self.differences.append(Difference(kind, subject, name, str(ours), str(theirs)))

    def skip(self, reason: str) -> None:
        """Count something that could not be compared: never silently."""
        self.skipped += 1
        self.skip_reasons.append(reason)

    def mismatches(self, kind: str) -> int:
        """How many differences of a kind there are."""
        return sum(difference.kind == kind for difference in self.differences)


@dataclass(frozen=True, slots=True)
class StoredPosition:
    """A position as ``verify`` and ``explain`` get it from the database: exact integers only."""

    position_id: str
    margin_id: str
    account: str
    market: str
    side: Side
    collateral_token: str | None
    inputs: Mapping[str, Any]
    outputs: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class StoredAccount:
    """A margin account with its positions, as stored."""

    margin_id: str
    account: str
    state: MarginState
    state_stored: MarginState
    reason: str | None
    inputs: Mapping[str, Any]
    outputs: Mapping[str, Any]
    positions: Sequence[StoredPosition]


@dataclass(frozen=True, slots=True)
class Line:
    """One line of an explanation: the contract's name for it, the integer, and what it means."""

    name: str
    value: str
    meaning: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Protocol:
    """The declaration that each protocol folder exports as ``PROTOCOL``."""

    name: str
    title: str
    deployments: Callable[[], Sequence[Deployment]]
    contracts: tuple[str, ...]
    """Roles that a deployment must name in ``contracts``."""
    optional_contracts: tuple[str, ...] = ()
    options: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Options that a deployment may set, with their allowed values (empty: any)."""
    needs_logs: bool = False
    """Whether all positions can only be found through logs."""
    takes_prices: bool = False
    """Whether a user's own prices, or a price basis of the user's choice, can stand in for the
    protocol's: those that its keepers sign are off chain."""

    tells_liquidations: bool = True
    """Whether a log that closes a position tells a liquidation from what its owner did."""

    probe: Callable[[Deployment], Reads[Probe]]
    """First contact: raises ``AnalyzerError`` saying what was found if it is not this protocol."""
    log_filters: Callable[[Deployment], Sequence[LogFilter]]
    events: Callable[[Deployment], Sequence[Known]]
    """What the logs are decoded as; ``replay`` reads these events, and each has its own table."""
    recent_filters: Callable[[Deployment], Sequence[LogFilter]] | None = None
    """Logs that a snapshot without history looks for in recent blocks, as executed prices are.

    What ``replay`` makes of them is then the state that the snapshot is sent.
    """
    replay: Callable[[Deployment, Sequence[Log], State], Sequence[Row]]
    """Logs in chain order, block-aligned, and the state before them, to rows (event tables)."""
    snapshot: Callable[[Deployment, Probe, SnapshotRequest], Reads[Snapshot]]
    verify: Callable[[Deployment, Block, Sequence[StoredAccount]], Reads[Comparison]]
    """Asks the contracts' own views at the snapshot's block and compares."""
    verify_vectors: Callable[[Mapping[str, Any]], Comparison]
    """Compares with a file of recorded contract answers."""
    explain: Callable[[StoredAccount], Sequence[Line]]
