"""Six snapshots, each checked once: every finding that is listed, in order, with its status."""

import json

import pytest

from analyzer.store.database import open_for_reading, open_for_writing, transaction
from tests.findings.runs import Event, Held, store

NEAR, LIQUIDATABLE = "near_liquidation", "liquidatable"
LIQUIDATED, CLOSED, SETTLED = (
    Event(450, "liquidate", "dies"),
    Event(320, "close", "closes"),
    Event(550, "settle", "settles"),
)
SNAPSHOTS = {
    100: [
        Held("dies", 2_000),
        Held("recovers", 1_500),
        Held("closes", 480),
        Held("settles", 900),
    ],
    200: [
        Held("dies", 450),
        Held("recovers", 300),
        Held("closes", 480),
        Held("settles", 900),
    ],
    300: [
        Held("dies", 20),
        Held("recovers", 0, "liquidatable", -5),
        Held("closes", 490),
        Held("settles", 450),
    ],
    400: [
        Held("dies", -30, "liquidatable", -20),
        Held("recovers", 40),
        Held("settles", 0, "liquidatable", -3),
    ],
    500: [Held("recovers", 700), Held("settles", -10, "liquidatable", -8)],
    600: [Held("recovers", 900)],
}
EVENTS = [LIQUIDATED, CLOSED, SETTLED]
EXPECTED = {
    100: [(NEAR, "closes", "new", None)],
    200: [
        (NEAR, "recovers", "new", None),
        (NEAR, "dies", "new", None),
        (NEAR, "closes", "ongoing", None),
    ],
    300: [
        (LIQUIDATABLE, "recovers", "escalated", None),
        (NEAR, "dies", "worse", None),
        (NEAR, "settles", "new", None),
        (NEAR, "closes", "better", None),
    ],
    400: [
        (LIQUIDATABLE, "dies", "escalated", None),
        (LIQUIDATABLE, "settles", "escalated", None),
        (NEAR, "recovers", "better", None),
        (NEAR, "closes", "resolved", "closed"),
    ],
    500: [
        (LIQUIDATABLE, "settles", "worse", None),
        (LIQUIDATABLE, "dies", "resolved", "liquidated"),
        (NEAR, "recovers", "resolved", "moved_away"),
    ],
    600: [(LIQUIDATABLE, "settles", "resolved", "closed")],
}
HISTORY = [
    (LIQUIDATABLE, "dies", 400, 400, "resolved", "liquidated"),
    (LIQUIDATABLE, "recovers", 300, 300, "better", NEAR),
    (LIQUIDATABLE, "settles", 400, 500, "resolved", "closed"),
    (NEAR, "closes", 100, 300, "resolved", "closed"),
    (NEAR, "dies", 200, 300, "escalated", LIQUIDATABLE),
    (NEAR, "recovers", 400, 400, "resolved", "moved_away"),
    (NEAR, "settles", 300, 300, "escalated", LIQUIDATABLE),
]
COUNTS = {
    100: "1 finding: 1 high; 1 new",
    200: "3 findings: 3 high; 2 new",
    300: "4 findings: 1 critical, 3 high; 1 new, 1 escalated, 1 worse, 1 better",
    400: "3 findings: 2 critical, 1 high; 2 escalated, 1 better, 1 resolved",
    500: "1 finding: 1 critical; 1 worse, 2 resolved",
    600: "0 findings; 1 resolved",
}


def put(path, block):
    with open_for_writing(path) as connection, transaction(connection):
        events = [event for event in EVENTS if event.block <= block]
        store(connection, block, SNAPSHOTS[block], events)


def listed(ran):
    rows = [json.loads(line) for line in ran.out.splitlines()]
    names = ("query", "margin_id", "status", "cause")
    return [tuple(row[name] for name in names) for row in rows]


def history(path):
    with open_for_reading(path) as connection:
        return connection.execute(
            "select query, subject ->> 'margin_id', first_block, last_block, status, cause"
            " from finding_history order by query, subject ->> 'margin_id'"
        ).fetchall()


@pytest.fixture
def check(perpscope):
    """`check` of everything that does not go by the clock."""
    return lambda *more: perpscope("check", "--max-age", 10**11, *more)


def test_what_becomes_of_four_positions_in_six_runs(check, tmp_path):
    path = tmp_path / "perpscope.duckdb"
    for block, expected in EXPECTED.items():
        put(path, block)
        ran = check()
        assert listed(ran) == expected, block
        assert ran.err.splitlines()[-1] == COUNTS[block]
        open_ones = [status for *_, status, _ in expected if status != "resolved"]
        assert ran.code == (1 if open_ones else 0)
    assert history(path) == HISTORY
    again = check()
    assert (again.code, again.out) == (0, "")
    assert history(path) == HISTORY


def test_looks_by_hand_and_into_the_past_change_nothing(check, tmp_path):
    path = tmp_path / "perpscope.duckdb"
    for block, expected in EXPECTED.items():
        put(path, block)
        before = path.read_bytes()
        for _ in range(2):
            assert listed(check("--no-record")) == expected, block
        assert listed(check("--block", 199)) == [(NEAR, "closes", None, None)]
        assert path.read_bytes() == before
        assert listed(check()) == expected, block
    assert history(path) == HISTORY


def test_a_run_for_part_of_the_findings_is_compared_with_the_others(perpscope, tmp_path):
    """Near liquidation alone never turns silent because it got worse."""
    path = tmp_path / "perpscope.duckdb"
    for block in (100, 200):
        put(path, block)
        perpscope("check", NEAR)
    put(path, 300)
    for _ in range(2):
        alone = perpscope("check", NEAR, "--fail-on", "critical")
        assert alone.code == 1
        assert listed(alone)[-1] == (NEAR, "recovers", "escalated", LIQUIDATABLE)
        assert json.loads(alone.out.splitlines()[-1])["severity"] == "critical"
    assert listed(perpscope("check", LIQUIDATABLE)) == EXPECTED[300][:1]
    assert perpscope("check", NEAR, "--fail-on", "critical").code == 0
    put(path, 400)
    assert listed(perpscope("check", LIQUIDATABLE)) == [
        *EXPECTED[400][:2],
        (LIQUIDATABLE, "recovers", "resolved", "moved_away"),
    ]
    assert listed(perpscope("check", NEAR)) == [
        (NEAR, "recovers", "new", None),
        (NEAR, "closes", "resolved", "closed"),
    ]


def test_findings_come_in_the_order_of_their_severity(perpscope, tmp_path):
    put(tmp_path / "perpscope.duckdb", 300)
    for names in ((NEAR, LIQUIDATABLE), (LIQUIDATABLE, NEAR)):
        ran = perpscope("check", *names, "--no-record")
        assert [row[0] for row in listed(ran)] == [LIQUIDATABLE, NEAR, NEAR, NEAR]


def test_an_ignored_finding_ends_unseen(check, tmp_path):
    path = tmp_path / "perpscope.duckdb"
    for block in (100, 200, 300):
        put(path, block)
        first = check("--no-record")
        check()
    one = json.loads(first.out.splitlines()[-1])
    assert one["position_id"] == "closes"
    put(path, 400)
    ran = check("--ignore", one["id"])
    assert listed(ran) == EXPECTED[400][:3]
    assert ran.err.splitlines()[-1] == "3 findings: 2 critical, 1 high; 2 escalated, 1 better"
    assert (NEAR, "closes", 100, 300, "resolved", "closed") in history(path)
