"""Every query file keeps every clause of the contract; one test a clause."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest
from sqlfluff.core import FluffConfig, Linter

from analyzer.exports.json_values import dump
from analyzer.findings import catalogue, load, run
from analyzer.findings.model import AT, SEVERITIES
from analyzer.resources import resource

ROOT = Path(__file__).parent.parent.parent
QUERIES = load()
NOW = datetime(2026, 1, 1, 2, tzinfo=UTC)
EXACT = re.compile(r"VARCHAR|JSON|BOOLEAN|TIMESTAMP|BIGINT|INTEGER|DECIMAL\(38,\d+\)")
every_query = pytest.mark.parametrize("query", QUERIES.values(), ids=QUERIES)
every_finding = pytest.mark.parametrize(
    "query",
    [q for q in QUERIES.values() if q.is_finding],
    ids=[q for q in QUERIES if QUERIES[q].is_finding],
)


def cases(query):
    return json.loads((ROOT / "fixtures" / "queries" / f"{query.name}.json").read_text())


def answer(database, query, case, **how):
    given = case.get("params", {})
    now = datetime.fromisoformat(case["now"] + "Z") if "now" in case else NOW
    return run(database(case["given"]), query, given, now=now, **how)


def as_json(result):
    return [json.loads(dump(result.columns, row)) for row in result.rows]


def file_of(query):
    folder = "findings" if query.is_finding else "reports"
    return ROOT / "queries" / folder / f"{query.name}.sql"


def test_the_shipped_queries_are_those_of_the_two_folders():
    files = {file.stem for file in (ROOT / "queries").glob("*/*.sql")}
    assert set(QUERIES) == files
    assert len(files) >= 16


def test_the_most_severe_findings_come_first():
    ranks = [
        SEVERITIES.index(query.severity) if query.is_finding else -1 for query in load().values()
    ]
    assert ranks == sorted(ranks, reverse=True)


@every_query
def test_front_matter_says_everything(query):
    assert (query.severity in SEVERITIES) == query.is_finding
    for text in (query.title, query.summary, query.advice, query.grain):
        assert text[-1] != " "
        assert text.isprintable()
    assert query.summary.endswith(".")
    assert query.advice.endswith(".")
    assert query.grain.startswith("one row per ")
    for text in (*query.columns.values(), *(param.help for param in query.params)):
        assert text.endswith(".")


@every_query
def test_file_is_one_select(query):
    (statement,) = duckdb.extract_statements(query.sql)
    assert statement.type == duckdb.StatementType.SELECT


@every_query
def test_declared_parameters_are_the_used_ones(query):
    (statement,) = duckdb.extract_statements(query.sql)
    assert statement.named_parameters == {param.name for param in query.params}


@every_query
def test_listed_columns_are_those_of_the_result_in_its_order(query, database):
    result = run(database({}), query, now=NOW)
    assert [column.name for column in result.columns] == list(query.columns)


@every_query
def test_columns_have_types_that_leave_exactly(query, database):
    for column in run(database({}), query, now=NOW).columns:
        assert EXACT.fullmatch(column.type), column


@every_finding
def test_a_finding_says_where_it_is(query, database):
    assert set(AT) <= set(query.columns)
    for row in as_json(answer(database, query, cases(query)["fires"])):
        assert None not in {row["chain_id"], row["protocol"], row["deployment"]}


@every_query
def test_identity_is_unique_and_never_null(query, database):
    rows = as_json(answer(database, query, cases(query)["fires"]))
    keys = [tuple(row[name] for name in query.identity) for row in rows]
    assert len(set(keys)) == len(keys) > 1
    assert all(value is not None for key in keys for value in key)


@every_query
def test_order_is_total(query, database):
    final = query.sql[query.sql.rindex("order by") :]
    words = set(re.findall(r"[a-z_]+", final))
    assert set(query.identity) <= words
    case = cases(query)["fires"]
    turned = case | {"given": {table: rows[::-1] for table, rows in case["given"].items()}}
    assert answer(database, query, turned).rows == answer(database, query, case).rows


@every_finding
def test_the_gravest_rows_come_first(query, database):
    result = answer(database, query, cases(query)["fires"])
    ranks = [SEVERITIES.index(finding.severity) for finding in result.findings]
    assert ranks == sorted(ranks, reverse=True)
    assert max(ranks) == SEVERITIES.index(query.severity)
    assert (len(set(ranks)) > 1) == ("severity" in query.columns)


@every_query
def test_fires_on_one_fixture_with_exactly_the_expected_rows(query, database):
    case = cases(query)["fires"]
    assert as_json(answer(database, query, case)) == case["expect"]
    assert case["expect"]


@every_query
def test_stays_silent_on_another_fixture(query, database):
    case = cases(query)["silent"]
    assert case["given"]
    assert answer(database, query, case).rows == ()


@every_query
def test_people_are_shown_few_columns(query):
    assert 2 <= len(query.table) <= 12


@every_query
def test_no_amount_is_multiplied(query):
    body = re.sub(r"'[^']*'|--.*", "", query.sql)
    for factor in re.findall(r"\*\s*([\w.$]+)", body):
        assert factor in {"10000", "87600000", "from"}, factor
    assert not re.search(r"hugeint|bignum|\bselect \*\s+from \w+\s+order", body)


@every_query
def test_sql_is_lower_case_and_lint_clean(query):
    path = file_of(query)
    linted = Linter(config=FluffConfig.from_path(str(path))).lint_paths((str(path),))
    assert [str(violation) for violation in linted.get_violations()] == []


@every_query
def test_query_is_listed_in_the_catalogue(query):
    text = (ROOT / "queries" / "README.md").read_text()
    assert f"### {query.name}\n" in text
    assert query.title in text


def test_the_catalogue_is_generated_from_the_files():
    assert (ROOT / "queries" / "README.md").read_text() == catalogue(QUERIES)


def test_shipped_queries_are_found_where_the_package_looks():
    assert Path(str(resource("queries"))) == ROOT / "queries"
