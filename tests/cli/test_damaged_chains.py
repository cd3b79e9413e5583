"""A recorded chain with damaged logs, from the file to the exit code of ``check``."""

import gzip
import json

import duckdb
import pytest

from analyzer.indexer.deployments import deployment_of
from analyzer.protocols import protocols
from tests.conftest import FIXTURES

DAMAGED = {
    "gmx_v1": "IncreasePosition",
    "gmx_v2": "OraclePriceUpdate",
    "perp_v1": "PositionChanged",
    "perp_v2": "PositionChanged",
}
"""A kind of log of each protocol, by its event."""


def topic_of(name, document):
    deployment = deployment_of(document["deployments"][0], name, for_people=True)
    events = {event.name: event.topic for event in protocols()[name].events(deployment)}
    return events[DAMAGED[name]]


def rows(path, sql):
    with duckdb.connect(str(path), read_only=True) as connection:
        return connection.execute(sql).fetchall()


STATES = "select deployment, margin_id, state, equity_usd from current_margin_accounts order by all"


@pytest.fixture
def damaged(write_recording):
    """A demo chain of which the last log of a kind lost a byte."""

    def make(name):
        document = json.loads(gzip.decompress((FIXTURES / "demo" / f"{name}.json.gz").read_bytes()))
        topic = topic_of(name, document)
        log = [log for log in document["logs"] if topic in log["topics"][:2]][-1]
        log["data"] = log["data"][:-2]
        return f"recording:{write_recording(document, f'{name}.json.gz')}"

    return make


@pytest.mark.parametrize("name", DAMAGED)
def test_one_damaged_log_silences_nobody(perpscope, damaged, name):
    whole = FIXTURES / "demo" / f"{name}.json.gz"
    assert perpscope("index", "--rpc-url", f"recording:{whole}", "--db", "whole.duckdb").code == 0
    ran = perpscope("index", "--rpc-url", damaged(name), "--db", "t.duckdb")
    assert ran.code == 0, ran.err
    truth, found = dict_of(rows("whole.duckdb", STATES)), dict_of(rows("t.duckdb", STATES))
    assert len(found) >= 0.9 * len(truth)
    for account, (state, equity) in found.items():
        assert state == "unknown" or (state, equity) == truth[account], account
    assert sum(state == "unknown" for state, _ in found.values()) <= 1
    assert perpscope("check", "liquidatable", "--db", "t.duckdb").code == 1


def test_a_history_without_its_openings_is_incomplete_and_says_so(
    perpscope, write_recording, gmx_v1_recording
):
    """Nothing stands for the positions but the Vault's own totals."""
    document = dict(gmx_v1_recording)
    opened = topic_of("gmx_v1", document)
    document["logs"] = [log for log in document["logs"] if log["topics"][0] != opened]
    recording = f"recording:{write_recording(document)}"
    ran = perpscope("index", "--rpc-url", recording, "--db", "t.duckdb")
    assert ran.code == 0
    assert ran.err.count("INCOMPLETE, see `perpscope check unbalanced unknown_state") == 2
    ran = perpscope("check", "--db", "t.duckdb", "--format", "json")
    assert ran.code == 1
    found = {(row["query"], row["severity"]) for row in json.loads(ran.out)}
    assert {("unbalanced", "high"), ("stale_data", "high")} <= found
    assert "of the open interest are certain" in ran.err
    why = {row["why"] for row in json.loads(ran.out) if row["query"] == "unbalanced"}
    assert why == {"positions are missing"}
    ran = perpscope("show", "accounts", "--complete", "--db", "t.duckdb")
    assert ran.code == 2
    assert "there is no complete snapshot of these deployments" in ran.err
    assert perpscope("doctor", "--completeness", "--db", "t.duckdb").code == 2


def dict_of(found):
    return {(deployment, account): tuple(rest) for deployment, account, *rest in found}


def test_doctor_calls_a_snapshot_without_any_total_unproven(perpscope, write_recording):
    """Without a log of a market Perp v2 has no total at all, which is no balance."""
    path = FIXTURES / "demo" / "perp_v2.json.gz"
    document = json.loads(gzip.decompress(path.read_bytes()))
    document["logs"] = []
    recording = f"recording:{write_recording(document)}"
    ran = perpscope("index", "--rpc-url", recording, "--db", "t.duckdb")
    assert "INCOMPLETE" in ran.err
    ran = perpscope("doctor", "--completeness", "--db", "t.duckdb")
    assert ran.code == 2
    assert "FAIL  perp_v2 local books: nothing vouches for its snapshot" in ran.out
