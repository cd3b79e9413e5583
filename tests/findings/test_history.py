"""Ids that last, and what is new, ongoing or resolved."""

from dataclasses import replace
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.findings import Filters, at_least, load, run
from analyzer.findings.history import compare, record
from analyzer.findings.identity import finding_id
from tests.conftest import NOW

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


def statuses(results):
    return [finding.status for result in results for finding in result.findings]


def test_a_finding_is_new_then_ongoing_then_resolved_then_new_again(database):
    connection = database(both(200, A))
    query = load()["liquidatable"]

    def check():
        results, resolved = compare(connection, [run(connection, query)])
        record(connection, [*(f for result in results for f in result.findings), *resolved])
        return statuses(results), [
            (finding.subject["account"], finding.status) for finding in resolved
        ]

    def history():
        return connection.execute(
            "select query, severity, first_block, last_block, status, subject ->> 'account'"
            " from finding_history order by subject ->> 'account'"
        ).fetchall()

    assert check() == (["new"], [])
    assert history() == [("liquidatable", "critical", 200, 200, "new", A)]
    for table in ("snapshots", "margin_accounts"):
        later = f"select * replace (300 as block_number) from {table}"
        connection.execute(f"insert into {table} {later}")
    assert check() == (["ongoing"], [])
    assert history() == [("liquidatable", "critical", 200, 300, "ongoing", A)]
    connection.execute("update margin_accounts set state = 'safe' where block_number = 300")
    assert check() == ([], [(A, "resolved")])
    assert history() == [("liquidatable", "critical", 200, 300, "resolved", A)]
    assert check() == ([], [])
    connection.execute("update margin_accounts set state = 'liquidatable'")
    assert check() == (["new"], [])
    assert history() == [("liquidatable", "critical", 300, 300, "new", A)]


def test_a_narrowed_run_resolves_nothing_outside_its_scope(database):
    connection = database(both(200, A, B))
    query = load()["liquidatable"]
    results, _ = compare(connection, [run(connection, query)])
    record(connection, results[0].findings)
    connection.execute("update margin_accounts set state = 'safe'")
    only = Filters(account=(A,))
    _, resolved = compare(connection, [run(connection, query, filters=only)], only)
    assert [finding.subject["account"] for finding in resolved] == [A]
    elsewhere = Filters(chain_id=(1,))
    assert compare(connection, [run(connection, query, filters=elsewhere)], elsewhere)[1] == ()
    assert len(compare(connection, [run(connection, query)])[1]) == 2


def test_a_query_that_did_not_run_resolves_nothing(database):
    connection = database(both(200, A))
    results, _ = compare(connection, [run(connection, load()["liquidatable"])])
    record(connection, results[0].findings)
    connection.execute("delete from margin_accounts")
    assert compare(connection, [run(connection, load()["data_quality"])])[1] == ()
    assert compare(connection, [])[1] == ()


def test_comparing_writes_nothing(database):
    connection = database(both(200, A))
    compare(connection, [run(connection, load()["liquidatable"])])
    assert connection.execute("select count(*) from finding_history").fetchone() == (0,)


def test_recording_nothing_and_a_finding_without_a_block_works(database):
    connection = database({"deployments": [{}]})
    record(connection, [])
    results, _ = compare(connection, [run(connection, load()["stale_data"], now=NOW)])
    record(connection, results[0].findings)
    found = connection.execute("select first_block, last_block, status from finding_history")
    assert found.fetchall() == [(None, None, "new")]


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


def test_a_run_with_other_params_resolves_nothing(database):
    given = both(200, A)
    given["margin_accounts"][0]["state"] = "safe"
    given["positions"] = [
        {"position_id": "p1", "margin_id": A, "account": A, "distance_bps": 300, "side": "long"}
    ]
    connection = database(given)
    query = load()["near_liquidation"]

    def check(**params):
        results, resolved = compare(connection, [run(connection, query, params)])
        record(connection, [*results[0].findings, *resolved])
        return statuses(results), [finding.status for finding in resolved]

    assert check() == (["new"], [])
    assert check(within_bps="100") == ([], [])
    assert check(within_bps="400") == (["ongoing"], [])
    assert check() == (["ongoing"], [])
    assert check(within_bps="500") == (["ongoing"], [])
    connection.execute("update positions set distance_bps = 501")
    assert check(within_bps="499") == ([], [])
    assert check() == ([], ["resolved"])


def test_a_limited_run_does_not_resolve_what_it_cut_off(database):
    connection = database(both(200, A, B))
    query = load()["liquidatable"]
    results, _ = compare(connection, [run(connection, query)])
    record(connection, results[0].findings)
    limited = run(connection, query, limit=1)
    assert limited.is_cut
    assert compare(connection, [limited])[1] == ()
