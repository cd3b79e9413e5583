"""The table ``finding_history``: a row for each finding that was ever recorded, as last seen.

A row is open until a run ends it: then its status is ``resolved``, with the cause, or its ``cause``
is the finding that took its place. ``first_block`` is where it was first seen since it was last
closed. Columns that a file of an earlier release lacks are read as null.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from analyzer.findings.model import AT, Finding, Value

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

PARAMS: Final = "$params"
"""Where the stored subject keeps the params: no column has such a name."""

READ: Final = """
with recorded as (
    select * from finding_history
    union all by name
    select null::varchar as cause, null::json as measure where false
)
select finding_id, query, severity, chain_id, protocol, deployment, subject, measure, last_block
from recorded
where status <> 'resolved' and cause is null
order by query, finding_id
"""

MARGIN_IDS: Final = """
select chain_id, protocol, deployment, position_id, margin_id
from current_positions
where list_contains($ids, position_id)
"""

WRITE: Final = """
with seen as (
    select
        unnest($ids) as finding_id, unnest($queries) as query, unnest($severities) as severity,
        unnest($chains) as chain_id, unnest($protocols) as protocol,
        unnest($deployments) as deployment, unnest($subjects)::json as subject,
        unnest($blocks) as block_number, unnest($statuses) as status, unnest($causes) as cause,
        unnest($measures)::json as measure
)
select
    seen.finding_id, seen.query, seen.severity, seen.chain_id, seen.protocol, seen.deployment,
    seen.subject,
    case
        when known.status <> 'resolved' and known.cause is null then known.first_block
        else seen.block_number
    end as first_block,
    coalesce(seen.block_number, known.last_block) as last_block,
    seen.status, seen.cause, seen.measure
from seen
left join finding_history as known on known.finding_id = seen.finding_id
"""


@dataclass(frozen=True, slots=True)
class Recorded:
    """An open finding as it was last recorded, and the params of all runs that reported it."""

    finding: Finding
    params: tuple[Mapping[str, str], ...]


def read(connection: "DuckDBPyConnection", titles: Mapping[str, str]) -> list[Recorded]:
    """The findings that are open; ``titles`` are those of their queries."""
    found = [_recorded(row, titles) for row in connection.execute(READ).fetchall()]
    bare = [known.finding for known in found if _lacks_margin_id(known.finding)]
    if not bare:
        return found
    ids = [finding.subject["position_id"] for finding in bare]
    margin_ids = {
        tuple(place): margin_id
        for *place, margin_id in connection.execute(MARGIN_IDS, {"ids": ids}).fetchall()
    }
    return [_with_margin_id(known, margin_ids) for known in found]


def write(
    connection: "DuckDBPyConnection", findings: Iterable[Finding], known: Mapping[str, Recorded]
) -> None:
    """Store findings that have a status, in place of what was recorded of them before."""
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
        "subjects": [_subject(finding, known.get(finding.id)) for finding in unique],
        "blocks": [finding.block_number for finding in unique],
        "statuses": [finding.status for finding in unique],
        "causes": [finding.cause for finding in unique],
        "measures": [
            json.dumps(finding.measure) if finding.measure else None for finding in unique
        ],
    }
    connection.execute("create or replace temporary table recorded_findings as " + WRITE, values)
    connection.execute(
        "delete from finding_history where finding_id in (select unnest($ids))",
        {"ids": values["ids"]},
    )
    connection.execute("insert into finding_history by name select * from recorded_findings")
    connection.execute("drop table recorded_findings")


def _subject(finding: Finding, known: Recorded | None) -> str:
    params = [dict(finding.params)]
    if known is not None:
        params += [dict(one) for one in known.params if dict(one) not in params]
    return json.dumps({**finding.subject, PARAMS: params}, default=str)


def _lacks_margin_id(finding: Finding) -> bool:
    """Whether an earlier release recorded it, which did not say whose margin a position uses."""
    return "position_id" in finding.subject and "margin_id" not in finding.subject


def _with_margin_id(known: Recorded, margin_ids: Mapping[tuple[Value, ...], Value]) -> Recorded:
    subject = known.finding.subject
    place = tuple(subject.get(name) for name in (*AT[:-1], "position_id"))
    if not _lacks_margin_id(known.finding) or place not in margin_ids:
        return known
    whole = {**subject, "margin_id": margin_ids[place]}
    return replace(known, finding=replace(known.finding, subject=whole))


def _recorded(row: Sequence[Any], titles: Mapping[str, str]) -> Recorded:
    finding_id, query, severity, chain_id, protocol, deployment, subject, measure, block = row
    about = json.loads(subject)
    params = about.pop(PARAMS, {})
    every = tuple(params) if isinstance(params, list) else (params,)
    place = {"chain_id": chain_id, "protocol": protocol, "deployment": deployment}
    finding = Finding(
        id=finding_id,
        query=query,
        severity=severity,
        title=titles.get(query, query),
        subject=about | place,
        block_number=block,
        params=every[0],
        measure=json.loads(measure) if measure else {},
    )
    return Recorded(finding, every)
