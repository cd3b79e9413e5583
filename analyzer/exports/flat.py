"""Several results as one table, for formats that hold one: findings say what they are."""

from collections.abc import Iterator, Sequence
from typing import Final

from analyzer.exports.values import exact
from analyzer.findings.model import SEVERITY, Column, Finding, Result, Row, Value

ID: Final = Column("id", "VARCHAR")
STATUS: Final = Column("status", "VARCHAR")
FINDING: Final = (
    ID,
    Column("query", "VARCHAR"),
    Column(SEVERITY, "VARCHAR"),
    Column("title", "VARCHAR"),
    STATUS,
    Column("cause", "VARCHAR"),
)
"""What every row of a finding starts with; ``cause`` says why it ended, of one that has."""
QUERY: Final = Column("query", "VARCHAR")
PLACES: Final = {
    "chain_id": Column("chain_id", "BIGINT"),
    "protocol": Column("protocol", "VARCHAR"),
    "deployment": Column("deployment", "VARCHAR"),
    "block_number": Column("block_number", "BIGINT"),
}


def records(
    results: Sequence[Result], resolved: Sequence[Finding]
) -> Iterator[tuple[tuple[Column, ...], Row]]:
    """Every row with its own columns: those of a finding start with what it is.

    A severity that the row itself says is not said twice.
    """
    several = sum(not result.query.is_finding for result in results) > 1
    for result in results:
        if result.query.is_finding:
            kept = [n for n, column in enumerate(result.columns) if column.name != SEVERITY]
            columns = (*FINDING, *(result.columns[n] for n in kept))
            for finding, row in zip(result.findings, result.rows, strict=True):
                yield columns, (*_head(finding), *(row[n] for n in kept))
        else:
            columns = (QUERY, *result.columns) if several else result.columns
            head = (result.query.name,) if several else ()
            for row in result.rows:
                yield columns, (*head, *row)
    for finding in resolved:
        subject = dict(finding.subject) | {"block_number": finding.block_number}
        columns = tuple(PLACES.get(name, Column(name, "VARCHAR")) for name in subject)
        yield (*FINDING, *columns), (*_head(finding), *subject.values())


def table(
    results: Sequence[Result], resolved: Sequence[Finding]
) -> tuple[tuple[Column, ...], list[Row]]:
    """All rows under the union of their columns; a column of two types becomes exact text."""
    types: dict[str, str] = {}
    for column in _union(results, resolved):
        same = types.get(column.name, column.type) == column.type
        types[column.name] = column.type if same else "VARCHAR"
    columns = tuple(Column(name, kind) for name, kind in types.items())
    rows: list[Row] = []
    for own, row in records(results, resolved):
        cells = dict(zip((column.name for column in own), row, strict=True))
        rows.append(tuple(_cell(column, cells.get(column.name)) for column in columns))
    return columns, rows


def _union(results: Sequence[Result], resolved: Sequence[Finding]) -> Iterator[Column]:
    several = sum(not result.query.is_finding for result in results) > 1
    if resolved or any(result.query.is_finding for result in results):
        yield from FINDING
        yield from PLACES.values()
    elif several:
        yield QUERY
    for result in results:
        yield from result.columns
    known = {column.name for result in results for column in result.columns}
    for columns, _ in records((), resolved):
        yield from (column for column in columns if column.name not in known)


def _cell(column: Column, value: Value) -> Value:
    if value is not None and column.type == "VARCHAR" and not isinstance(value, str):
        return exact(value)
    return value


def _head(finding: Finding) -> Row:
    return (
        finding.id,
        finding.query,
        finding.severity,
        finding.title,
        finding.status,
        finding.cause,
    )
