"""GMX v2 through the command line and the database, whatever the way to its positions."""

import json

import duckdb
import pytest

from analyzer.chain import Settings, open_chain
from analyzer.chain.recording import RecordedChain
from analyzer.indexer.history import follow_logs
from analyzer.indexer.parting import Logs
from analyzer.indexer.plan import Plan, Silent
from analyzer.payloads import NO_KEY
from analyzer.protocols.gmx_v2 import PROTOCOL
from analyzer.store import checkpoints
from analyzer.store.database import open_for_writing
from analyzer.store.digest import digest
from tests.chain.conftest import PATIENCE
from tests.chain.manners import Manners
from tests.chain.server import RecordingServer
from tests.protocols.gmx_v2_run import RECORDINGS, document, run_of

SNAPSHOT = ("snapshots", "positions", "margin_accounts", "margin_legs", "markets", "tokens")
OPEN = {"2b": 70, "2c": 78}

both_recordings = pytest.mark.parametrize("name", RECORDINGS)


def recording(name):
    return f"recording:{RECORDINGS[name]}"


def rows_of(database, table):
    return sorted(rows_of_query(database, f"select * from {table}"), key=repr)


def rows_of_query(database, sql):
    with duckdb.connect(str(database), read_only=True) as connection:
        return connection.execute(sql).fetchall()


def block_time(database):
    """The time of the newest snapshot: what a run takes for now, whatever the day."""
    ((time,),) = rows_of_query(database, "select max(block_time)::varchar from snapshots")
    return time


@both_recordings
@pytest.mark.parametrize("source", ["logs", "state", "both"])
def test_positions_in_the_database_equal_the_answer_key(perpscope, tmp_path, name, source):
    database = tmp_path / "x.duckdb"
    assert perpscope(
        "index", "--rpc-url", recording(name), "--positions", source, "--db", database,
        "--price-basis", "executed",
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
@pytest.mark.parametrize(
    ("source", "basis"), [("logs", "freshest"), ("state", "executed"), ("state", "freshest")]
)
def test_verify_and_rebuild_find_the_same(perpscope, tmp_path, name, source, basis):
    database = tmp_path / "x.duckdb"
    perpscope(
        "index", "--rpc-url", recording(name), "--positions", source, "--db", database,
        "--price-basis", basis,
    )  # fmt: skip
    verified = perpscope(
        "verify", "--rpc-url", recording(name), "--db", database, "--format", "json"
    )
    (tally,) = json.loads(verified.out)
    assert verified.code == 0
    assert (tally["verdicts"], tally["verdict_mismatches"]) == (3 * OPEN[name], 0)
    assert (tally["flips"], tally["flip_mismatches"]) == (OPEN[name], 0)
    assert (tally["value_mismatches"], tally["skipped"]) == (0, 0)
    assert tally["not_compared"] == 2 * OPEN[name]
    before = {table: rows_of(database, table) for table in (*SNAPSHOT, "prices", "funding")}
    assert perpscope("index", "--rebuild", "--db", database).code == 0
    after = {table: rows_of(database, table) for table in before}
    assert after == before


@both_recordings
def test_the_planted_oracle_faults_are_found_and_no_other(perpscope, tmp_path, name):
    """All executed prices are 100 minutes old: verdicts rest on feeds, but for WBTC's stale one."""
    database = tmp_path / "x.duckdb"
    perpscope("index", "--rpc-url", recording(name), "--db", database)
    now = f"now={block_time(database)}"
    ran = perpscope("check", "--db", database, "--format", "json", "--param", now)
    assert ran.code == 1
    found = {
        (row["query"], row["priced"], row["source"], row.get("is_used"))
        for row in json.loads(ran.out)
        if row["query"] not in ("liquidatable", "near_liquidation", "bad_debt", "price_dependent")
        and (row.get("is_used", True) or row["source"] == "oracle" or "deviation" in row["query"])
    }
    assert found == {
        ("oracle_deviation", "WNT", "executed", False),
        ("stale_price", "WBTC", "executed", True),
        ("stale_price", "WBTC", "oracle", False),
    }


def test_explain_shows_a_positions_arithmetic(perpscope, tmp_path):
    database = tmp_path / "x.duckdb"
    perpscope("index", "--rpc-url", recording("2b"), "--db", database)
    key = document("2b.expected")["positions"][0]["key"]
    ran = perpscope("explain", key, "--db", database)
    assert ran.code == 0
    assert "remainingCollateralUsd" in ran.out


def followed(chain, run, path):
    """A chain's logs and events as rows: what does not depend on the ranges they were read in.

    Every finished range must have the digest of what is stored of it.
    """
    plan = Plan(deployments=[run.deployment])
    with open_for_writing(path) as connection:
        follow_logs(chain, connection, run.deployment, plan, "logs", run.block, Silent())
        filters = PROTOCOL.log_filters(run.deployment)
        ((stream, first, last),) = checkpoints.streams(connection, run.deployment, filters)
        logs = Logs(connection, stream)
        for one in checkpoints.finished(connection, stream):
            stored = logs.of(one.from_block, one.to_block)
            assert (len(stored), digest(stored)) == (one.logs, one.digest)
        assert {row.tobytes() for row in logs.of(first, last).payloads.keys} - {NO_KEY}
        agreed = logs.digest(first, last)
    tables = ("raw_logs", "raw_templates", "event_gmx_v2_position_increase", "position_events")
    rows = {table: rows_of(path, table) for table in tables}
    assert all(rows.values())
    return agreed, rows


@pytest.mark.parametrize("window", [10, 50, 5_000])
@both_recordings
def test_a_node_gives_the_rows_of_the_file_whatever_its_ranges(tmp_path, name, window):
    """What comes after the first range is held by the templates of what came before."""
    run = run_of(name)
    expected = followed(run.chain, run, tmp_path / "file.duckdb")
    manners = Manners(max_range=window, range_wording="infura", block_timestamps=False)
    settings = Settings(timeout=PATIENCE, sleep=lambda _: None)
    with RecordingServer(RECORDINGS[name], manners) as server:
        chain = open_chain([server.url], settings=settings)
        found = followed(chain, run, tmp_path / "node.duckdb")
        chain.close()
    assert found == expected


def test_a_chain_is_given_the_templates_of_what_was_decoded(tmp_path):
    given = []

    class Asked(RecordedChain):
        def logs(self, *asked):
            given.append(asked[3])
            return super().logs(*asked)

    run = run_of("2b")
    _, rows = followed(Asked(RECORDINGS["2b"]), run, tmp_path / "x.duckdb")
    (templates,) = given
    learned = {one.key for alike in templates.by_length.values() for one in alike}
    assert learned == {key for key, *_ in rows["raw_templates"]}
