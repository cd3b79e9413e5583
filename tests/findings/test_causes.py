"""Why a finding is resolved: what the logs and the newest snapshot say of its position."""

from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from analyzer.findings import load, run
from analyzer.findings.history import compare, record, related
from analyzer.protocols import protocols
from tests.conftest import NOW
from tests.findings.runs import OWNER, Event, Held, store

QUERIES = load()
ACCOUNT, OTHER = "0x" + "b" * 40, "0x" + "c" * 40
NEAR = Held("p", 100)
FAR = Held("p", 5_000)
STUCK = Held("p", 0, "liquidatable", -5)


def leg(name, distance=100, state="safe"):
    return Held(name, distance, state, 1, ACCOUNT, ACCOUNT)


@dataclass(frozen=True)
class Case:
    """What was there at block 100, and what there is at block 200."""

    query: str
    before: Sequence[Held]
    now: Sequence[Held]
    cause: str
    events: Sequence[Event] = ()
    protocol: str = "perp_v1"
    margins: Sequence[Held] = ()
    margins_before: Sequence[Held] = ()
    complete: bool = True


BROKE = Held(ACCOUNT, None, "liquidatable", -5, ACCOUNT, ACCOUNT)
LEGS_GONE = {
    "margins": [leg(ACCOUNT)],
    "protocol": "perp_v2",
}
CASES = {
    "moved": Case("near_liquidation", [NEAR], [FAR], "moved_away"),
    "safe again": Case("liquidatable", [STUCK], [FAR], "moved_away"),
    "added to": Case(
        "near_liquidation", [NEAR], [FAR], "moved_away",
        [Event(150, "increase", "p", goes_on=True)],
    ),
    "liquidated": Case(
        "near_liquidation", [NEAR], [], "liquidated", [Event(150, "liquidate", "p")]
    ),
    "liquidated when it was found liquidatable": Case(
        "liquidatable", [STUCK], [], "liquidated", [Event(150, "liquidate", "p")]
    ),
    "liquidated in part": Case(
        "liquidatable", [STUCK], [FAR], "liquidated",
        [Event(150, "liquidate", "p", goes_on=True)],
    ),
    "liquidated in part, the rest closed": Case(
        "liquidatable", [STUCK], [], "closed",
        [Event(150, "liquidate", "p", goes_on=True), Event(150, "close", "p", log_index=2)],
    ),
    "liquidated, as an event of its own says": Case(
        "liquidatable", [leg("a", 0, "liquidatable")], [], "liquidated",
        [
            Event(150, "decrease", "a", ACCOUNT),
            Event(150, "liquidate", "a", ACCOUNT, goes_on=True, log_index=2),
        ],
        **LEGS_GONE,
    ),
    "its collateral liquidated": Case(
        "liquidatable", [leg("a", 900, "liquidatable")], [leg("a", 900)], "liquidated",
        [Event(150, "liquidate_collateral", None, ACCOUNT, goes_on=True)], "perp_v2",
    ),
    "closed": Case("near_liquidation", [NEAR], [], "closed", [Event(150, "close", "p")]),
    "closed by a decrease": Case(
        "near_liquidation", [leg("a")], [], "closed", [Event(150, "decrease", "a", ACCOUNT)],
        "perp_v2",
    ),
    "settled": Case("near_liquidation", [NEAR], [], "closed", [Event(150, "settle", "p")]),
    "closed and opened again": Case(
        "near_liquidation", [NEAR], [FAR], "closed",
        [Event(150, "close", "p"), Event(160, "increase", "p", goes_on=True)],
    ),
    "closed at the newest block": Case(
        "near_liquidation", [NEAR], [], "closed", [Event(200, "close", "p")]
    ),
    "closed or liquidated with collateral left over": Case(
        "near_liquidation", [NEAR], [], "gone", [Event(150, "close", "p")], "gmx_v1"
    ),
    "liquidated with nothing left over": Case(
        "near_liquidation", [NEAR], [], "liquidated", [Event(150, "liquidate", "p")], "gmx_v1"
    ),
    "closed in a protocol that nobody knows": Case(
        "near_liquidation", [NEAR], [], "gone", [Event(150, "close", "p")], "forgotten"
    ),
    "no logs": Case("near_liquidation", [NEAR], [], "gone"),
    "no logs of a liquidatable one": Case("liquidatable", [STUCK], [], "gone"),
    "an earlier life": Case("near_liquidation", [NEAR], [], "gone", [Event(100, "liquidate", "p")]),
    "a later life": Case("near_liquidation", [NEAR], [], "gone", [Event(201, "liquidate", "p")]),
    "another position": Case(
        "near_liquidation", [NEAR], [], "gone", [Event(150, "liquidate", "q")]
    ),
    "one leg closed, the others safe": Case(
        "liquidatable", [leg("a", 0, "liquidatable"), leg("b", 0, "liquidatable")],
        [leg("b", 900)], "moved_away", [Event(150, "decrease", "a", ACCOUNT)], "perp_v2",
    ),
    "all legs closed": Case(
        "liquidatable", [leg("a", 0, "liquidatable"), leg("b", 0, "liquidatable")], [], "closed",
        [Event(150, "decrease", "a", ACCOUNT), Event(160, "decrease", "b", ACCOUNT)], **LEGS_GONE,
    ),
    "all legs gone, no logs": Case(
        "liquidatable", [leg("a", 0, "liquidatable")], [], "gone", **LEGS_GONE
    ),
    "one leg liquidated": Case(
        "near_liquidation", [leg("a"), leg("b")], [leg("b")], "liquidated",
        [Event(150, "liquidate", "a", ACCOUNT)], "perp_v2",
    ),
    "another leg liquidated": Case(
        "near_liquidation", [leg("a")], [leg("a", 900)], "moved_away",
        [Event(150, "liquidate", "b", ACCOUNT)], "perp_v2",
    ),
    "an account without positions": Case(
        "liquidatable", [], [], "moved_away", (), "perp_v2", [leg(ACCOUNT)],
        [BROKE],
    ),
    "unknown now": Case(
        "liquidatable", [STUCK], [Held("p", None, "unknown")], "data_gone"
    ),
    "unknown price now": Case(
        "near_liquidation", [NEAR], [Held("p", None, liquidation_kind="unknown")], "data_gone"
    ),
    "an unknown price of a safe account": Case(
        "liquidatable", [STUCK], [Held("p", None, liquidation_kind="unknown")], "moved_away"
    ),
    "unknown collateral": Case(
        "near_liquidation", [NEAR], [Held("p", 900, collateral_state="unknown")], "data_gone"
    ),
    "absent from an incomplete snapshot": Case(
        "near_liquidation", [NEAR], [], "data_gone", complete=False
    ),
    "liquidated, for all that an incomplete snapshot knows": Case(
        "near_liquidation", [NEAR], [], "liquidated", [Event(150, "liquidate", "p")],
        complete=False,
    ),
    "known in an incomplete snapshot": Case(
        "near_liquidation", [NEAR], [FAR], "moved_away", complete=False
    ),
}  # fmt: skip


INCOMPLETE = """
create temporary view current_snapshots as
select * replace (false as complete) from snapshots where block_number = 200
"""
"""The newest snapshot answers, and is not complete."""


def look(connection, name):
    """One query's findings, recorded; the cause of what has ended."""
    chosen = [QUERIES[name]]
    beside = [run(connection, one, now=NOW) for one in related(chosen, QUERIES)]
    compared = compare(connection, [run(connection, QUERIES[name], now=NOW)], beside=beside)
    record(connection, compared)
    return [(one.query, one.status, one.cause) for one in compared.ended]


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_finding_that_is_gone_says_what_became_of_it(database, case):
    connection = database({})
    early = [event for event in case.events if event.block <= 100]
    store(connection, 100, case.before, early, protocol=case.protocol, margins=case.margins_before)
    assert look(connection, case.query) == []
    store(connection, 200, case.now, case.events, protocol=case.protocol, margins=case.margins)
    if not case.complete:
        connection.execute(INCOMPLETE)
    ended = look(connection, case.query)
    assert (case.query, "resolved", case.cause) in ended
    assert {cause for *_, cause in ended} == {case.cause}


def test_what_the_newest_snapshots_do_not_cover_is_gone_with_its_data(database):
    connection = database({})
    store(connection, 100, [NEAR], scope=OWNER)
    assert look(connection, "near_liquidation") == []
    store(connection, 200, scope=OTHER)
    for table in ("snapshots", "positions", "margin_accounts"):
        connection.execute(f"delete from {table} where block_number = 100")
    assert look(connection, "near_liquidation") == [("near_liquidation", "resolved", "data_gone")]


def test_what_only_an_older_snapshot_could_tell_is_gone_with_its_data(database):
    """A reorganisation has dropped the block at which it was found."""
    connection = database({})
    store(connection, 100, [FAR])
    store(connection, 200, [NEAR])
    assert look(connection, "near_liquidation") == []
    for table in ("snapshots", "positions", "margin_accounts"):
        connection.execute(f"delete from {table} where block_number = 200")
    assert look(connection, "near_liquidation") == [("near_liquidation", "resolved", "data_gone")]


def test_what_vanished_from_the_same_snapshot_is_gone_with_its_data(database):
    connection = database({})
    store(connection, 100, [NEAR])
    assert look(connection, "near_liquidation") == []
    store(connection, 100, [])
    assert look(connection, "near_liquidation") == [("near_liquidation", "resolved", "data_gone")]


def test_what_is_about_no_position_is_cleared(database):
    connection = database({"deployments": [{}]})
    assert look(connection, "stale_data") == []
    store(connection, 100, protocol="gmx_v1")
    assert ("stale_data", "resolved", "cleared") in look(connection, "stale_data")


def test_every_protocol_but_gmx_v1_tells_liquidations_from_closes():
    """There a liquidation that leaves collateral over emits what the owner's close emits."""
    silent = {name for name, one in protocols().items() if not one.tells_liquidations}
    assert silent == {"gmx_v1"}
