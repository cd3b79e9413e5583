"""GMX v2 through the command line and the database, whatever the way to its positions."""

import json

import duckdb
import pytest

from tests.protocols.gmx_v2_run import RECORDINGS, document

SNAPSHOT = ("positions", "margin_accounts", "margin_legs", "markets", "tokens")
OPEN = {"2b": 70, "2c": 78}

both_recordings = pytest.mark.parametrize("name", RECORDINGS)


def recording(name):
    return f"recording:{RECORDINGS[name]}"


def rows_of(database, table):
    with duckdb.connect(str(database), read_only=True) as connection:
        return sorted(connection.execute(f"select * from {table}").fetchall(), key=repr)


@both_recordings
@pytest.mark.parametrize("source", ["logs", "state", "both"])
def test_positions_in_the_database_equal_the_answer_key(perpscope, tmp_path, name, source):
    database = tmp_path / "x.duckdb"
    assert perpscope(
        "index", "--rpc-url", recording(name), "--positions", source, "--db", database
    ).code == 0  # fmt: skip
    with duckdb.connect(str(database), read_only=True) as connection:
        found = {
            key: (json.loads(inputs), json.loads(outputs))
            for key, inputs, outputs in connection.execute(
                "select position_id, inputs, outputs from current_positions"
            ).fetchall()
        }
        assert connection.execute("select count(*) from data_quality").fetchall() == [(0,)]
    theirs = document(f"{name}.expected")["positions"]
    assert found.keys() == {position["key"] for position in theirs}
    for position in theirs:
        inputs, outputs = found[position["key"]]
        assert {field: inputs[field] for field in position["position"]} == position["position"]
        assert inputs["prices"] == position["prices"]
        for basis, answered in (("stored", "reader"), ("executable", "executable")):
            verdict = {field: outputs[basis][field] for field in position[answered]}
            assert verdict == position[answered]
        low, high = (int(position["flips_reader"][f"{end}_end"]) for end in ("low", "high"))
        within = [
            flip
            for flip in outputs["flips_stored"]["flips"]
            if low <= int(flip["liquidatable_price"]) <= high
        ]
        assert within == position["flips_reader"]["flips"]


@both_recordings
@pytest.mark.parametrize("source", ["logs", "state"])
def test_verify_and_rebuild_find_the_same(perpscope, tmp_path, name, source):
    database = tmp_path / "x.duckdb"
    perpscope("index", "--rpc-url", recording(name), "--positions", source, "--db", database)
    verified = perpscope(
        "verify", "--rpc-url", recording(name), "--db", database, "--format", "json"
    )
    (tally,) = json.loads(verified.out)
    assert verified.code == 0
    assert (tally["verdicts"], tally["verdict_mismatches"]) == (OPEN[name], 0)
    assert (tally["value_mismatches"], tally["skipped"]) == (0, 0)
    before = {table: rows_of(database, table) for table in (*SNAPSHOT, "prices", "funding")}
    assert perpscope("index", "--rebuild", "--db", database).code == 0
    after = {table: rows_of(database, table) for table in before}
    assert after == before


@both_recordings
def test_the_planted_oracle_faults_are_found_and_no_other(perpscope, tmp_path, name):
    database = tmp_path / "x.duckdb"
    perpscope("index", "--rpc-url", recording(name), "--db", database)
    ran = perpscope("check", "--db", database, "--format", "json")
    assert ran.code == 1
    found = [
        (row["query"], row["priced"], row["source"])
        for row in json.loads(ran.out)
        if row["query"] not in ("liquidatable", "near_liquidation", "bad_debt")
    ]
    assert sorted(found) == [
        ("oracle_deviation", "WNT", "executed"), ("stale_price", "WBTC", "chainlink"),
    ]  # fmt: skip


def test_explain_shows_a_positions_arithmetic(perpscope, tmp_path):
    database = tmp_path / "x.duckdb"
    perpscope("index", "--rpc-url", recording("2b"), "--db", database)
    key = document("2b.expected")["positions"][0]["key"]
    ran = perpscope("explain", key, "--db", database)
    assert ran.code == 0
    assert "remainingCollateralUsd" in ran.out
