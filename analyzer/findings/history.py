"""How findings stand beside those of earlier runs.

A finding is ``new``, ``ongoing``, ``worse`` or ``better`` (by its severity, else by the measure
that its query declares), or ``escalated``: it takes the place of a milder finding about the same
thing. One that goes back to a milder finding is ``better`` there. One that is no longer reported,
and whose place no other takes, is ``resolved``, with its cause.

Only a run that looked for a finding can end it. A run narrowed to some accounts or deployments says
nothing about the others, and a run with other params or a limit nothing about what they left out.
"""

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from analyzer.findings.causes import CLEARED, MOVED_AWAY, causes_of
from analyzer.findings.model import AT, SEVERITIES, Filters, Finding, History, Query, Result, Value
from analyzer.findings.recorded import Recorded, write
from analyzer.findings.recorded import read as read_recorded

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

NEW: Final = "new"
ONGOING: Final = "ongoing"
WORSE: Final = "worse"
BETTER: Final = "better"
ESCALATED: Final = "escalated"
RESOLVED: Final = "resolved"
NO_FILTERS: Final = Filters()

Key = tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Compared:
    """A run beside those that were recorded before it.

    ``ended`` are findings that this run no longer reports: resolved ones, and those that now stand
    as a graver finding that the run was not asked for. ``replaced`` ended as well, but a finding of
    ``results`` stands in their place. ``open`` is what was recorded, by id.
    """

    results: tuple[Result, ...]
    ended: tuple[Finding, ...] = ()
    replaced: tuple[Finding, ...] = ()
    open: Mapping[str, Recorded] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to record."""
        return not (self.ended or self.replaced or any(one.findings for one in self.results))


def related(chosen: Sequence[Query], queries: Mapping[str, Query]) -> list[Query]:
    """The findings that chosen ones escalate to, or that escalate to them, beside the chosen.

    :func:`compare` needs their results to tell an escalation from a resolution.
    """
    names = {query.name for query in chosen}
    graver = {name for query in chosen for name in query.history.escalates_to}
    return [
        query
        for query in queries.values()
        if query.name not in names
        and (query.name in graver or names & set(query.history.escalates_to))
    ]


def compare(
    connection: "DuckDBPyConnection",
    results: Sequence[Result],
    filters: Filters = NO_FILTERS,
    beside: Sequence[Result] = (),
) -> Compared:
    """The results with the status of each finding set, and the findings that have ended.

    ``filters`` are those of the run; ``beside`` are the results of :func:`related` queries, which
    are not the run's own. Nothing is written.
    """
    ran = {result.query.name: result for result in (*results, *beside)}
    shown = {result.query.name for result in results}
    titles = {name: result.query.title for name, result in ran.items()}
    before = {known.finding.id: known for known in read_recorded(connection, titles)}
    reported = {finding.id for result in ran.values() for finding in result.findings}
    unreported = [
        known
        for known in before.values()
        if known.finding.id not in reported
        and known.finding.query in ran
        and not ran[known.finding.query].is_cut
        and filters.cover(known.finding.subject)
    ]
    measured = frozenset(name for name, result in ran.items() if result.query.history.measure)
    causes = causes_of(connection, [known.finding for known in unreported], measured)
    up, down, arrivals = _replacements(ran, unreported, before, causes)
    ended, replaced = [], []
    for known in unreported:
        finding = known.finding
        if ran[finding.query].params not in known.params:
            continue
        graver, milder = up.get(finding.id), down.get(finding.id)
        if graver and graver.query in shown:
            replaced.append(replace(finding, status=ESCALATED, cause=graver.query))
        elif milder and milder.query in shown:
            replaced.append(replace(finding, status=BETTER, cause=milder.query))
        elif finding.query in shown and graver:
            ended.append(
                replace(finding, status=ESCALATED, cause=graver.query, severity=graver.severity)
            )
        elif finding.query in shown:
            ended.append(replace(finding, status=RESOLVED, cause=causes[finding.id]))
    compared = [_compared(result, before, arrivals) for result in results]
    return Compared(tuple(compared), tuple(ended), tuple(replaced), before)


def record(connection: "DuckDBPyConnection", compared: Compared) -> None:
    """Store a run for the next one to be compared with. Run it inside a transaction.

    What now stands as a finding that the run was not asked for stays open: the run that reports
    that finding will say so.
    """
    found = [finding for result in compared.results for finding in result.findings]
    resolved = [finding for finding in compared.ended if finding.status == RESOLVED]
    write(connection, [*found, *resolved, *compared.replaced], compared.open)


def _compared(
    result: Result, before: Mapping[str, Recorded], arrivals: Mapping[str, str]
) -> Result:
    return replace(
        result,
        findings=tuple(
            replace(
                finding,
                status=_trend(finding, before[finding.id].finding, result.query.history)
                if finding.id in before
                else arrivals.get(finding.id, NEW),
            )
            for finding in result.findings
        ),
    )


def _trend(finding: Finding, earlier: Finding, history: History) -> str:
    change = SEVERITIES.index(finding.severity) - SEVERITIES.index(earlier.severity)
    measure = history.measure or ""
    if not change and measure in finding.measure and measure in earlier.measure:
        now, then = Decimal(finding.measure[measure]), Decimal(earlier.measure[measure])
        change = (now > then) - (now < then)
        if history.worse == "lower":
            change = -change
    return WORSE if change > 0 else BETTER if change < 0 else ONGOING


def _replacements(
    ran: Mapping[str, Result],
    unreported: Sequence[Recorded],
    before: Container[str],
    causes: Mapping[str, str],
) -> tuple[dict[str, Finding], dict[str, Finding], dict[str, str]]:
    """The graver, or the milder finding that stands in the place of one that is not reported.

    A milder one only does where it was not open before, and where what both are about is still
    there: else the graver one is over. Last comes the status of each that took a place.
    """
    up: dict[str, Finding] = {}
    down: dict[str, Finding] = {}
    arrivals: dict[str, str] = {}
    for milder, graver, columns in _escalations(ran):
        grave = _by_key(graver.findings, columns)
        mild = _by_key((one for one in milder.findings if one.id not in before), columns)
        for known in unreported:
            finding = known.finding
            key = _key(finding, columns)
            if finding.query == milder.query.name and key in grave:
                up.setdefault(finding.id, grave[key][0])
                arrivals |= dict.fromkeys((one.id for one in grave[key]), ESCALATED)
            elif (
                finding.query == graver.query.name
                and key in mild
                and causes[finding.id] in (MOVED_AWAY, CLEARED)
            ):
                down.setdefault(finding.id, mild[key][0])
                arrivals |= dict.fromkeys((one.id for one in mild[key]), BETTER)
    return up, down, arrivals


def _escalations(ran: Mapping[str, Result]) -> Iterator[tuple[Result, Result, list[str]]]:
    """Each milder result with a graver one, and the columns by which they are about the same."""
    for milder in ran.values():
        for name in milder.query.history.escalates_to:
            if name in ran:
                shared = set(ran[name].query.history.subject)
                columns = [one for one in milder.query.history.subject if one in shared]
                yield milder, ran[name], columns


def _by_key(findings: Iterable[Finding], columns: Sequence[str]) -> dict[Key, list[Finding]]:
    found: dict[Key, list[Finding]] = {}
    for finding in findings:
        found.setdefault(_key(finding, columns), []).append(finding)
    return found


def _key(finding: Finding, columns: Sequence[str]) -> Key:
    """What a finding is about; one that does not say is about nothing but itself."""
    values = [finding.subject.get(name) for name in columns]
    if None in values:
        return (finding.id,)
    place = [finding.subject[name] for name in AT[:-1]]
    return (*place, *values)
