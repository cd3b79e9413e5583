"""Every format gives back exactly what went in, and none obeys what it carries."""

import csv
import html
import io
import json
import re
import unicodedata
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import duckdb
import pyarrow.parquet as pq
import pytest

from analyzer.errors import AnalyzerError
from analyzer.exports import FORMATS, format_of, write
from analyzer.exports.frame import to_frame
from analyzer.exports.text import neutral
from analyzer.exports.values import exact
from analyzer.findings.identity import identify
from analyzer.findings.model import Column, Result
from tests.exports.conftest import ADDRESS, CHECKSUMMED, COLUMNS, HOSTILE, make_query

NAMES = [column.name for column in COLUMNS]
FINDING_NAMES = ["id", "query", "severity", "title", "status", "cause"]
TEXTS = ("csv", "markdown", "table", "json", "jsonl", "sarif")


def text_of(results, format_name, resolved=()):
    stream = io.StringIO()
    write(results, format_name, stream, resolved)
    return stream.getvalue()


def value_of(name, value):
    """A JSON value as the cell that it stands for."""
    if value is None:
        return None
    if name.endswith(("_usd", "price")):
        assert isinstance(value, str)
        assert "e" not in value.lower()
        return Decimal(value)
    if name in {"block_number", "distance_bps"}:
        assert isinstance(value, str) == (abs(int(value)) > 2**53)
        return int(value)
    if name == "observed_at":
        if len(value) == 20:
            return datetime.fromisoformat(value).astimezone(UTC).replace(tzinfo=None)
        return value
    return value


def integers_as_text(value):
    if isinstance(value, dict):
        return {key: integers_as_text(item) for key, item in value.items()}
    if isinstance(value, list):
        return [integers_as_text(item) for item in value]
    return str(value) if isinstance(value, int) and abs(value) > 2**53 else value


def check_objects(objects, result):
    assert len(objects) == len(result.rows)
    for found, row in zip(objects, result.rows, strict=True):
        assert list(found)[-len(NAMES) :] == NAMES
        for name, value in zip(NAMES, row, strict=True):
            if name == "inputs":
                assert found[name] == (
                    None if value is None else integers_as_text(json.loads(value))
                )
            else:
                assert value_of(name, found[name]) == value


def no_float(text):
    raise AssertionError(f"{text} would be a float")


@pytest.mark.parametrize("format_name", ["json", "jsonl"])
def test_json_gives_back_every_value(finding_result, report_result, format_name):
    def read(result):
        text = text_of([result], format_name)
        whole = text if format_name == "json" else f"[{','.join(text.splitlines())}]"
        assert text.isascii()
        return json.loads(whole, parse_float=no_float)

    objects = read(finding_result)
    check_objects(objects, finding_result)
    for found, finding in zip(objects, finding_result.findings, strict=True):
        assert [found[name] for name in FINDING_NAMES] == [
            finding.id, "hostile", "high", "Hostile | values", finding.status, None,
        ]  # fmt: skip
    assert list(objects[0])[: len(FINDING_NAMES)] == FINDING_NAMES
    check_objects(read(report_result), report_result)


def test_json_of_nothing_is_an_empty_array(finding_result):
    empty = Result(finding_result.query, COLUMNS, ())
    assert text_of([empty], "json") == "[]\n"
    assert text_of([], "json") == "[]\n"
    assert text_of([empty], "jsonl") == ""


def test_json_has_resolved_findings(finding_result, resolved):
    (found,) = json.loads(text_of([], "json", [resolved]))
    assert found["id"] == "00000000deadbeef"
    assert (found["status"], found["block_number"]) == ("resolved", 7)
    assert found["cause"] == "liquidated"
    assert (found["account"], found["name"]) == (ADDRESS, HOSTILE[0])


def unguarded(text):
    return text.removeprefix("'") if re.match("'[=+\\-@\uff1d]", text) else text


def test_csv_gives_back_amounts_exactly_and_text_harmless(finding_result):
    header, *rows = csv.reader(io.StringIO(text_of([finding_result], "csv")))
    assert header[: len(FINDING_NAMES)] == FINDING_NAMES
    assert set(header[len(FINDING_NAMES) :]) == set(NAMES)
    for found, row in zip(rows, finding_result.rows, strict=True):
        cells = dict(zip(header, found, strict=True))
        for name, value in zip(NAMES, row, strict=True):
            if name in {"name", "inputs"}:
                assert unguarded(cells[name]) == neutral(exact(value))
            elif name in {"size_usd", "liquidation_price"}:
                assert (Decimal(cells[name]) if cells[name] else None) == value
            else:
                assert cells[name] == exact(value)


def test_csv_is_read_back_by_duckdb(report_result, tmp_path):
    write([report_result], "csv", tmp_path / "x.csv")
    rows = duckdb.sql(
        f"select size_usd, distance_bps from read_csv('{tmp_path / 'x.csv'}', header = true,"
        " quote = '\"', escape = '\"',"
        " types = {'size_usd': 'DECIMAL(38,18)', 'distance_bps': 'BIGINT'})"
    ).fetchall()
    assert rows == [(row[6], row[8]) for row in report_result.rows]


def test_csv_holds_no_formula(report_result):
    for row in csv.reader(io.StringIO(text_of([report_result], "csv"))):
        for cell in row:
            if not re.fullmatch(r"-?[0-9.]+", cell):
                assert not cell.startswith(("=", "+", "-", "@", "\t", "\r", "\uff1d"))


def test_csv_of_several_findings_has_the_union_of_columns(finding_result, resolved):
    other = Result(make_query(name="other"), (*COLUMNS[:4], Column("problem", "VARCHAR")), ())
    header, *rows = csv.reader(io.StringIO(text_of([finding_result, other], "csv", [resolved])))
    assert len(set(header)) == len(header)
    assert {*FINDING_NAMES, *NAMES, "problem"} == set(header)
    assert len(rows) == len(finding_result.rows) + 1
    assert rows[-1][: len(FINDING_NAMES)] == [
        "00000000deadbeef", "hostile", "high", "Hostile | values", "resolved", "liquidated",
    ]  # fmt: skip


def test_several_reports_name_their_query(report_result):
    other = Result(make_query(severity=None, name="other"), (Column("name", "BIGINT"),), ((5,),))
    header, *rows = csv.reader(io.StringIO(text_of([report_result, other], "csv")))
    assert header == ["query", *NAMES]
    assert rows[-1][header.index("name")] == "5"
    assert rows[-1][0] == "other"


def cells_of(line):
    cells = re.split(r"(?<!\\)\|", line)[1:-1]
    return [html.unescape(re.sub(r"\\([^a-zA-Z0-9])", r"\1", cell[1:-1])) for cell in cells]


def test_markdown_gives_back_every_shown_value(finding_result):
    lines = [line for line in text_of([finding_result], "markdown").splitlines() if line[:1] == "|"]
    assert cells_of(lines[0]) == ["id", "status", *finding_result.query.table]
    assert len(lines) == 2 + len(finding_result.rows)
    for line, row, finding in zip(
        lines[2:], finding_result.rows, finding_result.findings, strict=True
    ):
        shown = [row[NAMES.index(name)] for name in finding_result.query.table]
        expected = [finding.id, finding.status, CHECKSUMMED, *map(exact, shown[1:])]
        assert cells_of(line) == [neutral(text) for text in expected]


def test_markdown_renders_nothing_of_what_it_carries(finding_result):
    text = text_of([finding_result], "markdown")
    assert "<img" not in text
    assert "](http" not in text
    assert "://" not in text
    assert "@everyone" not in text


@pytest.mark.parametrize("kind", ["finding", "report"])
def test_parquet_gives_back_every_value_with_its_type(
    finding_result, report_result, kind, tmp_path
):
    result = finding_result if kind == "finding" else report_result
    path = tmp_path / "x.parquet"
    write([result], "parquet", path)
    types = dict(
        duckdb.sql(f"select column_name, column_type from (describe from '{path}')").fetchall()
    )
    for column in COLUMNS:
        assert types[column.name] == column.type.replace("JSON", "VARCHAR")
    assert not {"DOUBLE", "HUGEINT"} & set(types.values())
    names = ", ".join(NAMES)
    assert duckdb.sql(f"select {names} from '{path}'").fetchall() == list(result.rows)
    if kind == "finding":
        ids = [finding.id for finding in result.findings]
        assert pq.read_table(path).column("id").to_pylist() == ids


def test_parquet_of_nothing_keeps_its_columns(report_result, tmp_path):
    write([Result(report_result.query, COLUMNS, ())], "parquet", tmp_path / "x.parquet")
    assert pq.read_table(tmp_path / "x.parquet").column_names == NAMES


def test_a_column_of_two_types_becomes_exact_text(report_result, tmp_path):
    other = Result(
        make_query(severity=None, name="other"), (Column("size_usd", "BIGINT"),), ((2**62,),)
    )
    write([report_result, other], "parquet", tmp_path / "x.parquet")
    sizes = pq.read_table(tmp_path / "x.parquet").column("size_usd").to_pylist()
    assert sizes[0] == exact(report_result.rows[0][6])
    assert sizes[-1] == str(2**62)


def test_sarif_has_what_scanners_ask_for(finding_result, resolved):
    document = json.loads(text_of([finding_result], "sarif", [resolved]))
    assert document["version"] == "2.1.0"
    assert document["$schema"].endswith("sarif-2.1.0.json")
    (run,) = document["runs"]
    (rule,) = run["tool"]["driver"]["rules"]
    assert (rule["id"], rule["defaultConfiguration"]["level"]) == ("hostile", "error")
    *found, gone = run["results"]
    assert [r["partialFingerprints"] for r in found] == [
        {"findingId/v1": finding.id} for finding in finding_result.findings
    ]
    assert {r["baselineState"] for r in found} == {"new", "unchanged"}
    assert (gone["baselineState"], gone["partialFingerprints"]) == (
        "absent",
        {"findingId/v1": "00000000deadbeef"},
    )
    assert gone["message"]["text"] == "Hostile | values: resolved (liquidated)"
    assert gone["properties"]["cause"] == "liquidated"
    assert all(r["ruleId"] == rule["id"] and r["message"]["text"] for r in run["results"])
    check_objects([r["properties"] for r in found], finding_result)
    for location in (place for r in run["results"] for place in r["locations"]):
        assert location["physicalLocation"]["artifactLocation"]["uri"]


@pytest.mark.parametrize("status", ["worse", "better", "escalated"])
def test_sarif_calls_a_changed_finding_updated(finding_result, status):
    changed = replace(
        finding_result,
        findings=tuple(replace(one, status=status) for one in finding_result.findings),
    )
    (run,) = json.loads(text_of([changed], "sarif"))["runs"]
    assert {r["baselineState"] for r in run["results"]} == {"updated"}


def of_own_severities():
    """Two rows of a finding that says of each how serious it is."""
    columns = (*COLUMNS[:5], Column("severity", "VARCHAR"))
    query = make_query(
        columns={column.name: "x." for column in columns},
        identity=("block_number",),
        table=("account",),
    )
    rows = tuple((1, "p", "d", block, ADDRESS, severity) for block, severity in ROWS)
    return Result(query, columns, rows, identify(query, rows))


ROWS = ((1, "high"), (2, "info"), (3, "info"))


def test_every_format_has_the_severity_of_the_row(tmp_path):
    result = of_own_severities()
    said = [severity for _, severity in ROWS]
    objects = json.loads(text_of([result], "json"))
    assert [one["severity"] for one in objects] == said
    header, *rows = csv.reader(io.StringIO(text_of([result], "csv")))
    assert header.count("severity") == 1
    assert [row[header.index("severity")] for row in rows] == said
    write([result], "parquet", tmp_path / "x.parquet")
    assert pq.read_table(tmp_path / "x.parquet").column("severity").to_pylist() == said
    (run,) = json.loads(text_of([result], "sarif"))["runs"]
    assert [one["level"] for one in run["results"]] == ["error", "note", "note"]
    assert text_of([result], "table").startswith("HIGH  Hostile | values: 3 (1 high, 2 info)\n")
    assert "(1 high, 2 info)" in text_of([result], "markdown")


def test_a_section_is_headed_by_the_gravest_of_its_rows():
    result = of_own_severities()
    mild = replace(result, rows=result.rows[1:], findings=result.findings[1:])
    assert text_of([mild], "table").startswith("INFO  Hostile | values: 2\n")
    assert "(info)" in text_of([mild], "markdown")


def test_a_finding_that_stands_as_another_is_not_called_resolved(resolved):
    escalated = replace(resolved, status="escalated", cause="liquidatable")
    for format_name in ("table", "markdown"):
        text = text_of([], format_name, [escalated, resolved])
        assert text.index("Escalated") < text.index("Resolved")
    (run,) = json.loads(text_of([], "sarif", [escalated]))["runs"]
    (only,) = run["results"]
    assert only["baselineState"] == "updated"
    assert only["message"]["text"] == "Hostile | values: escalated to liquidatable"


def test_sarif_refuses_a_report(report_result):
    with pytest.raises(AnalyzerError, match="hostile is a report and SARIF holds findings"):
        text_of([report_result], "sarif")


@pytest.mark.parametrize("format_name", TEXTS)
def test_no_text_format_carries_what_acts_on_a_terminal(finding_result, resolved, format_name):
    text = text_of([finding_result], format_name, [resolved])
    acting = {c for c in text if c != "\n" and unicodedata.category(c)[0] in "CZ" and c != " "}
    assert acting == set()


def test_a_frame_is_exact(report_result):
    frame = to_frame(report_result)
    assert list(frame.columns) == NAMES
    assert [tuple(row) for row in frame.itertuples(index=False)] == list(report_result.rows)


def test_every_format_has_a_suffix(tmp_path):
    suffixes = ("txt", "json", "jsonl", "csv", "md", "parquet", "sarif")
    assert {format_of(tmp_path / f"a.{suffix}") for suffix in suffixes} == set(FORMATS)
    assert format_of(tmp_path / "a.JSON") == "json"
    assert format_of(tmp_path / "a") is None


def test_markdown_says_what_is_resolved_cut_or_absent(finding_result, resolved):
    cut = replace(finding_result, total=12_345)
    text = text_of([cut], "markdown", [resolved])
    assert f"These are {len(finding_result.rows)} of 12,345 rows." in text
    section = text[text.index("## Resolved") :].splitlines()
    assert cells_of(section[-1]) == [
        "00000000deadbeef", "hostile", "high", "Hostile | values", "liquidated",
    ]  # fmt: skip
    assert text_of([Result(finding_result.query, COLUMNS, ())], "markdown") == "No findings.\n"
