"""A finding's id: the same for as long as it is about the same thing."""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from hashlib import sha256
from typing import Final

from analyzer.errors import AnalyzerError
from analyzer.findings.model import AT, SEVERITIES, SEVERITY, Finding, Query, Row, Value

SEPARATOR: Final = "\x1f"
LENGTH: Final = 16
OWNERS: Final = ("account", "position_id", "margin_id")
"""Columns that say whose a row is, which later runs go by."""


def finding_id(query: str, values: Iterable[Value]) -> str:
    """The first 16 hex digits of the SHA-256 of query name and identity values.

    They are joined by the unit separator in lower case, so wording and numbers of the finding do
    not matter. A separator inside a hostile value is escaped: it cannot pose as another finding.
    """
    parts = [query, *(_text(value) for value in values)]
    return sha256(SEPARATOR.join(parts).encode()).hexdigest()[:LENGTH]


def identify(
    query: Query, rows: Iterable[Row], params: Mapping[str, str] | None = None
) -> tuple[Finding, ...]:
    """One finding for each row of a finding query, in order."""
    names = tuple(query.columns)
    identity = [names.index(name) for name in query.identity]
    block = names.index(AT[-1])
    about = dict.fromkeys(
        (*AT[:-1], *query.identity, *query.history.subject, *(n for n in OWNERS if n in names))
    )
    subject = [(name, names.index(name)) for name in about]
    return tuple(
        Finding(
            id=finding_id(query.name, [row[index] for index in identity]),
            query=query.name,
            severity=_severity(query, names, row),
            title=query.title,
            subject={name: row[index] for name, index in subject},
            block_number=row[block],  # type: ignore[arg-type]
            params=params or {},
            measure=_measure(query, names, row),
        )
        for row in rows
    )


def _severity(query: Query, names: Sequence[str], row: Row) -> str:
    """What the query declares, or what the row says: never more than is declared."""
    declared = query.severity or ""
    if SEVERITY not in names:
        return declared
    severity = row[names.index(SEVERITY)]
    allowed = SEVERITIES[: SEVERITIES.index(declared) + 1]
    if severity not in allowed:
        raise AnalyzerError(
            f"{query.path}: the severity of a row is one of {', '.join(allowed)}, not {severity!r}"
        )
    return str(severity)


def _measure(query: Query, names: Sequence[str], row: Row) -> dict[str, str]:
    name = query.history.measure
    value = None if name is None else row[names.index(name)]
    if name is None or value is None:
        return {}
    return {name: format(value, "f") if isinstance(value, Decimal) else str(value)}


def _text(value: Value) -> str:
    text = "" if value is None else str(value).lower()
    return text.replace("\\", "\\\\").replace(SEPARATOR, "\\x1f")
