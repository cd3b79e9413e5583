"""SARIF 2.1.0: findings for code-scanning tools, recognised from run to run by their ids."""

import json
from collections.abc import Iterator, Sequence
from typing import Any, Final, TextIO

from analyzer import __version__
from analyzer.errors import AnalyzerError
from analyzer.exports.json_values import dump
from analyzer.exports.phrases import ending
from analyzer.exports.text import neutral
from analyzer.exports.values import exact
from analyzer.findings.model import Finding, Query, Result

SCHEMA: Final = "https://json.schemastore.org/sarif-2.1.0.json"
LEVELS: Final = {
    "info": "note",
    "low": "note",
    "medium": "warning",
    "high": "error",
    "critical": "error",
}
SCORES: Final = {"info": "0.0", "low": "3.0", "medium": "5.5", "high": "8.0", "critical": "9.5"}
BASELINES: Final = {
    "new": "new",
    "ongoing": "unchanged",
    "worse": "updated",
    "better": "updated",
    "escalated": "updated",
    "resolved": "absent",
}


def write(results: Sequence[Result], resolved: Sequence[Finding], stream: TextIO) -> None:
    """Write one run with a rule for each finding query; a report cannot be written as SARIF."""
    for result in results:
        if not result.query.is_finding:
            raise AnalyzerError(
                f"{result.query.name} is a report and SARIF holds findings: choose another format"
            )
    rules = [result.query for result in results]
    driver = {
        "name": "perpscope",
        "version": __version__,
        "rules": [_rule(query) for query in rules],
    }
    found = [*_found(results), *(_absent(finding, rules) for finding in resolved)]
    document = {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": found}],
    }
    json.dump(document, stream, indent=2)
    stream.write("\n")


def _rule(query: Query) -> dict[str, Any]:
    severity = query.severity or ""
    return {
        "id": query.name,
        "shortDescription": {"text": query.title},
        "fullDescription": {"text": query.summary},
        "help": {"text": query.advice},
        "defaultConfiguration": {"level": LEVELS[severity]},
        "properties": {"severity": severity, "security-severity": SCORES[severity]},
    }


def _found(results: Sequence[Result]) -> Iterator[dict[str, Any]]:
    for result in results:
        names = [column.name for column in result.columns]
        shown = [names.index(name) for name in result.query.table]
        for finding, row in zip(result.findings, result.rows, strict=True):
            facts = ", ".join(f"{names[index]} {exact(row[index]) or 'null'}" for index in shown)
            properties = json.loads(dump(result.columns, row))
            yield _result(finding, result.query, f"{finding.title}: {facts}", properties)


def _absent(finding: Finding, rules: Sequence[Query]) -> dict[str, Any]:
    rule = next((query for query in rules if query.name == finding.query), None)
    properties = {**finding.subject, "cause": finding.cause}
    return _result(finding, rule, f"{finding.title}: {ending(finding)}", properties)


def _result(
    finding: Finding, rule: Query | None, message: str, properties: dict[str, Any]
) -> dict[str, Any]:
    place = "/".join(exact(value) for value in finding.subject.values())
    location: dict[str, Any] = {"logicalLocations": [{"fullyQualifiedName": neutral(place)}]}
    if rule is not None:
        location["physicalLocation"] = {
            "artifactLocation": {"uri": f"queries/findings/{rule.name}.sql"},
            "region": {"startLine": 1},
        }
    answer: dict[str, Any] = {
        "ruleId": finding.query,
        "level": LEVELS[finding.severity],
        "message": {"text": neutral(message)},
        "locations": [location],
        "partialFingerprints": {"findingId/v1": finding.id},
        "properties": properties,
    }
    if finding.status is not None:
        answer["baselineState"] = BASELINES[finding.status]
    return answer
