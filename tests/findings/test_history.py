"""Ids that last, and how a run's findings stand beside those of the last one."""

import json
from dataclasses import replace
from hashlib import sha256

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.findings import Filters, at_least, load, run
from analyzer.findings.history import NO_FILTERS, Compared, compare, record, related
from analyzer.findings.identity import finding_id
from analyzer.store.database import open_for_reading, open_for_writing
from tests.conftest import NOW
from tests.findings.runs import ETH, Event, Held, store

QUERIES = load()
A, B = "0x" + "a" * 40, "0x" + "b" * 40


def snapshot(block):
    return {"complete": True, "block_number": block}


def liquidatable(account, block, deployment="local", **more):
    return {
        "margin_id": account,
        "account": account,
        "kind": "cross",
        "state": "liquidatable",
        "state_stored": "safe",
        "block_number": block,
        "deployment": deployment,
    } | more


def both(block, *accounts):
    return {
        "snapshots": [snapshot(block)],
        "margin_accounts": [liquidatable(account, block) for account in accounts],
    }


def test_an_id_is_the_hash_of_name_and_identity():
    whole = sha256(b"liquidatable\x1f31337\x1fgmx_v1\x1f0xab").hexdigest()
    assert finding_id("liquidatable", [31337, "gmx_v1", "0xAB"]) == whole[:16]


def test_an_id_ignores_numbers_wording_and_block(database):
    query = load()["liquidatable"]
    one = run(database(both(200, A)), query).findings[0]
    given = both(300, A)
    given["margin_accounts"][0] |= {"buffer_usd": "-7", "reason": "fees", "kind": "isolated"}
    reworded = replace(query, title="Other words", summary="S.", advice="A.", severity="info")
    other = run(database(given), reworded).findings[0]
    assert one.id == other.id
    assert (one.block_number, other.block_number) == (200, 300)
    assert one.id == "6cb6aee2f72c2688"


@given(st.lists(st.text(), min_size=2, max_size=2), st.lists(st.text(), min_size=2, max_size=2))
def test_different_identities_have_different_ids(one, other):
    same = [text.lower() for text in one] == [text.lower() for text in other]
    assert (finding_id("q", one) == finding_id("q", other)) == same


def test_a_separator_in_a_hostile_value_does_not_pose_as_another_finding():
    assert finding_id("q", ["a\x1fb", "c"]) != finding_id("q", ["a", "b\x1fc"])
    assert finding_id("q", ["a\x1fb"]) != finding_id("q", ["a\\x1fb"])


def statuses(findings):
    return [(one.subject.get("margin_id"), one.status) for one in findings]


def look(connection, *names, filters=NO_FILTERS, params=None, limit=None, queries=QUERIES):
    """A run of some findings, compared and not recorded."""
    chosen = [queries[name] for name in names]
    given = params or {}
    results = [run(connection, one, given, filters, now=NOW, limit=limit) for one in chosen]
    beside = [run(connection, one, {}, filters, now=NOW) for one in related(chosen, queries)]
    return compare(connection, results, filters, beside)


def check(connection, *names, **how):
    """A run of some findings, recorded; what it lists."""
    compared = look(connection, *names, **how)
    record(connection, compared)
    found = [one for result in compared.results for one in result.findings]
    return statuses(found), [
        (*one, two.cause) for one, two in zip(statuses(compared.ended), compared.ended, strict=True)
    ]


def history(connection):
    return connection.execute(
        "select query, subject ->> 'margin_id', first_block, last_block, status, cause"
        " from finding_history order by query, subject ->> 'margin_id'"
    ).fetchall()


def test_a_finding_is_new_then_ongoing_then_resolved_then_new_again(database):
    connection = database(both(200, A))
    query = ("liquidatable",)
    assert check(connection, *query) == ([(A, "new")], [])
    assert history(connection) == [("liquidatable", A, 200, 200, "new", None)]
    for table in ("snapshots", "margin_accounts"):
        later = f"select * replace (300 as block_number) from {table}"
        connection.execute(f"insert into {table} {later}")
    assert check(connection, *query) == ([(A, "ongoing")], [])
    assert history(connection) == [("liquidatable", A, 200, 300, "ongoing", None)]
    connection.execute("update margin_accounts set state = 'safe' where block_number = 300")
    assert check(connection, *query) == ([], [(A, "resolved", "moved_away")])
    assert history(connection) == [("liquidatable", A, 200, 300, "resolved", "moved_away")]
    assert check(connection, *query) == ([], [])
    connection.execute("update margin_accounts set state = 'liquidatable'")
    assert check(connection, *query) == ([(A, "new")], [])
    assert history(connection) == [("liquidatable", A, 300, 300, "new", None)]


def test_a_narrowed_run_resolves_nothing_outside_its_scope(database):
    connection = database(both(200, A, B))
    check(connection, "liquidatable")
    connection.execute("update margin_accounts set state = 'safe'")
    ended = look(connection, "liquidatable", filters=Filters(account=(A,))).ended
    assert [finding.subject["account"] for finding in ended] == [A]
    assert look(connection, "liquidatable", filters=Filters(chain_id=(1,))).ended == ()
    assert len(look(connection, "liquidatable").ended) == 2


def test_a_query_that_did_not_run_resolves_nothing(database):
    connection = database(both(200, A))
    check(connection, "liquidatable")
    connection.execute("delete from margin_accounts")
    assert look(connection, "data_quality").ended == ()
    assert look(connection).ended == ()


def test_comparing_writes_nothing(database):
    connection = database(both(200, A))
    look(connection, "liquidatable")
    assert connection.execute("select count(*) from finding_history").fetchone() == (0,)


def test_recording_nothing_and_a_finding_without_a_block_works(database):
    connection = database({"deployments": [{}]})
    record(connection, Compared(()))
    assert check(connection, "stale_data") == ([(None, "new")], [])
    assert history(connection) == [("stale_data", None, None, None, "new", None)]


@pytest.mark.parametrize(
    ("severity", "threshold", "reached"),
    [
        ("low", "low", True),
        ("info", "low", False),
        ("critical", "high", True),
        ("high", "critical", False),
    ],
)
def test_severities_are_ordered(severity, threshold, reached):
    assert at_least(severity, threshold) is reached


def near(*distances):
    """Positions of one margin account each, or all of the first one's."""
    return [Held(f"p{number}", distance) for number, distance in enumerate(distances, 1)]


def test_a_run_with_params_resolves_what_runs_with_them_have_seen(database):
    connection = database({})
    store(connection, 100, near(300))
    name = "near_liquidation"
    assert check(connection, name) == ([("p1", "new")], [])
    assert check(connection, name, params={"within_bps": "100"}) == ([], [])
    assert check(connection, name, params={"within_bps": "400"}) == ([("p1", "ongoing")], [])
    assert check(connection, name) == ([("p1", "ongoing")], [])
    assert check(connection, name, params={"within_bps": "500"}) == ([("p1", "ongoing")], [])
    store(connection, 200, near(501))
    assert check(connection, name, params={"within_bps": "499"}) == ([], [])
    assert check(connection, name) == ([], [("p1", "resolved", "moved_away")])


def test_a_look_further_off_does_not_keep_a_finding_from_being_resolved(database):
    """The usual run has seen it too, and is the one that no longer does."""
    connection = database({})
    wide = {"within_bps": "1000"}
    store(connection, 100, near(300, 900))
    assert check(connection, "near_liquidation") == ([("p1", "new")], [])
    both_of_them = [("p1", "ongoing"), ("p2", "new")]
    assert check(connection, "near_liquidation", params=wide) == (both_of_them, [])
    store(connection, 200, near(700, 950))
    assert check(connection, "near_liquidation") == ([], [("p1", "resolved", "moved_away")])
    found, ended = check(connection, "near_liquidation", params=wide)
    assert (found, ended) == ([("p1", "new"), ("p2", "better")], [])
    store(connection, 300, near(1_200, 1_200))
    assert check(connection, "near_liquidation") == ([], [])
    assert len(check(connection, "near_liquidation", params=wide)[1]) == 2


def test_a_limited_run_does_not_resolve_what_it_cut_off(database):
    connection = database(both(200, A, B))
    check(connection, "liquidatable")
    limited = run(connection, QUERIES["liquidatable"], limit=1)
    assert limited.is_cut
    assert compare(connection, [limited]).ended == ()


WORSENING = [
    (300, 299, "worse"),
    (300, 300, "ongoing"),
    (300, 301, "better"),
    (5, -5, "worse"),
    (-10, -9, "better"),
    (None, 300, "new"),
]


@pytest.mark.parametrize(("before", "now", "status"), WORSENING)
def test_a_measure_says_what_is_worse(database, before, now, status):
    connection = database({})
    store(connection, 100, near(before))
    check(connection, "near_liquidation")
    store(connection, 200, near(now))
    assert check(connection, "near_liquidation") == ([("p1", status)], [])


@pytest.mark.parametrize(("before", "now"), [(None, "-5"), ("-5", None), (None, None)])
def test_a_measure_that_is_not_known_says_nothing(database, before, now):
    connection = database({})
    store(connection, 100, [Held("p1", 0, "liquidatable")])
    connection.execute("update margin_accounts set buffer_usd = ?", [before])
    check(connection, "liquidatable")
    connection.execute("update margin_accounts set buffer_usd = ?", [now])
    assert check(connection, "liquidatable") == ([("p1", "ongoing")], [])


def test_amounts_are_compared_to_the_last_digit(database):
    connection = database({})
    store(connection, 100, [Held("p1", 0, "liquidatable")])
    for amount, status in (
        ("-99999999999999999999.999999999999999998", "new"),
        ("-99999999999999999999.999999999999999999", "worse"),
        ("-99999999999999999999.999999999999999998", "better"),
        ("-99999999999999999999.999999999999999998", "ongoing"),
    ):
        connection.execute("update margin_accounts set buffer_usd = ?", [amount])
        assert check(connection, "liquidatable") == ([("p1", status)], [])


def test_a_source_that_comes_into_use_is_worse(database):
    connection = database(
        {
            "snapshots": [{"complete": True, "block_time": "2026-01-01"}],
            "prices": [
                {
                    "price_id": "ETH", "token": ETH, "source": "fast", "is_used": False,
                    "max_age": 300, "observed_at": "2025-01-01",
                }
            ],
        }
    )  # fmt: skip
    assert check(connection, "stale_price") == ([(None, "new")], [])
    for is_used, status in ((True, "worse"), (True, "ongoing"), (False, "better")):
        connection.execute("update prices set is_used = ?", [is_used])
        assert check(connection, "stale_price") == ([(None, status)], [])
    connection.execute("update prices set observed_at = '2026-01-01'")
    assert check(connection, "stale_price") == ([], [(None, "resolved", "cleared")])
    connection.execute("update prices set observed_at = '2025-01-01'")
    check(connection, "stale_price")
    connection.execute("update snapshots set block_number = 100")
    connection.execute("update prices set block_number = 100, observed_at = '2026-01-01'")
    assert check(connection, "stale_price") == ([], [(None, "resolved", "data_gone")])


BOTH = ("liquidatable", "near_liquidation")


def test_an_account_takes_all_its_near_positions_with_it_and_gives_them_back(database):
    connection = database({})

    def cross(block, state, *distances):
        legs = [Held(f"leg{n}", d, state, -1, A, A) for n, d in enumerate(distances)]
        store(connection, block, legs, protocol="perp_v2")

    cross(100, "safe", 100, 200)
    assert check(connection, *BOTH) == ([(A, "new"), (A, "new")], [])
    cross(200, "liquidatable", 0, 0)
    assert check(connection, *BOTH) == ([(A, "escalated")], [])
    cross(300, "safe", 50, 60)
    assert check(connection, *BOTH) == ([(A, "better"), (A, "better")], [])
    cross(400, "safe", 500, 700)
    assert check(connection, *BOTH) == ([(A, "better")], [(A, "resolved", "moved_away")])


def test_a_finding_that_stands_beside_the_graver_one_is_not_replaced_by_it(database):
    """A vault's collateral rule makes an account liquidatable while its position is only near."""
    connection = database({})

    def cross(block, collateral_state):
        leg = Held("leg", 100, "safe", 1, A, A, collateral_state=collateral_state)
        store(connection, block, [leg], protocol="perp_v2")

    cross(100, "safe")
    assert check(connection, *BOTH) == ([(A, "new")], [])
    cross(200, "liquidatable")
    assert check(connection, *BOTH) == ([(A, "new"), (A, "ongoing")], [])
    cross(300, "safe")
    assert check(connection, *BOTH) == ([(A, "ongoing")], [(A, "resolved", "moved_away")])


def test_a_graver_finding_that_a_liquidation_ended_is_resolved_by_it(database):
    """Liquidated in part, it is near again: no recovery."""
    connection = database({})
    store(connection, 100, [Held("p1", 0, "liquidatable", -3)])
    assert check(connection, *BOTH) == ([("p1", "new")], [])
    store(connection, 200, near(40), [Event(150, "liquidate", "p1", goes_on=True)])
    assert check(connection, *BOTH) == ([("p1", "new")], [("p1", "resolved", "liquidated")])


def test_what_was_near_under_other_params_still_escalates(database):
    connection = database({})
    store(connection, 100, near(800))
    assert check(connection, *BOTH[1:], params={"within_bps": "1000"}) == ([("p1", "new")], [])
    store(connection, 200, [Held("p1", 0, "liquidatable", -3)])
    assert check(connection, *BOTH) == ([("p1", "escalated")], [])


def test_escalation_stays_within_a_deployment(database):
    connection = database({})
    store(connection, 100, near(100))
    check(connection, *BOTH)
    store(connection, 200, near(900))
    store(connection, 200, [Held("p1", 0, "liquidatable", -3)], protocol="gmx_v1")
    assert check(connection, *BOTH) == (
        [("p1", "new")],
        [("p1", "resolved", "moved_away")],
    )


OLD_HISTORY = """
create or replace table finding_history (
    finding_id varchar, query varchar, severity varchar, chain_id bigint, protocol varchar,
    deployment varchar, subject json, first_block bigint, last_block bigint, status varchar
)
"""


def test_a_file_of_an_earlier_release_is_read_and_continued(tmp_path):
    """Its history has neither cause nor measure, and does not say whose margin a position uses."""
    path = tmp_path / "old.duckdb"
    with open_for_writing(path) as connection:
        store(connection, 100, [*near(300, 300, 300), Held("p4", 0, "liquidatable", -2)])
        assert len(check(connection, *BOTH)[0]) == 4
    with duckdb.connect(str(path)) as connection:
        rows = connection.execute(
            "select * exclude (cause, measure) replace (json_object("
            "'chain_id', chain_id, 'protocol', protocol, 'deployment', deployment, 'position_id',"
            " coalesce(subject ->> 'position_id', ''), 'margin_id', subject ->> 'margin_id',"
            " 'account', subject ->> 'account', '$params', json_object()) as subject)"
            " from finding_history"
        ).fetchall()
        connection.execute(OLD_HISTORY)
        for row in rows:
            subject = json.loads(row[6])
            del subject["margin_id" if row[1] == "near_liquidation" else "position_id"]
            values = [*row[:6], json.dumps(subject), *row[7:]]
            connection.execute(
                f"insert into finding_history values ({', '.join('?' * 10)})", values
            )
        connection.execute(
            "insert into finding_history values ('ended', 'near_liquidation', 'high', 31337,"
            " 'perp_v1', 'local', '{}', 1, 2, 'resolved')"
        )
    with open_for_reading(path) as connection:
        assert statuses(one for r in look(connection, *BOTH).results for one in r.findings) == [
            ("p4", "ongoing"), ("p1", "ongoing"), ("p2", "ongoing"), ("p3", "ongoing"),
        ]  # fmt: skip
    with open_for_writing(path) as connection:
        store(connection, 200, [Held("p1", -5, "liquidatable", -1), *near(0, 200)[1:]])
        assert check(connection, *BOTH) == (
            [("p1", "escalated"), ("p2", "ongoing")],
            [("p4", "resolved", "gone"), (None, "resolved", "gone")],
        )
        store(connection, 300, [Held("p1", -5, "liquidatable", -2), *near(0, 100)[1:]])
        assert check(connection, *BOTH) == ([("p1", "worse"), ("p2", "worse")], [])


def test_the_columns_of_the_history_are_the_same_in_a_new_file_and_an_old_one(tmp_path):
    path = tmp_path / "x.duckdb"

    def described():
        with open_for_writing(path) as connection:
            return connection.execute("describe finding_history").fetchall()

    new = described()
    with duckdb.connect(str(path)) as connection:
        connection.execute(OLD_HISTORY)
    assert described() == new
