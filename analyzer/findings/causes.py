"""Why a finding is no longer reported: what became of the thing that it was about.

Nothing is concluded from silence: a position is closed or liquidated where a log says so and gone
where none does, and what no newer and complete snapshot covers is gone with its data.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from analyzer.findings.model import Finding, Value

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

LIQUIDATED: Final = "liquidated"
"""A log says so: in whole or in part, or its collateral."""
CLOSED: Final = "closed"
"""A log says that it ended otherwise: by its owner, or settled with its market."""
GONE: Final = "gone"
"""It is no more, and whether it was closed or liquidated cannot be told."""
MOVED_AWAY: Final = "moved_away"
"""It is still there, but its measure is no longer where the finding begins."""
CLEARED: Final = "cleared"
"""What the finding reported is no longer so; it has no measure."""
DATA_GONE: Final = "data_gone"
"""No newer, complete snapshot covers it, or it is unknown now."""

LIQUIDATIONS: Final = ("liquidate", "liquidate_collateral")
"""Kinds of position events in which somebody else takes a position or its collateral."""
THINGS: Final = ("position_id", "margin_id")
"""Columns that name a thing whose end a log can tell: the first that a finding has counts."""

FATES: Final = """
with ended as (
    select
        unnest($ids) as id, unnest($chains) as chain_id, unnest($protocols) as protocol,
        unnest($deployments) as deployment, unnest($accounts)::varchar as account,
        unnest($things)::varchar as {thing}, unnest($margin_ids)::varchar as its_margin,
        unnest($blocks)::bigint as last_block
),
answers as (
    select
        ended.*,
        arg_max(scope.block_number, (scope.account <> 'all', scope.block_number))
            over (partition by ended.id) as block_number
    from ended
    inner join current_scopes as scope using (chain_id, protocol, deployment)
    where ended.account is null or scope.account in ('all', ended.account)
    qualify row_number() over (partition by ended.id) = 1
),
endings as (
    select
        answers.id,
        arg_max(event.kind, (event.block_number, event.log_index)) as kind,
        arg_max(event.position_id, (event.block_number, event.log_index)) as position_id
    from position_events as event
    inner join answers using (chain_id, protocol, deployment, {thing})
    where
        event.block_number > answers.last_block
        and event.block_number <= answers.block_number
        and (
            event.after is null or event.kind = 'settle'
            or list_contains($liquidations, event.kind)
        )
    group by answers.id
),
now_open as (
    select ended.id, count(*) as positions, bool_or(liquidation_kind = 'unknown') as is_unknown
    from current_positions
    inner join ended using (chain_id, protocol, deployment, {thing})
    group by ended.id
),
once_open as (
    select ended.id, count(*) as positions
    from positions
    inner join ended using (chain_id, protocol, deployment, {thing})
    where positions.block_number = ended.last_block
    group by ended.id
),
margins as (
    select
        ended.id,
        bool_or(coalesce('unknown' in (margin.state, margin.collateral_state), false)) as is_unknown
    from current_margin_accounts as margin
    inner join ended
        on margin.chain_id = ended.chain_id and margin.protocol = ended.protocol
        and margin.deployment = ended.deployment and margin.margin_id = ended.its_margin
    group by ended.id
)
select
    answers.id, answers.block_number, snapshot.complete, endings.kind, endings.position_id,
    coalesce(now_open.positions, 0), coalesce(once_open.positions, 0), margins.id is not null,
    coalesce(margins.is_unknown, false) or coalesce(now_open.is_unknown and $is_position, false)
from answers
inner join current_snapshots as snapshot using (chain_id, protocol, deployment, block_number)
left join endings using (id)
left join now_open using (id)
left join once_open using (id)
left join margins using (id)
"""
"""Of each thing: the block that answers for it now, the last log since that ended or liquidated it,
and what is open of it."""


@dataclass(frozen=True, slots=True)
class Fate:
    """What the database says about a thing since it was last reported."""

    block_number: int
    is_complete: bool
    kind: str | None
    """Of the last event that ended or liquidated it or a part of it."""
    position_id: str | None
    """The position of that event."""
    positions: int
    positions_before: int
    has_margin: bool
    is_unknown: bool


def causes_of(
    connection: "DuckDBPyConnection", findings: Sequence[Finding], measured: frozenset[str]
) -> dict[str, str]:
    """The cause of each resolved finding, by id; ``measured`` are the queries with a measure."""
    causes: dict[str, str] = {}
    for thing in (*THINGS, None):
        own = [finding for finding in findings if _thing(finding) == thing]
        fates = _fates(connection, own, thing) if own else {}
        for finding in own:
            still = MOVED_AWAY if finding.query in measured else CLEARED
            causes[finding.id] = _cause(finding, thing, fates.get(finding.id), still)
    return causes


def _thing(finding: Finding) -> str | None:
    return next((name for name in THINGS if finding.subject.get(name) is not None), None)


def _fates(
    connection: "DuckDBPyConnection", findings: Sequence[Finding], thing: str | None
) -> dict[str, Fate]:
    def each(name: str | None) -> list[Value]:
        return [finding.subject.get(name or "") for finding in findings]

    values = {
        "ids": [finding.id for finding in findings],
        "chains": each("chain_id"),
        "protocols": each("protocol"),
        "deployments": each("deployment"),
        "accounts": each("account"),
        "things": each(thing),
        "margin_ids": each("margin_id"),
        "blocks": [finding.block_number for finding in findings],
        "liquidations": list(LIQUIDATIONS),
        "is_position": thing == "position_id",
    }
    sql = FATES.format(thing=thing or THINGS[0])
    rows = connection.execute(sql, values).fetchall()
    return {finding_id: Fate(*facts) for finding_id, *facts in rows}


def _cause(finding: Finding, thing: str | None, fate: Fate | None, still: str) -> str:
    since = -1 if finding.block_number is None else finding.block_number
    if fate is None or fate.block_number < since:
        return DATA_GONE
    if fate.kind in LIQUIDATIONS:
        return LIQUIDATED
    is_whole = fate.position_id == finding.subject.get(thing or "")
    if fate.kind is not None and (is_whole or not fate.positions):
        return CLOSED if _tells_liquidations(finding) else GONE
    is_there = fate.positions > 0 or (
        thing == "margin_id" and fate.has_margin and not fate.positions_before
    )
    if is_there:
        return DATA_GONE if fate.is_unknown else still
    if not fate.is_complete or (thing is not None and fate.block_number == since):
        return DATA_GONE
    return still if thing is None else GONE


def _tells_liquidations(finding: Finding) -> bool:
    from analyzer.protocols import protocols  # noqa: PLC0415  only where a position was closed

    known = protocols().get(str(finding.subject["protocol"]))
    return known is not None and known.tells_liquidations
