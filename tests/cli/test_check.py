"""Findings, reports, explanations and exports, as a user runs them."""

import csv
import json
from decimal import Decimal

import duckdb
import pytest

from tests.conftest import GMX_V1_RECORDING

RECORDED = f"recording:{GMX_V1_RECORDING}"


@pytest.fixture
def indexed(perpscope):
    """The command line with a database of the recorded chain."""
    assert perpscope("index", "--rpc-url", RECORDED).code == 0
    return perpscope


def findings(ran):
    return [json.loads(line) for line in ran.out.splitlines()]


def test_findings_exit_1_and_are_json_lines_in_a_pipe(indexed):
    ran = indexed("check")
    assert ran.code == 1
    found = findings(ran)
    assert {"id", "query", "severity", "title", "status", "block_number"} <= found[0].keys()
    assert {one["query"] for one in found} >= {"liquidatable", "near_liquidation", "stale_data"}
    assert "block 3,131 of chain 3133701" in ran.err


def test_nothing_at_or_above_the_severity_exits_0(indexed):
    assert indexed("check", "near_liquidation", "--fail-on", "critical").code == 0
    assert indexed("check", "near_liquidation", "--fail-on", "high").code == 1
    assert indexed("check", "near_liquidation", "--exit-zero").code == 0
    quiet = indexed("check", "near_liquidation", "--param", "within_bps=0")
    assert (quiet.code, quiet.out) == (0, "")


def test_information_is_listed_and_fails_nothing(indexed):
    ran = indexed("check", "stale_price")
    assert {one["severity"] for one in findings(ran)} == {"info"}
    assert (ran.code, len(findings(ran))) == (0, 10)
    assert ran.err.splitlines()[-1] == "10 findings: 10 info; 10 new"
    assert indexed("check", "stale_price", "--fail-on", "info").code == 1
    assert indexed("-q", "check", "stale_price").err == ""
    (one, *_) = findings(ran)
    assert "Stale prices (info):" in indexed("explain", one["id"]).out


def test_a_finding_is_new_once_then_ongoing_then_resolved(indexed, tmp_path):
    first, second = indexed("check", "liquidatable"), indexed("check", "liquidatable")
    assert {one["status"] for one in findings(first)} == {"new"}
    assert {one["status"] for one in findings(second)} == {"ongoing"}
    assert [one["id"] for one in findings(first)] == [one["id"] for one in findings(second)]
    with duckdb.connect(str(tmp_path / "perpscope.duckdb")) as connection:
        connection.execute("update margin_accounts set state = 'safe'")
    third = indexed("check", "liquidatable")
    assert third.code == 0
    assert {one["status"] for one in findings(third)} == {"resolved"}
    assert indexed("check", "liquidatable").out == ""


def test_the_history_of_findings_survives_a_rebuild(indexed):
    indexed("check", "liquidatable")
    indexed("index", "--rebuild")
    assert {one["status"] for one in findings(indexed("check", "liquidatable"))} == {"ongoing"}


def test_old_data_is_itself_a_finding(indexed):
    old = findings(indexed("check", "stale_data"))
    assert {one["deployment"] for one in old} == {"local-a", "local-c"}
    centuries = 500 * 365 * 86_400
    assert indexed("check", "stale_data", "--max-age", centuries).code == 0
    asked = findings(indexed("check", "liquidatable", "--max-age", 1))
    assert "stale_data" in {one["query"] for one in asked}


def test_a_finding_can_be_ignored_until_a_day(indexed, tmp_path):
    found = findings(indexed("check", "liquidatable"))
    assert (
        len(findings(indexed("check", "liquidatable", "--ignore", found[0]["id"])))
        == len(found) - 1
    )
    config = tmp_path / "perpscope.toml"
    for until, hidden in (("2000-01-01", 0), ("2999-01-01", 1)):
        config.write_text(
            f'[[ignore]]\nid = "{found[0]["id"]}"\nreason = "known"\nuntil = "{until}"\n'
        )
        ran = indexed("check", "liquidatable")
        assert len(findings(ran)) == len(found) - hidden
        assert ("1 ignored" in ran.err) == bool(hidden)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["check", "liquidatible"], "did you mean `liquidatable`?"),
        (["show", "position"], "did you mean `positions`?"),
        (["check", "--param", "within=3"], "did you mean `within_bps`?"),
        (["check", "--param", "within_bps"], "write it as name=value"),
        (["check", "--param", "within_bps=few"], "within_bps takes a value of type int"),
        (["check", "--block", "17"], "no snapshot at or below block 17"),
        (["explain", "0123456789abcdef"], "nothing in perpscope.duckdb has the id"),
        (["check", "--queries", "nowhere"], "is not a folder of query files"),
        (["check", "-o", "nowhere/x.json"], "cannot be written"),
    ],
)
def test_what_cannot_be_meant_is_refused(indexed, arguments, complaint):
    ran = indexed(*arguments)
    assert (ran.code, ran.out) == (2, "")
    assert complaint in ran.err


def test_filters_narrow_findings_and_reports(indexed):
    rows = findings(indexed("show", "positions"))
    account = rows[0]["account"]
    mine = findings(indexed("show", "positions", "--account", account))
    assert {row["account"] for row in mine} == {account}
    assert len(mine) == sum(row["account"] == account for row in rows)
    assert {
        row["deployment"] for row in findings(indexed("show", "prices", "--deployment", "local-a"))
    } == {"local-a"}
    assert indexed("show", "positions", "--protocol", "gmx_v2").out == ""


def test_every_amount_is_exact_in_machine_formats(indexed, tmp_path):
    with duckdb.connect(str(tmp_path / "perpscope.duckdb"), read_only=True) as connection:
        expected = {
            (deployment, position): size
            for deployment, position, size in connection.execute(
                "select deployment, position_id, size_usd from positions"
            ).fetchall()
        }
    indexed("show", "positions", "-o", "p.csv")
    indexed("show", "positions", "-o", "p.json")
    indexed("show", "positions", "-o", "p.parquet")
    with (tmp_path / "p.csv").open() as file:
        from_csv = {
            (row["deployment"], row["position_id"]): Decimal(row["size_usd"])
            for row in csv.DictReader(file)
        }
    rows = duckdb.sql(f"select deployment, position_id, size_usd from '{tmp_path}/p.parquet'")
    from_parquet = {(deployment, position): size for deployment, position, size in rows.fetchall()}
    assert from_csv == from_parquet == expected
    document = json.loads((tmp_path / "p.json").read_text(), parse_float=str, parse_int=str)
    assert len(document if isinstance(document, list) else document["rows"]) == len(expected)


def test_a_users_own_query_is_a_finding_like_any_other(indexed, tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "whales.sql").write_text(
        """/* ---
title    = "Large positions"
severity = "info"
summary  = "Positions above a size."
advice   = "Look at them."
grain    = "one row per position"
identity = ["chain_id", "protocol", "deployment", "position_id"]

[params]
above_usd = { type = "decimal", default = "500000", help = "Size in USD." }

[columns]
chain_id = "Chain."
protocol = "Protocol."
deployment = "Deployment."
block_number = "Block."
position_id = "Position."
size_usd = "Size in USD."
--- */
select chain_id, protocol, deployment, block_number, position_id, size_usd
from current_positions
where size_usd > $above_usd
order by size_usd desc, chain_id, protocol, deployment, position_id
"""
    )
    ran = indexed("check", "whales", "--queries", folder, "--fail-on", "info")
    assert ran.code == 1
    assert all(float(one["size_usd"]) > 500_000 for one in findings(ran))


def test_a_users_query_cannot_write_or_reach_outside(indexed, tmp_path):
    folder = tmp_path / "evil"
    folder.mkdir()
    template = (
        '/* ---\ntitle = "t"\nsummary = "s"\nadvice = "a"\ngrain = "g"\nidentity = ["a"]\n'
        '[columns]\na = "x"\n--- */\n{sql}\n'
    )
    for sql in (
        f"copy (select 1 as a) to '{tmp_path}/leak.csv'",
        "delete from positions",
        f"select content as a from read_text('{GMX_V1_RECORDING}') order by a",
        "select 1 as a order by a; drop table positions",
    ):
        (folder / "evil.sql").write_text(template.format(sql=sql))
        ran = indexed("show", "evil", "--queries", folder)
        assert (ran.code, ran.out) == (2, ""), sql
    assert not (tmp_path / "leak.csv").exists()


def test_explain_shows_the_arithmetic_in_the_contracts_integers(indexed, tmp_path):
    (one, *_) = findings(indexed("check", "near_liquidation"))
    ran = indexed("explain", one["id"])
    assert ran.code == 0
    with duckdb.connect(str(tmp_path / "perpscope.duckdb"), read_only=True) as connection:
        (integers,) = connection.execute(
            "select inputs from positions where position_id = ?", [one["position_id"]]
        ).fetchall()
    for name in ("size", "collateral", "averagePrice", "entryFundingRate"):
        assert json.loads(integers[0])[name] in ran.out
    assert all(len(line) <= 100 or "0x" in line for line in ran.out.splitlines())
    again = indexed("explain", one["position_id"], "-f", "json")
    assert json.loads(again.out)[0]["lines"]


def test_explain_of_a_query_says_what_it_tells(indexed):
    assert "--param within_bps" in indexed("explain", "near_liquidation").out


def test_export_writes_every_query_in_every_format(indexed, tmp_path):
    ran = indexed("export", "-o", "out")
    assert ran.code == 0
    names = {path.name for path in (tmp_path / "out").iterdir()}
    queries = {line.split()[0] for line in indexed("show").out.splitlines()}
    assert names == {f"{query}.{kind}" for query in queries for kind in ("json", "csv", "parquet")}


def test_an_earlier_snapshot_can_be_asked(indexed, tmp_path):
    ran = indexed("show", "positions", "--block", "4000")
    assert len(findings(ran)) == 322


def test_doctor_finds_everything_in_place(indexed):
    ran = indexed("doctor", "--rpc-url", RECORDED)
    assert ran.code == 0, ran.out
    assert all(line.startswith("ok") for line in ran.out.splitlines())
    assert "gmx_v1 local-c: release C" in ran.out


def test_doctor_says_what_fails(perpscope, tmp_path):
    ran = perpscope("doctor", "--rpc-url", "recording:nowhere.json.gz")
    assert ran.code == 2
    assert "FAIL  node: there is no recorded chain" in ran.out


def test_the_demo_ends_with_findings_and_their_exports(perpscope, tmp_path):
    ran = perpscope("demo")
    assert ran.code == 0, ran.err
    assert "CRITICAL" in ran.out
    assert "differ" in ran.out
    for kind in ("json", "csv", "parquet"):
        assert (tmp_path / "perpscope-demo" / "exports" / f"liquidatable.{kind}").exists()
    assert all(len(line) <= 100 or "perpscope-demo" in line for line in ran.out.splitlines())


def test_what_was_not_read_is_not_called_clean(perpscope):
    read = "0x02484cb50aac86eae85610d6f4bf026f30f6627d"
    liquidatable = "0xbcd4042de499d14e55001ccbb24a551f3b954096"
    assert perpscope("index", "--rpc-url", RECORDED, "--account", read).code == 0
    for scope in (["--account", liquidatable], ["--deployment", "nope"], ["--chain", "1"]):
        ran = perpscope("check", "liquidatable", *scope)
        assert (ran.code, ran.out) == (2, "")
        assert "perpscope index" in ran.err
