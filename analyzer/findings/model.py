"""What a query is and what it answers: plain values, free of database and format."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Final

Value = int | Decimal | float | str | bool | datetime | None
"""One cell, exact. Times are UTC without a zone; ``float`` only where a query chose DOUBLE."""

Row = tuple[Value, ...]

SEVERITIES: Final = ("info", "low", "medium", "high", "critical")
"""From the least to the most severe."""

SEVERITY: Final = "severity"
"""A column in which a finding query may say of each row how serious it is."""

AT: Final = ("chain_id", "protocol", "deployment", "block_number")
"""The columns that every row of a finding carries."""


@dataclass(frozen=True, slots=True)
class Param:
    """A ``$param`` of a query. The default ``now`` of a timestamp is the time of the run."""

    name: str
    type: str
    default: Value
    help: str


@dataclass(frozen=True, slots=True)
class History:
    """What a finding query declares so that its findings can be compared with earlier ones.

    ``subject`` are the columns that name the thing it is about. Two findings are about the same
    thing where the columns agree that both of their queries name.
    """

    subject: tuple[str, ...] = ()
    measure: str | None = None
    """The column that says how bad it is."""
    worse: str | None = None
    """Which way that is: ``lower`` or ``higher``."""
    escalates_to: tuple[str, ...] = ()
    """The graver findings that take the place of one of these when it gets worse."""


@dataclass(frozen=True, slots=True)
class Query:
    """One SQL file: a finding if it has a severity, else a report."""

    name: str
    path: str
    sql: str
    title: str
    severity: str | None
    summary: str
    advice: str
    grain: str
    identity: tuple[str, ...]
    params: tuple[Param, ...]
    columns: Mapping[str, str]
    """Descriptions, by column name, in the order of the final select."""
    table: tuple[str, ...]
    """The columns that people are shown; programs get all."""
    history: History = History()

    @property
    def is_finding(self) -> bool:
        """Whether each row is something to act upon, not just a fact."""
        return self.severity is not None


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a result with its SQL type, such as ``DECIMAL(38,18)``."""

    name: str
    type: str


@dataclass(frozen=True, slots=True)
class Filters:
    """What a run is narrowed to; an empty tuple does not narrow. Accounts are lower-case."""

    account: tuple[str, ...] = ()
    protocol: tuple[str, ...] = ()
    deployment: tuple[str, ...] = ()
    chain_id: tuple[int, ...] = ()

    def given(self) -> dict[str, tuple[str, ...] | tuple[int, ...]]:
        """The filters in use, by column name."""
        every: dict[str, tuple[str, ...] | tuple[int, ...]] = {
            "account": self.account,
            "protocol": self.protocol,
            "deployment": self.deployment,
            "chain_id": self.chain_id,
        }
        return {name: values for name, values in every.items() if values}

    def cover(self, subject: Mapping[str, Value]) -> bool:
        """Whether a run with these filters would have looked at the subject."""
        return all(subject.get(name) in values for name, values in self.given().items())


@dataclass(frozen=True, slots=True)
class Finding:
    """One row of a finding query.

    ``subject`` holds what the finding is about: the deployment, the identity columns, what the
    query's history names, and the account, position and margin account of the row.
    ``block_number`` is unset where nothing was ever read. ``params`` are those of the run that
    differ from their defaults, as text. ``measure`` is the query's measure by its column's name, as
    exact text; empty where there is none. ``status`` and ``cause`` are those of
    :mod:`analyzer.findings.history`.
    """

    id: str
    query: str
    severity: str
    title: str
    subject: Mapping[str, Value]
    block_number: int | None
    status: str | None = None
    params: Mapping[str, str] = field(default_factory=dict)
    measure: Mapping[str, str] = field(default_factory=dict)
    cause: str | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """A query's answer, exact; ``findings`` stand parallel to ``rows``, empty for a report.

    ``total`` counts the rows that there are, where a limit let fewer through. ``params`` are those
    that differ from their defaults, as text.
    """

    query: Query
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    findings: tuple[Finding, ...] = ()
    total: int | None = None
    params: Mapping[str, str] = field(default_factory=dict)

    @property
    def severity(self) -> str | None:
        """The gravest of its findings; where there is none, what the query declares."""
        return max(
            (finding.severity for finding in self.findings),
            key=SEVERITIES.index,
            default=self.query.severity,
        )

    @property
    def is_cut(self) -> bool:
        """Whether there are more rows than these."""
        return self.total is not None

    @property
    def count(self) -> str:
        """How many rows there are, for people."""
        shown = f"{len(self.rows):,}"
        return shown if self.total is None else f"{shown} of {self.total:,}"


def at_least(severity: str, threshold: str) -> bool:
    """Whether a severity reaches a threshold."""
    return SEVERITIES.index(severity) >= SEVERITIES.index(threshold)


def gravest_first(results: Iterable[Result]) -> list[Result]:
    """Findings in the order of their severity, else as they come; reports behind them."""
    return sorted(
        results,
        key=lambda result: -SEVERITIES.index(result.severity) if result.severity else 1,
    )
