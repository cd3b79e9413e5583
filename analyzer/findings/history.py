"""What is new, ongoing or resolved: findings compared with those of earlier runs.

A finding is resolved when a run that looked for it no longer reports it. A run narrowed to some
accounts or deployments says nothing about the others, and a run with other params or a limit
nothing about what they left out.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from analyzer.findings.model import Filters, Finding, Result

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

NEW: Final = "new"
ONGOING: Final = "ongoing"
RESOLVED: Final = "resolved"
PARAMS: Final = "$params"
"""Where the stored subject keeps the params: no column has such a name."""
NO_FILTERS: Final = Filters()

OPEN: Final = """
select finding_id, query, severity, chain_id, protocol, deployment, subject, last_block
from finding_history
where status <> 'resolved'
order by query, finding_id
"""

RECORD: Final = """
with seen as (
    select
        unnest($ids) as finding_id, unnest($queries) as query, unnest($severities) as severity,
        unnest($chains) as chain_id, unnest($protocols) as protocol,
        unnest($deployments) as deployment, unnest($subjects)::json as subject,
        unnest($blocks) as block_number, unnest($statuses) as status
)
select
    seen.finding_id, seen.query, seen.severity, seen.chain_id, seen.protocol, seen.deployment,
    seen.subject,
    case when seen.status = 'new' then seen.block_number else known.first_block end as first_block,
    coalesce(seen.block_number, known.last_block) as last_block,
    seen.status
from seen
left join finding_history as known on known.finding_id = seen.finding_id
"""


def compare(
    connection: "DuckDBPyConnection", results: Sequence[Result], filters: Filters = NO_FILTERS
) -> tuple[tuple[Result, ...], tuple[Finding, ...]]:
    """The results with the status of each finding set, and the findings that are resolved.

    ``filters`` are those of the run; queries that are not among ``results`` resolve nothing.
    """
    ran = {result.query.name: result for result in results}
    known = [_known(row, ran) for row in connection.execute(OPEN).fetchall()]
    open_ids = {finding.id for finding in known}
    compared = tuple(
        replace(
            result,
            findings=tuple(
                replace(finding, status=ONGOING if finding.id in open_ids else NEW)
                for finding in result.findings
            ),
        )
        for result in results
    )
    seen = {finding.id for result in compared for finding in result.findings}
    resolved = tuple(
        finding
        for finding in known
        if finding.id not in seen
        and finding.query in ran
        and not ran[finding.query].is_cut
        and finding.params == ran[finding.query].params
        and filters.cover(finding.subject)
    )
    return compared, resolved


def record(connection: "DuckDBPyConnection", findings: Iterable[Finding]) -> None:
    """Store findings that :func:`compare` gave a status, resolved ones included.

    One row per finding: the block where it was first seen since it was last resolved, and where it
    was last seen. Run it inside a transaction.
    """
    unique = list({finding.id: finding for finding in findings}.values())
    if not unique:
        return
    values = {
        "ids": [finding.id for finding in unique],
        "queries": [finding.query for finding in unique],
        "severities": [finding.severity for finding in unique],
        "chains": [finding.subject["chain_id"] for finding in unique],
        "protocols": [finding.subject["protocol"] for finding in unique],
        "deployments": [finding.subject["deployment"] for finding in unique],
        "subjects": [_stored(finding) for finding in unique],
        "blocks": [finding.block_number for finding in unique],
        "statuses": [finding.status for finding in unique],
    }
    rows = "create or replace temporary table recorded_findings as " + RECORD
    connection.execute(rows, values)
    connection.execute(
        "delete from finding_history where finding_id in (select unnest($ids))",
        {"ids": values["ids"]},
    )
    connection.execute("insert into finding_history by name select * from recorded_findings")
    connection.execute("drop table recorded_findings")


def _stored(finding: Finding) -> str:
    return json.dumps({**finding.subject, PARAMS: dict(finding.params)}, default=str)


def _known(row: Sequence[object], ran: dict[str, Result]) -> Finding:
    finding_id, query, severity, chain_id, protocol, deployment, subject, last_block = row
    title = ran[str(query)].query.title if query in ran else str(query)
    about = json.loads(str(subject))
    params = about.pop(PARAMS, {})
    place = {"chain_id": chain_id, "protocol": protocol, "deployment": deployment}
    return Finding(
        id=str(finding_id),
        query=str(query),
        severity=str(severity),
        title=title,
        subject=about | place,
        block_number=last_block,  # type: ignore[arg-type]
        status=RESOLVED,
        params=params,
    )
