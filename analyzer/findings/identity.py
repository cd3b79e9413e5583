"""A finding's id: the same for as long as it is about the same thing."""

from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Final

from analyzer.findings.model import AT, Finding, Query, Row, Value

SEPARATOR: Final = "\x1f"
LENGTH: Final = 16


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
    at = [names.index(name) for name in AT]
    about = dict.fromkeys(
        (*AT[:-1], *query.identity, *(("account",) if "account" in names else ()))
    )
    subject = [(name, names.index(name)) for name in about]
    return tuple(
        Finding(
            id=finding_id(query.name, [row[index] for index in identity]),
            query=query.name,
            severity=query.severity or "",
            title=query.title,
            subject={name: row[index] for name, index in subject},
            block_number=row[at[-1]],  # type: ignore[arg-type]
            params=params or {},
        )
        for row in rows
    )


def _text(value: Value) -> str:
    text = "" if value is None else str(value).lower()
    return text.replace("\\", "\\\\").replace(SEPARATOR, "\\x1f")
