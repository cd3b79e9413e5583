"""Tables for people: aligned, within the width, coloured only on a terminal."""

import os
from collections.abc import Iterator, Sequence
from textwrap import wrap
from typing import Final, TextIO

from analyzer.exports.flat import ID, STATUS
from analyzer.exports.phrases import by_status, severities
from analyzer.exports.text import cut, put, width
from analyzer.exports.values import exact, heading, human, is_number, readable
from analyzer.findings.model import AT, Column, Finding, Result

WIDTH: Final = 100
NARROWEST: Final = 8
GAP: Final = "  "
INDENT: Final = "    "
"""Before the second line of a row that takes several."""
STYLES: Final = {
    "critical": "bold red",
    "high": "red",
    "medium": "yellow",
    "low": "cyan",
    "info": "dim",
}
BOLD: Final = "bold"
DIM: Final = "dim"

Line = list[tuple[str, str]]
"""Pieces of text, each with its style."""


def write(results: Sequence[Result], resolved: Sequence[Finding], stream: TextIO) -> None:
    """Write the tables; on a terminal in colour and in its width, unless NO_COLOR is set."""
    if stream.isatty() or os.environ.get("FORCE_COLOR"):
        from rich.console import Console  # noqa: PLC0415
        from rich.text import Text  # noqa: PLC0415

        console = Console(file=stream, highlight=False, markup=False, emoji=False)
        for line in lines(results, resolved, console.width):
            console.print(Text.assemble(*line), soft_wrap=True)
    else:
        for line in lines(results, resolved, WIDTH):
            put(stream, "".join(piece for piece, _ in line).rstrip() + "\n")


def lines(results: Sequence[Result], resolved: Sequence[Finding], limit: int) -> Iterator[Line]:
    """The whole output, within ``limit`` columns unless one number alone is wider."""
    shown = [result for result in results if result.rows or not result.query.is_finding]
    for result in shown:
        yield from _section(result, limit)
        yield []
    for status, findings in by_status(resolved).items():
        yield [(status.capitalize(), BOLD)]
        for cells in _columned([_ended(finding) for finding in findings]):
            yield [(cut(cells, limit), "")]
        yield []
    if not shown:
        yield [
            (f"No findings from {len(results)} {'query' if len(results) == 1 else 'queries'}.", "")
        ]
    for place in _places(shown):
        yield [(cut(place, limit), DIM)]


def _section(result: Result, limit: int) -> Iterator[Line]:
    query = result.query
    gravest, every = result.severity or "", severities(result)
    severity = f"{gravest.upper()}{GAP}" if gravest else ""
    title = f"{query.title}: {result.count}" + (f" ({every})" if every != gravest else "")
    yield [
        (severity, STYLES.get(gravest, "")),
        (cut(title, limit - len(severity)), BOLD),
    ]
    if result.rows:
        yield from _grid(*_visible(result), limit)
    if query.is_finding:
        for part in wrap(query.advice, limit):
            yield [(part, DIM)]


def _ended(finding: Finding) -> list[str]:
    """Its id, its query, why it ended, and what it was about, each name once."""
    about = " ".join(dict.fromkeys(exact(value) for value in finding.subject.values() if value))
    return [finding.id, finding.query, finding.cause or "", readable(about)]


def _columned(rows: list[list[str]]) -> Iterator[str]:
    widths = [max(map(width, cells)) for cells in zip(*rows, strict=True)]
    for row in rows:
        padded = (cell + " " * (room - width(cell)) for cell, room in zip(row, widths, strict=True))
        yield GAP.join(padded).rstrip()


def _visible(result: Result) -> tuple[list[Column], list[list[str]]]:
    names = [column.name for column in result.columns]
    shown = [names.index(name) for name in result.query.table]
    columns = [result.columns[index] for index in shown]
    rows = [[human(result.columns[index], row[index]) for index in shown] for row in result.rows]
    if not result.findings:
        return columns, rows
    ids = [[finding.id, finding.status or ""] for finding in result.findings]
    kept = 2 if any(status for _, status in ids) else 1
    rows = [[*about[:kept], *row] for about, row in zip(ids, rows, strict=True)]
    return [*(ID, STATUS)[:kept], *columns], rows


def _grid(columns: list[Column], rows: list[list[str]], limit: int) -> Iterator[Line]:
    heads = [heading(column) for column in columns]
    widths = [max(map(width, cells)) for cells in zip(heads, *rows, strict=True)]
    narrowed = list(widths)
    if _shrink(columns, narrowed, limit):
        widths, bands = narrowed, [list(range(len(columns)))]
    else:
        bands = _bands(columns, widths, limit)
    if not bands:
        yield from _one_below_another(heads, rows, limit)
        return
    for cells, style in [(heads, BOLD), *((row, "") for row in rows)]:
        for number, band in enumerate(bands):
            indent = INDENT if number else ""
            shown = (_aligned(columns[n], cells[n], widths[n]) for n in band)
            yield [(indent + GAP.join(shown), style)]


def _bands(columns: list[Column], widths: list[int], limit: int) -> list[list[int]]:
    """The columns on as few lines of a row as hold them; none if one number fits no line."""
    bands: list[list[int]] = [[]]
    room, taken = limit, 0
    for index, column in enumerate(columns):
        if not is_number(column) and column != ID:
            widths[index] = min(widths[index], limit - len(INDENT))
        if taken + widths[index] > room:
            bands.append([])
            room, taken = limit - len(INDENT), 0
        if widths[index] > room:
            return []
        bands[-1].append(index)
        taken += widths[index] + len(GAP)
    return bands


def _shrink(columns: list[Column], widths: list[int], limit: int) -> bool:
    """Narrow the widest texts until the table fits; numbers and ids are never cut."""
    while sum(widths) + len(GAP) * (len(widths) - 1) > limit:
        texts = [
            index
            for index, column in enumerate(columns)
            if not is_number(column) and column != ID and widths[index] > NARROWEST
        ]
        if not texts:
            return False
        widths[max(texts, key=lambda index: widths[index])] -= 1
    return True


def _aligned(column: Column, cell: str, room: int) -> str:
    cell = cut(cell, room)
    padding = " " * (room - width(cell))
    return padding + cell if is_number(column) else cell + padding


def _one_below_another(heads: list[str], rows: list[list[str]], limit: int) -> Iterator[Line]:
    room = max(map(width, heads))
    for row in rows:
        for head, cell in zip(heads, row, strict=True):
            whole = cut(cell, max(limit - room - len(GAP), NARROWEST)) if " " in cell else cell
            yield [(head.ljust(room) + GAP, BOLD), (whole, "")]
        yield []


def _places(results: Sequence[Result]) -> list[str]:
    """The deployments that answered, each with its block."""
    found: dict[str, None] = {}
    for result in results:
        names = [column.name for column in result.columns]
        if not set(AT) <= set(names):
            continue
        at = [names.index(name) for name in AT]
        for chain_id, protocol, deployment, block in dict.fromkeys(
            tuple(row[index] for index in at) for row in result.rows
        ):
            if block is not None:
                found[f"{protocol}/{deployment} on chain {chain_id} at block {block:,}"] = None
    return [readable(place) for place in sorted(found)]
