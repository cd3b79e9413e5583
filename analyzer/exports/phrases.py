"""What several formats say about findings in the same words."""

from collections import Counter
from collections.abc import Iterable

from analyzer.findings.model import SEVERITIES, Finding, Result


def severities(result: Result) -> str:
    """The gravest severity, and how many findings have which where they are not all alike."""
    counts = Counter(finding.severity for finding in result.findings)
    if len(counts) < 2 or result.is_cut:
        return result.severity or ""
    parts = [f"{counts[name]:,} {name}" for name in reversed(SEVERITIES) if counts[name]]
    return ", ".join(parts)


def by_status(findings: Iterable[Finding]) -> dict[str, list[Finding]]:
    """Findings that have ended, by how they did."""
    found: dict[str, list[Finding]] = {}
    for finding in findings:
        found.setdefault(finding.status or "", []).append(finding)
    return found


def ending(finding: Finding) -> str:
    """How a finding has ended: with its cause, or in a graver finding."""
    if finding.status == "escalated":
        return f"escalated to {finding.cause}"
    return f"{finding.status} ({finding.cause})" if finding.cause else str(finding.status)
