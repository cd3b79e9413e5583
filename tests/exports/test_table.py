"""Tables for people: they fit, numbers are whole, and nothing in them acts."""

import io
import re
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.exports import write
from analyzer.exports.table import lines
from analyzer.exports.text import cut, neutral, shortened, width, with_checksums
from analyzer.exports.values import exact, heading, human, plain
from analyzer.findings.model import Column, Result
from tests.exports.conftest import ADDRESS, COLUMNS, make_query


def table_of(results, resolved=()):
    stream = io.StringIO()
    write(results, "table", stream, resolved)
    return stream.getvalue()


def simple(**changes):
    columns = (*COLUMNS[:5], Column("size_usd", "DECIMAL(38,18)"), Column("distance_bps", "BIGINT"))
    rows = ((31337, "gmx_v1", "local", 3131, ADDRESS, Decimal("1234567.891"), 523),)
    query = make_query(
        title="Close", table=("account", "size_usd", "distance_bps"), severity=None, **changes
    )
    return Result(query, columns, rows)


def test_a_report_reads_like_this():
    assert table_of([simple()]) == (
        "Close: 1\n"
        "account          size USD  distance\n"
        "0x5FbD…0aa3  1,234,567.89     5.23%\n"
        "\n"
        "gmx_v1/local on chain 31337 at block 3,131\n"
    )


def test_findings_have_severity_id_status_and_advice(finding_result, resolved):
    text = table_of([finding_result], [resolved])
    assert text.startswith("HIGH  Hostile | values: 14\n")
    assert "Look twice." in text
    for finding in finding_result.findings:
        assert finding.id in text
    assert "ongoing" in text
    assert "Resolved\n00000000deadbeef  hostile  liquidated  31337 gmx_v1 local" in text
    assert "block 9,007,199,254,740,993" in text


def test_no_findings_is_said():
    empty = Result(make_query(), COLUMNS, ())
    assert table_of([empty]) == "No findings from 1 query.\n"
    assert table_of([empty, empty]) == "No findings from 2 queries.\n"


def test_an_empty_report_is_said_and_a_cut_one_too():
    result = simple()
    assert table_of([replace(result, rows=())]) == "Close: 0\n\n"
    assert table_of([replace(result, total=1_234)]).startswith("Close: 1 of 1,234\n")


def test_hostile_rows_fit_a_hundred_columns_and_show_whole_numbers(finding_result):
    text = table_of([finding_result])
    assert max(map(width, text.splitlines())) <= 100
    assert "99,999,999,999,999,999,999.9" in text or "100,000,000,000,000,000,000.00" in text
    assert not re.search(r"\d[eE][+-]?\d+\b(?!\w)", re.sub(r"\b[0-9a-f]{16}\b", "", text))


def test_long_texts_are_cut_before_numbers(finding_result):
    columns = (Column("name", "VARCHAR"), Column("size_usd", "DECIMAL(38,18)"))
    query = make_query(severity=None, table=("name", "size_usd"), columns=dict.fromkeys("ab", "x"))
    text = table_of([Result(query, columns, (("n" * 300, Decimal(10**20 - 1)),))])
    assert "nnn…" in text
    assert "99,999,999,999,999,999,999.00" in text
    assert max(map(width, text.splitlines())) == 100


def test_a_row_takes_as_few_lines_as_hold_it():
    names = ["a_usd", "b_usd", "c_usd", "d_usd", "e_usd"]
    columns = (Column("name", "VARCHAR"), *(Column(name, "DECIMAL(38,18)") for name in names))
    query = make_query(severity=None, table=("name", *names))
    row = ("n" * 20, *(Decimal(10**15 + n) for n in range(5)))
    title, *text, _ = table_of([Result(query, columns, (row, row))]).splitlines()
    assert title == "Hostile | values: 2"
    amounts = [f"1,000,000,000,000,00{n}.00" for n in range(5)]
    shown = [["n" * 20, *amounts[:3]], amounts[3:]]
    assert [line.split() for line in text[2:]] == shown * 2
    assert text[0].split() == ["name", "a", "USD", "b", "USD", "c", "USD"]
    assert text[1].split() == ["d", "USD", "e", "USD"]
    assert [len(line) for line in text] == [98, 54] * 3
    assert all(line.startswith("    ") for line in text[1::2])


def test_a_number_that_fits_no_line_stands_on_one_of_its_own():
    columns = (Column("name", "VARCHAR"), Column("a_usd", "DECIMAL(38,18)"))
    query = make_query(severity=None, table=("name", "a_usd"))
    result = Result(query, columns, (("n", Decimal(10**15)),))
    text = ["".join(piece for piece, _ in line) for line in lines([result], [], 20)]
    assert text[1:3] == ["name   n", "a USD  1,000,000,000,000,000.00"]


@pytest.mark.parametrize(("environment", "coloured"), [({"FORCE_COLOR": "1"}, True), ({}, False)])
def test_colour_is_forced_or_absent(monkeypatch, finding_result, environment, coloured):
    for name in ("FORCE_COLOR", "NO_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "100")
    assert ("\x1b[" in table_of([finding_result])) is coloured


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_terminal_gets_colour_unless_it_says_no(monkeypatch, finding_result):
    for name in ("FORCE_COLOR", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "90")
    terminal, quiet = Terminal(), Terminal()
    write([finding_result], "table", terminal)
    monkeypatch.setenv("NO_COLOR", "1")
    write([finding_result], "table", quiet)
    coloured, plain_text = terminal.getvalue(), quiet.getvalue()
    assert "\x1b[31mHIGH" in coloured
    bare = re.sub(r"\x1b\[[0-9;]*m", "", coloured)
    assert "\x1b" not in bare
    assert "\x1b[31m" not in plain_text
    assert max(width(line.rstrip()) for line in bare.splitlines()) <= 90


MONEY, PRICE = Column("size_usd", "DECIMAL(38,18)"), Column("entry_price", "DECIMAL(38,18)")
SHOWN = [
    (MONEY, Decimal("1234567.891"), "1,234,567.89"),
    (MONEY, Decimal("-0.004"), "-0.004"),
    (MONEY, Decimal("0.000000000000000001"), "0.000000000000000001"),
    (MONEY, Decimal("99999999999999999999.999999999999999999"), "100,000,000,000,000,000,000.00"),
    (MONEY, Decimal(0), "0.00"),
    (PRICE, Decimal("64123.456789"), "64,123.46"),
    (PRICE, Decimal("12.3456789"), "12.3457"),
    (PRICE, Decimal("0.0000123456789"), "0.0000123457"),
    (PRICE, Decimal("1855.000000000000000000"), "1,855.00"),
    (Column("distance_bps", "BIGINT"), -30, "-0.30%"),
    (Column("distance_bps", "BIGINT"), 1_000_000_000, "10,000,000.00%"),
    (Column("leverage_bps", "BIGINT"), 105_000, "10.50x"),
    (Column("age_seconds", "BIGINT"), 59, "59s"),
    (Column("age_seconds", "BIGINT"), 3_661, "1h 01m"),
    (Column("age_seconds", "BIGINT"), 90_000, "1d 01h"),
    (Column("age_seconds", "BIGINT"), -61, "-1m 01s"),
    (Column("block_number", "BIGINT"), 210_000_000, "210,000,000"),
    (Column("chain_id", "BIGINT"), 42161, "42161"),
    (Column("is_used", "BOOLEAN"), True, "yes"),
    (Column("is_used", "BOOLEAN"), None, "-"),
    (Column("x", "DOUBLE"), 1e21, "1,000,000,000,000,000,000,000.000000"),
    (Column("seen_at", "TIMESTAMP"), datetime(2026, 1, 2, 3, 4, tzinfo=UTC), "2026-01-02 03:04:00"),
    (Column("account", "VARCHAR"), ADDRESS, "0x5FbD…0aa3"),
    (Column("position_id", "VARCHAR"), "0x" + "1234" * 16, "0x1234…1234"),
]  # fmt: skip


@pytest.mark.parametrize(("column", "value", "text"), SHOWN)
def test_a_cell_for_people_has_separators_and_units(column, value, text):
    assert human(column, value) == text


def test_headings_carry_the_unit_that_cells_do_not():
    named = ("size_usd", "distance_bps", "funding_bps_per_year", "age_seconds")
    headings = [heading(Column(name, "BIGINT")) for name in named]
    assert heading(Column("is_used", "BOOLEAN")) == "used"
    assert headings == ["size USD", "distance", "funding per year", "age"]
    assert heading(PRICE) == "entry price USD"


@given(
    st.decimals(
        allow_nan=False, allow_infinity=False, places=18, min_value=-(10**19), max_value=10**19
    )
)
def test_exact_amounts_keep_every_digit_and_no_exponent(amount):
    assert Decimal(plain(amount)) == amount
    assert "E" not in plain(amount).upper()
    assert "E" not in human(PRICE, amount).upper()
    assert "E" not in human(MONEY, amount).upper()


@given(st.text())
def test_neutral_text_has_only_characters_that_show_themselves(text):
    shown = neutral(text)
    assert neutral(shown) == shown
    assert all(
        character == " " or character.isprintable() or character.isspace() for character in shown
    )
    assert not set("\x1b\n\r\t\x00\u202e\u2028\u200b\ufeff\x9b") & set(shown)


@given(st.text(), st.integers(min_value=1, max_value=40))
def test_a_cut_text_fits(text, limit):
    assert width(cut(neutral(text), limit)) <= max(limit, 1)


def test_addresses_are_checksummed_wherever_they_stand():
    pair = f"{ADDRESS}:{ADDRESS.upper().replace('0X', '0x')}"
    assert shortened(pair) == "0x5FbD…0aa3:0x5FbD…0aa3"
    assert with_checksums("0xabc") == "0xabc"
    assert exact(ADDRESS) == ADDRESS


def test_what_an_encoding_cannot_say_is_spelled_out():
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    write([simple()], "table", stream)
    assert b"0x5FbD\\u20260aa3" in raw.getvalue()
