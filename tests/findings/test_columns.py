"""Each column means one thing, whatever protocol its row is of: on all recorded chains at once."""

import re
from collections import Counter
from typing import Any, get_args

import pytest

from analyzer.findings import load
from analyzer.protocols import protocols
from analyzer.ratios import distance_bps, leverage_bps
from analyzer.rows import (
    TABLES,
    EventKind,
    PositionEvents,
    Positions,
    PriceRole,
    Prices,
    PriceSource,
    columns,
    words,
)
from analyzer.store.views import PRICE_EXPOSURE

E18 = 10**18
COLUMNS = [
    (table, name, allowed)
    for row_type, table in TABLES.items()
    for name, allowed in words(row_type).items()
]
SQL = {name: query.sql for name, query in load().items()} | {"price exposure": PRICE_EXPOSURE}
COMPARED = r"\b{name}(?:, ''\))?\s*(?:=|<>|not in|in)\s*(\([^()]*\)|'[^']*')"


def asked(connection, sql: str) -> list[dict[str, Any]]:
    found = connection.execute(sql)
    names = [column[0] for column in found.description]
    return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def e18(amount) -> int | None:
    return None if amount is None else int(amount * E18)


@pytest.fixture(scope="module")
def positions(connection) -> list[dict[str, Any]]:
    """Every position of every snapshot, with its margin account's state and equity."""
    rows = asked(
        connection,
        "select p.*, m.state, m.equity_usd from positions as p inner join margin_accounts as m"
        " using (chain_id, protocol, deployment, block_number, margin_id)",
    )
    assert {row["protocol"] for row in rows} == set(protocols())
    return rows


@pytest.mark.parametrize(("table", "name", "allowed"), COLUMNS)
def test_a_column_of_words_holds_no_other(connection, table, name, allowed):
    found = connection.execute(
        f"select distinct {name} from {table} where {name} is not null"
    ).fetchall()
    assert {word for (word,) in found} <= set(allowed)
    assert found or table == "data_quality"  # there is nothing to complain about in the recordings


def test_columns_of_words_are_text_and_the_words_of_each_are_different():
    for row_type in TABLES:
        for name, allowed in words(row_type).items():
            assert columns(row_type)[name] == "VARCHAR"
            assert len(set(allowed)) == len(allowed)
    assert words(Prices) == {"source": get_args(PriceSource), "role": get_args(PriceRole)}
    assert words(PositionEvents)["kind"] == get_args(EventKind)
    assert set(words(Positions)) == {"side", "liquidation_kind"}


def test_a_distance_is_negative_exactly_where_the_price_liquidates(positions):
    """The rule: there is a distance exactly where a price flips the verdict; it is negative
    exactly where the price is at or past that, and there (nothing lags the price in the
    recordings) the account is liquidatable. It is the same function of the same columns.
    """
    measured = Counter()
    for row in positions:
        bounds = [e18(row[name]) for name in ("price", "liquidation_below", "liquidation_above")]
        assert row["distance_bps"] == distance_bps(*bounds), row["position_id"]
        assert (row["distance_bps"] is None) == (row["liquidation_kind"] != "flip")
        if row["distance_bps"] is not None:
            assert (row["distance_bps"] < 0) == (row["state"] == "liquidatable")
            measured[row["protocol"], row["distance_bps"] < 0] += 1
    assert measured == {
        ("gmx_v1", False): 316, ("gmx_v1", True): 6, ("gmx_v2", False): 61, ("gmx_v2", True): 17,
        ("perp_v1", False): 103, ("perp_v1", True): 1,
        ("perp_v2", False): 134, ("perp_v2", True): 103,
    }  # fmt: skip


def test_leverage_is_size_over_the_equity_of_the_margin_account(positions):
    for row in positions:
        equity = e18(row["equity_usd"])
        assert row["leverage_bps"] == leverage_bps(e18(row["size_usd"]), equity)
        assert (row["leverage_bps"] is None) == (equity <= 0)


def test_a_source_has_the_same_role_wherever_it_is_no_rule_of_the_contract(connection):
    roles: dict[str, set[str]] = {}
    for row in asked(connection, "select distinct source, role from prices"):
        roles.setdefault(row["source"], set()).add(row["role"])
    assert roles == {
        "contract": {"derived", "mark"}, "oracle": {"reference"}, "executed": {"keeper"},
        "fast": {"keeper"}, "spot": {"mark"}, "twap": {"twap"},
    }  # fmt: skip
    outside = asked(connection, "select distinct protocol from prices where role = 'reference'")
    assert {row["protocol"] for row in outside} == set(protocols())


def test_a_liquidation_is_the_row_of_the_position_and_there_is_one(connection):
    rows = asked(connection, "select * from position_events where kind = 'liquidate'")
    assert Counter(row["protocol"] for row in rows) == {"gmx_v1": 89, "perp_v1": 5, "perp_v2": 29}
    for row in rows:
        assert None not in (row["position_id"], row["account"], row["market"], row["side"])
        assert row["size_delta_usd"] < 0
    each = {(row["tx_hash"], row["position_id"]) for row in rows}
    assert len(each) == len(rows)


@pytest.mark.parametrize("name", SQL)
def test_queries_compare_columns_only_with_words_that_they_can_hold(name):
    """Words that a query makes itself (``'spread' as kind``) are its own."""
    by_column: dict[str, set[str]] = {}
    for _, column, allowed in COLUMNS:
        by_column.setdefault(column, set()).update(allowed)
    for column, allowed in by_column.items():
        own = re.findall(rf"'([^']*)' as {column}\b", SQL[name])
        for compared in re.findall(COMPARED.format(name=column), SQL[name]):
            assert set(re.findall(r"'([^']*)'", compared)) <= {*allowed, *own}, compared


def test_the_comparisons_of_queries_are_seen():
    seen = Counter(
        column
        for column in {column for _, column, _ in COLUMNS}
        for sql in SQL.values()
        for _ in re.findall(COMPARED.format(name=column), sql)
    )
    assert set(seen) >= {"state", "collateral_state", "liquidation_kind", "status", "role", "kind"}
