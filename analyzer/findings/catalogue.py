"""The catalogue of the queries, written from their front matter."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from analyzer.findings.model import SEVERITIES, SEVERITY, History, Query

HEAD: Final = """\
# Queries

Each file here is one SELECT that describes itself: a file in `findings/` has a severity and each of
its rows is something to act upon, a file in `reports/` has rows that are facts. `perpscope check`
runs findings, `perpscope show` runs reports, and `--queries DIR` adds files of your own, which keep
to the same front matter.

`check` compares each finding with the last recorded run: it is `new`, `ongoing`, `worse`,
`better`, `escalated` (a milder finding became this one) or `resolved`, with the cause: `closed`
or `liquidated` where a log says so, `gone` where nothing tells which of the two, `moved_away`
where it is still there and its measure is not, `cleared` where there is no measure, `data_gone`
where no newer and complete snapshot covers it or it is unknown now. `[history]` in a file
declares the `measure` and which way is `worse`, the columns that say what a finding is about
(`subject`), and the graver findings of the same `subject` that it `escalates_to`.
`finding_history` in the database keeps the last state of each.

A finding whose result has a column `severity` says there how serious each row is: at most what the
file declares.

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
        own = ", or less where `severity` says so" if SEVERITY in query.columns else ""
        lines.append(f"- Severity: {query.severity}{own}")
    lines += [
        f"- What to do: {query.advice}",
        f"- Grain: {query.grain}",
        f"- Identity: {', '.join(f'`{name}`' for name in query.identity)}",
        *_history(query.history),
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


def _history(history: History) -> Iterator[str]:
    if history.measure:
        yield f"- Worse: where `{history.measure}` is {history.worse}"
    if history.escalates_to:
        graver = ", ".join(f"`{name}`" for name in history.escalates_to)
        about = ", ".join(f"`{name}`" for name in history.subject)
        yield f"- Escalates to: {graver} of the same {about}"
