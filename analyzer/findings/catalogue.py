"""The catalogue of the queries, written from their front matter."""

from collections.abc import Iterable, Mapping
from typing import Final

from analyzer.findings.model import SEVERITIES, Query

HEAD: Final = """\
# Queries

Each file here is one SELECT that describes itself: a file in `findings/` has a severity and each of
its rows is something to act upon, a file in `reports/` has rows that are facts. `perpscope check`
runs findings, `perpscope show` runs reports, and `--queries DIR` adds files of your own, which keep
to the same front matter.

This page is generated from the files.
"""


def catalogue(queries: Mapping[str, Query]) -> str:
    """The text of ``queries/README.md``: findings by severity, then reports by name."""
    findings = sorted(
        (query for query in queries.values() if query.severity),
        key=lambda query: (-SEVERITIES.index(query.severity or ""), query.name),
    )
    reports = sorted(
        (query for query in queries.values() if not query.severity), key=lambda query: query.name
    )
    parts = [HEAD, _overview(findings, reports), "## Findings\n"]
    parts += [_entry(query) for query in findings]
    parts.append("## Reports\n")
    parts += [_entry(query) for query in reports]
    return "\n".join(parts)


def _overview(findings: Iterable[Query], reports: Iterable[Query]) -> str:
    lines = ["| Query | Severity | |", "|---|---|---|"]
    lines += [
        f"| [{query.name}](#{query.name}) | {query.severity or 'report'} | {query.title} |"
        for query in (*findings, *reports)
    ]
    return "\n".join(lines) + "\n"


def _entry(query: Query) -> str:
    lines = [f"### {query.name}", "", f"**{query.title}**", "", query.summary, ""]
    if query.severity:
        lines.append(f"- Severity: {query.severity}")
    lines += [
        f"- What to do: {query.advice}",
        f"- Grain: {query.grain}",
        f"- Identity: {', '.join(f'`{name}`' for name in query.identity)}",
        "",
    ]
    if query.params:
        lines += ["| Parameter | Type | Default | |", "|---|---|---|---|"]
        lines += [
            f"| `{param.name}` | {param.type} | `{param.default}` | {param.help} |"
            for param in query.params
        ]
        lines.append("")
    lines += ["| Column | |", "|---|---|"]
    lines += [f"| `{name}` | {text} |" for name, text in query.columns.items()]
    return "\n".join(lines) + "\n"
