"""Every protocol goes the whole way, from chain to findings, and agrees with its contracts."""

import json

import pytest

from analyzer.protocols import protocols
from tests.conftest import FIXTURES
from tests.databases import contents

DEMO = {path.name.removesuffix(".json.gz"): path for path in (FIXTURES / "demo").glob("*.json.gz")}
REPORTS = ("positions", "margin", "prices", "funding", "markets", "accounts")


def test_the_demo_holds_a_recorded_chain_of_every_protocol():
    assert set(DEMO) == set(protocols())


@pytest.mark.parametrize("name", sorted(DEMO))
def test_a_recorded_chain_goes_the_whole_way(perpscope, tmp_path, name):
    url = f"recording:{DEMO[name]}"
    assert perpscope("index", "--rpc-url", url, "--db", "t.duckdb").code == 0
    verified = perpscope("verify", "--rpc-url", url, "--db", "t.duckdb", "--format", "json")
    assert verified.code == 0, verified.err
    for one in json.loads(verified.out):
        assert one["verdicts"] > 50
        assert one["verdict_mismatches"] == one["value_mismatches"] == one["skipped"] == 0
    before = contents(tmp_path / "t.duckdb")
    assert perpscope("index", "--rebuild", "--db", "t.duckdb").code == 0
    assert contents(tmp_path / "t.duckdb") == before
    for report in REPORTS:
        shown = perpscope("show", report, "--db", "t.duckdb", "--format", "table")
        assert shown.code == 0, shown.err
        assert max(map(len, shown.out.splitlines())) <= 100
    assert perpscope("check", "--db", "t.duckdb").code == 1


def test_an_earlier_snapshot_is_verified_at_its_own_block(perpscope):
    url = f"recording:{DEMO['perp_v2']}"
    for block in ("1802", "1051"):
        assert perpscope("index", "--rpc-url", url, "--block", block).code == 0
    ran = perpscope("verify", "--rpc-url", url, "--block", "1065", "--format", "json")
    assert ran.code == 0, ran.err
    (one,) = json.loads(ran.out)
    assert (one["block_number"], one["verdict_mismatches"]) == (1051, 0)
