"""Two chains of one id are two chains: the second is refused, or the first is dropped."""

import gzip
import json

import duckdb
import pytest

from tests.conftest import FIXTURES

DEMO = sorted((FIXTURES / "demo").glob("*.json.gz"))
SAME = 31337


@pytest.fixture
def recording_of(write_recording):
    """A demo chain under an id that others have as well."""

    def make(name: str, **changes):
        document = json.loads(gzip.decompress((FIXTURES / "demo" / f"{name}.json.gz").read_bytes()))
        document["chain_id"] = SAME
        for table in document["deployments"]:
            table.update({"chain_id": SAME} | changes)
        return f"recording:{write_recording(document, f'{name}.json.gz')}"

    return make


def stored(path, sql):
    with duckdb.connect(str(path), read_only=True) as connection:
        return connection.execute(sql).fetchall()


def test_another_chain_of_the_same_id_is_refused_until_the_first_is_dropped(
    perpscope, recording_of
):
    perp_v1, gmx_v1 = recording_of("perp_v1"), recording_of("gmx_v1")
    assert perpscope("index", "--rpc-url", perp_v1, "--db", "t.duckdb").code == 0
    before = stored("t.duckdb", "select count(*) from raw_logs")
    refused = perpscope("index", "--rpc-url", gmx_v1, "--db", "t.duckdb")
    assert refused.code == 2
    for part in (
        "recording gmx_v1.json.gz is not the chain 31337 that the database holds",
        "with perp_v1 local",
        "name another file with --db",
        "`perpscope prune --chain 31337`",
    ):
        assert part in refused.err
    assert stored("t.duckdb", "select count(*) from raw_logs") == before
    assert stored("t.duckdb", "select distinct deployment from raw_deployments") == [("local",)]

    dropped = perpscope("prune", "--chain", SAME, "--db", "t.duckdb")
    assert dropped.code == 0
    assert "of chain 31337 from t.duckdb" in dropped.err
    for table, *_ in stored("t.duckdb", "select table_name from duckdb_tables()"):
        if table != "meta":
            assert stored("t.duckdb", f"select count(*) from {table}") == [(0,)], table
    again = perpscope("prune", "--chain", SAME, "--db", "t.duckdb")
    assert (again.code, again.err) == (2, "error: t.duckdb holds nothing of chain 31337\n")
    assert perpscope("index", "--rpc-url", gmx_v1, "--db", "t.duckdb").code == 0


def test_dropping_one_chain_leaves_the_other(perpscope, recording_of):
    own, other = recording_of("perp_v1"), f"recording:{FIXTURES / 'demo' / 'perp_v2.json.gz'}"
    perpscope("index", "--rpc-url", other, "--db", "alone.duckdb")
    perpscope("index", "--rpc-url", own, "--db", "t.duckdb")
    perpscope("index", "--rpc-url", other, "--db", "t.duckdb")
    perpscope("prune", "--chain", SAME, "--db", "t.duckdb")
    assert perpscope("index", "--rebuild", "--db", "t.duckdb").code == 0
    for table in ("positions", "margin_accounts", "raw_logs", "totals", "raw_reads"):
        count = f"select count(*) from {table}"
        assert stored("t.duckdb", count) == stored("alone.duckdb", count), table


def test_doctor_finds_two_chains_under_one_id(perpscope, recording_of):
    perpscope("index", "--rpc-url", recording_of("perp_v1"), "--db", "t.duckdb")
    with duckdb.connect("t.duckdb") as connection:
        connection.execute(
            "insert into raw_blocks select chain_id, 'gmx_v1', 'forged', filter, number,"
            " '0x' || repeat('9', 64), parent_hash, time from raw_blocks limit 1"
        )
    ran = perpscope("doctor", "--completeness", "--db", "t.duckdb")
    assert ran.code == 2
    assert "FAIL  chain 31337: two chains are stored under this id" in ran.out
    assert "gmx_v1 forged, perp_v1 local" in ran.out


def test_the_demos_chains_join_by_their_ids(perpscope):
    """Every event's row has its own transaction, and every token its own name."""
    for path in DEMO:
        perpscope("index", "--rpc-url", f"recording:{path}", "--db", "t.duckdb")
    events = stored(
        "t.duckdb",
        "select table_name from duckdb_tables() where starts_with(table_name, 'event_')",
    )
    assert len(events) > 20
    for (table,) in events:
        joined = f"{table} inner join raw_logs using (chain_id, block_number, log_index)"
        ((rows, found),) = stored(
            "t.duckdb", f"select (select count(*) from {table}), (select count(*) from {joined})"
        )
        assert rows == found, table
    assert stored(
        "t.duckdb",
        "select count(*) from (select chain_id, block_number from raw_logs"
        " group by all having count(distinct block_hash) > 1)",
    ) == [(0,)]
    assert stored("t.duckdb", "select count(distinct chain_id) from snapshots") == [(4,)]
