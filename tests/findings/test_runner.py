"""Running: typed params, filters, order, limits, and refusals in one sentence."""

import random
import subprocess
import sys
from datetime import UTC, datetime
from decimal import Decimal

import duckdb
import pytest

from analyzer.errors import AnalyzerError
from analyzer.findings import Filters, gravest_first, load, run
from analyzer.findings.front_matter import parse
from analyzer.findings.runner import resolve

HEAD = """/* ---
title    = "Anything"
summary  = "Anything."
advice   = "None."
grain    = "one row per thing"
identity = ["account"]
{params}
[columns]
{columns}
--- */
"""


def utc(*parts):
    """A time as the database has it: UTC without a zone."""
    return datetime(*parts, tzinfo=UTC).replace(tzinfo=None)


def report(sql, columns, params=""):
    described = "\n".join(f'{name} = "x"' for name in columns)
    return parse("own", "own.sql", HEAD.format(columns=described, params=params) + sql)


def test_filters_keep_the_order_of_the_query(database):
    connection = database({})
    numbers = list(range(100_000))
    random.Random(7).shuffle(numbers)
    connection.execute("create table things (account varchar, place bigint)")
    connection.execute(
        "insert into things select 'a' || (place % 3), place from (select unnest($n) as place)",
        {"n": numbers},
    )
    query = report("select account, place from things order by place desc", ["account", "place"])
    whole = run(connection, query).rows
    assert [place for _, place in whole] == sorted(numbers, reverse=True)
    narrowed = run(connection, query, filters=Filters(account=("a0", "a2"))).rows
    assert narrowed == tuple(row for row in whole if row[0] in {"a0", "a2"})
    first = run(connection, query, filters=Filters(account=("a1",)), limit=10)
    assert first.rows == tuple(row for row in whole if row[0] == "a1")[:10]
    assert first.is_cut


def test_every_filter_narrows(database):
    margin = {"account": "0xa", "kind": "cross", "state": "liquidatable", "state_stored": "safe"}
    places = [
        {"chain_id": 1, "protocol": "p", "deployment": "d", "account": "0xa"},
        {"chain_id": 2, "protocol": "p", "deployment": "d", "account": "0xa"},
        {"chain_id": 1, "protocol": "q", "deployment": "d", "account": "0xa"},
        {"chain_id": 1, "protocol": "p", "deployment": "e", "account": "0xa"},
        {"chain_id": 1, "protocol": "p", "deployment": "d", "account": "0xb"},
    ]
    snapshots = [{k: v for k, v in place.items() if k != "account"} for place in places[:4]]
    connection = database(
        {
            "snapshots": [snapshot | {"complete": True} for snapshot in snapshots],
            "margin_accounts": [
                margin | place | {"margin_id": place["account"]} for place in places
            ],
        }
    )
    query = load()["liquidatable"]
    assert len(run(connection, query).rows) == 5
    only = Filters(account=("0xa",), protocol=("p",), deployment=("d",), chain_id=(1,))
    assert [row[:3] for row in run(connection, query, filters=only).rows] == [(1, "p", "d")]
    for part in (
        Filters(account=("0xa",)),
        Filters(protocol=("p",)),
        Filters(deployment=("d",)),
        Filters(chain_id=(1,)),
    ):
        assert len(run(connection, query, filters=part).rows) == 4
    assert run(connection, query, filters=Filters(account=("0xa' or 1 = 1",))).rows == ()


def test_a_report_without_the_column_cannot_be_narrowed_by_it(database):
    with pytest.raises(AnalyzerError, match="accounts cannot be narrowed by protocol"):
        run(database({}), load()["accounts"], filters=Filters(protocol=("gmx_v1",)))


def test_params_are_typed_and_default():
    query = load()["stale_data"]
    now = datetime(2026, 1, 1, 2, tzinfo=UTC)
    assert resolve(query, {}, now) == {"max_age": 3600, "now": utc(2026, 1, 1, 2)}
    assert resolve(query, {"max_age": "60"}, now)["max_age"] == 60
    moved = resolve(query, {"now": "2026-01-01T03:00:00+02:00"}, now)["now"]
    assert moved == utc(2026, 1, 1, 1)
    assert resolve(query, {"now": utc(2020, 1, 1)}, now)["now"] == utc(2020, 1, 1)


def test_a_query_that_asks_for_the_time_must_be_given_it():
    with pytest.raises(ValueError, match="stale_data asks for the time of the run"):
        resolve(load()["stale_data"], {})


def test_every_type_of_param_reaches_the_query(database):
    params = """[params]
i = { type = "int", default = 1, help = "x" }
t = { type = "text", default = "a", help = "x" }
b = { type = "bool", default = true, help = "x" }
d = { type = "decimal", default = "0.000000000000000001", help = "x" }
w = { type = "timestamp", default = "2026-01-01", help = "x" }
"""
    names = ["account", "i", "b", "d", "w"]
    query = report(
        "select $t as account, $i::bigint as i, $b::boolean as b, $d::decimal(38, 18) as d,"
        " $w::timestamp as w",
        names,
        params,
    )
    assert run(database({}), query).rows == (
        ("a", 1, True, Decimal("0.000000000000000001"), utc(2026, 1, 1)),
    )
    other = {"i": "-5", "t": "'; drop table x", "b": "False", "d": "7", "w": "2025-02-03T04:05:06"}
    assert run(database({}), query, other).rows == (
        ("'; drop table x", -5, False, Decimal(7), utc(2025, 2, 3, 4, 5, 6)),
    )


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"within_bps": "near"}, "takes a value of type int, not 'near'"),
        ({"within_bps": "5.5"}, "takes a value of type int"),
        ({"within_bp": 5}, "no parameter within_bp, did you mean within_bps?"),
        ({"zzz": 5}, "no parameter zzz, it has: within_bps"),
    ],
)
def test_a_wrong_param_is_refused(given, said):
    with pytest.raises(AnalyzerError) as caught:
        resolve(load()["near_liquidation"], given)
    assert said in str(caught.value)


BROKEN = {
    "table": ("select account from nowhere", ["account"], "cannot be run: Catalog Error"),
    "columns": ("select 1 as account, 2 as more", ["account"], "`more` is in one of them only"),
    "order": ("select 1 as b, 2 as account", ["account", "b"], "their order differs"),
    "twice": ("select 1 as account, 2 as account", ["account"], "their order differs"),
    "hugeint": ("select 1::hugeint as account", ["account"], "has the type HUGEINT"),
    "list": ("select ['x'] as account", ["account"], "has the type VARCHAR[]"),
    "nanoseconds": ("select now()::timestamp_ns as account", ["account"], "TIMESTAMP_NS"),
    "overflow": (
        "select 99999999999999999999::decimal(38, 18) * 2::decimal(38, 18) as account",
        ["account"],
        "cannot be run",
    ),
    "file": ("select content as account from read_text('/etc/hostname')", ["account"], "disabled"),
}


@pytest.mark.parametrize(("sql", "columns", "said"), BROKEN.values(), ids=BROKEN)
def test_a_query_that_cannot_be_run_is_named(database, sql, columns, said):
    with pytest.raises(AnalyzerError) as caught:
        run(database({}), report(sql, columns))
    assert str(caught.value).startswith("own.sql")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_limit_says_how_many_there_are(database):
    connection = database({})
    query = report("select i::varchar as account from range(5) as t(i) order by i", ["account"])
    for limit, said in ((4, "4 of 5"), (5, "5"), (0, "0 of 5"), (None, "5")):
        result = run(connection, query, limit=limit)
        assert (result.count, result.is_cut) == (said, "of" in said)
    none = Filters(account=("9",))
    assert run(connection, query, filters=none, limit=0).count == "0"


def test_a_query_works_on_a_read_only_file(tmp_path):
    with duckdb.connect(str(tmp_path / "x.duckdb")) as connection:
        connection.execute("create table t as select 'a' as account")
    with duckdb.connect(str(tmp_path / "x.duckdb"), read_only=True) as connection:
        connection.execute("set enable_external_access = false")
        assert run(connection, report("select account from t -- all", ["account"])).rows == (
            ("a",),
        )


def test_loading_queries_imports_nothing_slow():
    slow = "{'duckdb', 'pyarrow', 'rich', 'pandas', 'eth_utils', 'web3', 'numpy'}"
    code = (
        "import sys; from analyzer.findings import load; import analyzer.exports; load();"
        f"print({slow} & set(sys.modules))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "set()"


GRADED = """/* ---
title    = "Graded"
severity = "medium"
summary  = "Graded rows."
advice   = "None."
grain    = "one row per block"
identity = ["block_number"]

[history]
measure = "{measure}"
worse   = "higher"

[columns]
chain_id = "x"
protocol = "x"
deployment = "x"
block_number = "x"
severity = "x"
--- */
select 1 as chain_id, 'p' as protocol, 'd' as deployment, block_number, severity
from (values {rows}) as t (block_number, severity)
order by block_number
"""


def graded(*severities, measure="block_number"):
    rows = ", ".join(f"({block}, {severity})" for block, severity in enumerate(severities, 1))
    return parse("graded", "graded.sql", GRADED.format(rows=rows, measure=measure))


def test_a_row_says_how_serious_it_is(database):
    result = run(database({}), graded("'low'", "'medium'", "'info'"))
    assert [finding.severity for finding in result.findings] == ["low", "medium", "info"]
    assert result.severity == "medium"
    assert [finding.measure for finding in result.findings] == [
        {"block_number": "1"}, {"block_number": "2"}, {"block_number": "3"},
    ]  # fmt: skip
    mild = run(database({}), graded("'info'", "'low'"))
    grave = run(database({}), graded("'medium'"))
    nothing = run(database({}), graded("'low'"), limit=0)
    assert (mild.severity, nothing.severity) == ("low", "medium")
    assert gravest_first([mild, grave, nothing]) == [grave, nothing, mild]


@pytest.mark.parametrize("severity", ["'high'", "'urgent'", "null::varchar", "3"])
def test_a_row_says_no_more_than_the_file_declares(database, severity):
    with pytest.raises(AnalyzerError) as caught:
        run(database({}), graded(severity))
    assert "graded.sql: the severity of a row is one of info, low, medium, not" in str(caught.value)


def test_a_measure_is_a_number(database):
    with pytest.raises(AnalyzerError, match=r"graded.sql: the measure `severity` has the type"):
        run(database({}), graded("'low'", measure="severity"))
