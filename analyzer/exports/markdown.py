"""Markdown tables for people: whole addresses, exact amounts, and nothing that renders."""

import re
from collections.abc import Iterator, Sequence
from typing import Final, TextIO

from analyzer.exports.flat import FINDING, ID, STATUS
from analyzer.exports.phrases import by_status, severities
from analyzer.exports.text import neutral, put, with_checksums
from analyzer.exports.values import exact, is_number
from analyzer.findings.model import Column, Finding, Result, Value

SPECIAL: Final = re.compile(r"([\\`*_{}\[\]()#!|~$])")
ENDED: Final = [column for column in FINDING if column is not STATUS]
ENTITIES: Final = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "@": "&#64;", ":": "&#58;"}
"""What would be HTML, a mention or a link."""


def write(results: Sequence[Result], resolved: Sequence[Finding], stream: TextIO) -> None:
    """Write a section for each result that has rows, and one for what has ended."""
    sections = [
        _section(result) for result in results if result.rows or not result.query.is_finding
    ]
    for status, findings in by_status(resolved).items():
        sections.append([f"## {status.capitalize()}", "", *_table(ENDED, [*map(_head, findings)])])
    if not sections:
        sections.append(["No findings."])
    put(stream, "\n\n".join("\n".join(section) for section in sections) + "\n")


def _section(result: Result) -> list[str]:
    query = result.query
    names = [column.name for column in result.columns]
    shown = [names.index(name) for name in query.table]
    columns = [result.columns[index] for index in shown]
    rows: list[list[Value]] = [[row[index] for index in shown] for row in result.rows]
    if result.findings:
        columns = [ID, STATUS, *columns]
        rows = [
            [finding.id, finding.status, *row]
            for finding, row in zip(result.findings, rows, strict=True)
        ]
    severity = f" ({severities(result)})" if result.severity else ""
    lines = [f"## {query.title}{severity}", "", query.summary, "", *_table(columns, rows)]
    if result.is_cut:
        lines += ["", f"These are {result.count} rows."]
    if query.is_finding:
        lines += ["", f"What to do: {query.advice}"]
    return lines


def _table(columns: Sequence[Column], rows: Sequence[Sequence[Value]]) -> Iterator[str]:
    yield _line([escape(column.name) for column in columns])
    yield _line(["---:" if is_number(column) else "---" for column in columns])
    for row in rows:
        yield _line([escape(exact(value)) for value in row])


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _head(finding: Finding) -> list[Value]:
    return [finding.id, finding.query, finding.severity, finding.title, finding.cause]


def escape(text: str) -> str:
    """Text as a cell that shows just itself."""
    text = SPECIAL.sub(r"\\\1", with_checksums(neutral(text)))
    return re.sub("[&<>@:]", lambda match: ENTITIES[match[0]], text)
