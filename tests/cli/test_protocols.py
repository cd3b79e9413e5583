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


WNT = "0xb7f8bc63bbcad18155201308c8f3540b07f84f5e"


def test_a_users_own_price_decides_where_prices_are_not_on_chain(perpscope):
    url = f"recording:{DEMO['gmx_v2']}"
    shown = []
    for prices in ([], ["--price", f"{WNT}=1000"]):
        basis = ("--price-basis", "executed")
        assert perpscope("index", "--rpc-url", url, *basis, *prices).code == 0
        rows = map(json.loads, perpscope("show", "margin").out.splitlines())
        shown.append(sum(row["state"] == "liquidatable" for row in rows))
    assert shown[1] > 2 * shown[0]
    assert "given by the user" in " ".join(perpscope("show", "positions").err.split())


@pytest.mark.parametrize(("name", "price"), [("gmx_v2", "WETH"), ("gmx_v1", "ETH")])
def test_a_price_that_would_change_nothing_is_refused(perpscope, name, price):
    ran = perpscope("index", "--rpc-url", f"recording:{DEMO[name]}", "--price", f"{price}=3000")
    assert ran.code == 2
    assert f"--price {price} is the price of no token" in ran.err or "no effect" in ran.err


def test_an_earlier_snapshot_is_verified_at_its_own_block(perpscope):
    url = f"recording:{DEMO['perp_v2']}"
    for block in ("1802", "1051"):
        assert perpscope("index", "--rpc-url", url, "--block", block).code == 0
    ran = perpscope("verify", "--rpc-url", url, "--block", "1065", "--format", "json")
    assert ran.code == 0, ran.err
    (one,) = json.loads(ran.out)
    assert (one["block_number"], one["verdict_mismatches"]) == (1051, 0)
