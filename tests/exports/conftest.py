"""Results with values that an attacker, or a chain, would choose."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from analyzer.findings.identity import identify
from analyzer.findings.model import Column, Finding, Query, Result

ADDRESS = "0x5fbdb2315678afecb367f032d93f642f64180aa3"
CHECKSUMMED = "0x5FbDB2315678afecb367f032d93F642f64180aa3"
HUGE = Decimal("99999999999999999999.999999999999999999")
LOWEST = Decimal("-99999999999999999999.999999999999999999")
TINY = Decimal("0.000000000000000001")
HOSTILE = (
    '=HYPERLINK("http://evil","x")',
    "+1+cmd|' /C calc'!A0",
    "-2+3",
    "@SUM(A1)",
    'a,b"c"\nd\r\ne\tf|g',
    "\x1b[2J\x1b]0;owned\x07\x00\x9b31m",
    "\u202edrow\u2066\u200b\u2028\ufeff",
    "<img src=x onerror=alert(1)> [click](http://evil) `x` **b** | @everyone \\",
    "名前🙂e\u0301",
    "",
    "'quoted'",
    "null",
    "\uff1d1+1",
    "-12345678901234567890123",
)
COLUMNS = (
    Column("chain_id", "BIGINT"),
    Column("protocol", "VARCHAR"),
    Column("deployment", "VARCHAR"),
    Column("block_number", "BIGINT"),
    Column("account", "VARCHAR"),
    Column("name", "VARCHAR"),
    Column("size_usd", "DECIMAL(38,18)"),
    Column("liquidation_price", "DECIMAL(38,18)"),
    Column("distance_bps", "BIGINT"),
    Column("is_used", "BOOLEAN"),
    Column("observed_at", "TIMESTAMP"),
    Column("inputs", "JSON"),
)
AMOUNTS = (HUGE, LOWEST, TINY, -TINY, Decimal("1234567.891"), Decimal(0), None)
TIMES = (
    datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC).replace(tzinfo=None),
    datetime(1, 1, 1, tzinfo=UTC).replace(tzinfo=None),
    "287168-08-24 16:00:00",
    None,
)
INPUTS = '{"size":"1' + "0" * 60 + '","raw":12345678901234567890,"list":[1,{"x":null}]}'


def make_query(**changes) -> Query:
    query = Query(
        name="hostile",
        path="hostile.sql",
        sql="select 1",
        title="Hostile | values",
        severity="high",
        summary="Values that someone chose.",
        advice="Look twice.",
        grain="one row per value",
        identity=("chain_id", "name"),
        params=(),
        columns={column.name: "x." for column in COLUMNS},
        table=("account", "name", "size_usd", "liquidation_price", "distance_bps", "is_used"),
    )
    return replace(query, **changes)


def make_rows():
    return tuple(
        (
            31337,
            "gmx_v1",
            "local",
            9_007_199_254_740_993 + index,
            ADDRESS,
            text,
            AMOUNTS[index % len(AMOUNTS)],
            AMOUNTS[(index + 2) % len(AMOUNTS)],
            (2**63 - 1, -(2**63), 523, None)[index % 4],
            (True, False, None)[index % 3],
            TIMES[index % len(TIMES)],
            (INPUTS, None)[index % 2],
        )
        for index, text in enumerate(HOSTILE)
    )


@pytest.fixture
def finding_result() -> Result:
    """A finding query's result whose every row is hostile; half of them are new."""
    query, rows = make_query(), make_rows()
    findings = tuple(
        replace(finding, status=("new", "ongoing")[index % 2])
        for index, finding in enumerate(identify(query, rows))
    )
    return Result(query, COLUMNS, rows, findings)


@pytest.fixture
def report_result() -> Result:
    """The same rows as a report."""
    return Result(make_query(severity=None), COLUMNS, make_rows())


@pytest.fixture
def resolved() -> Finding:
    """A finding of an earlier run that is gone."""
    return Finding(
        id="00000000deadbeef",
        query="hostile",
        severity="high",
        title="Hostile | values",
        subject={
            "chain_id": 31337,
            "protocol": "gmx_v1",
            "deployment": "local",
            "name": HOSTILE[0],
            "account": ADDRESS,
        },
        block_number=7,
        status="resolved",
        cause="liquidated",
    )
