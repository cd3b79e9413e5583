"""Findings on recorded chains say what the contracts themselves answered there."""

import gzip
import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from analyzer.abi import load_abi
from analyzer.exports.table import lines
from analyzer.findings import load, run
from analyzer.protocols import protocols
from tests.conftest import NOW

FIXTURES = Path(__file__).parent.parent.parent / "fixtures"
WAD = 10**18
Ask = Callable[..., list[dict[str, Any]]]


def read(path: str) -> dict[str, Any]:
    with gzip.open(FIXTURES / path, "rt", encoding="utf-8") as file:
        return json.load(file)


@pytest.fixture
def ask(connection: duckdb.DuckDBPyConnection) -> Ask:
    """Rows of a query, of one protocol."""

    def rows(query: str, protocol: str | None = None) -> list[dict[str, Any]]:
        result = run(connection, load()[query], now=NOW)
        names = [column.name for column in result.columns]
        found = [dict(zip(names, row, strict=True)) for row in result.rows]
        return [row for row in found if protocol in (None, row.get("protocol"))]

    return rows


@pytest.fixture(scope="module")
def curie() -> dict[str, Any]:
    """What the contracts answered about Perp v2's last snapshot."""
    return read("perp_v2/vectors.json.gz")["snapshots"][-1]


def test_bad_debt_is_every_account_below_zero(ask: Ask, curie: dict[str, Any]) -> None:
    below = {
        account["account"].lower(): -int(account["accountValue_1e18"])
        for account in curie["accounts"]
        if int(account["accountValue_1e18"]) < 0
    }
    found = ask("bad_debt", "perp_v2")
    assert {row["account"]: int(row["shortfall_usd"] * WAD) for row in found} == below
    assert {row["total_shortfall_usd"] for row in found} == {Decimal(sum(below.values())) / WAD}
    assert len(below) > 20


def test_the_insurance_fund_has_the_capacity_that_it_answers_itself(
    ask: Ask, curie: dict[str, Any]
) -> None:
    selector = load_abi("perp_v2", "InsuranceFund").functions["getInsuranceFundCapacity"].selector
    (capacity,) = (
        int(call["result"], 16)
        for call in read("demo/perp_v2.json.gz")["calls"]
        if call["data"] == f"0x{selector.hex()}" and int(call["block"], 16) == curie["block"]
    )
    found = ask("bad_debt", "perp_v2")
    assert {row["insurance_fund_usd"] for row in found} == {Decimal(capacity) / 10**6}
    assert {row["is_covered"] for row in found} == {True}


def test_without_an_insurance_fund_that_was_read_nothing_is_said_to_be_covered(ask: Ask) -> None:
    found = [row for row in ask("bad_debt") if row["protocol"] != "perp_v2"]
    assert found
    assert {(row["insurance_fund_usd"], row["is_covered"]) for row in found} == {(None, None)}


def test_a_position_that_a_shut_down_market_settles_is_no_bad_debt(ask: Ask) -> None:
    (settled,) = (row for row in ask("liquidatable", "perp_v1") if row["equity_usd"] < 0)
    assert settled["blocked_by"] == "amm was closed"
    assert ask("bad_debt", "perp_v1") == []


def test_refused_liquidations_are_those_that_the_contract_refused(
    ask: Ask, curie: dict[str, Any]
) -> None:
    refused = {
        (f"{account['account']}:{position['baseToken']}".lower(), position["liquidate_sim"])
        for account in curie["accounts"]
        if account["liquidatable_by_margin"]
        for position in account["positions"]
        if position["liquidate_sim"] != "OK"
    }
    found = ask("unliquidatable", "perp_v2")
    legs = {(row["leg"], row["refusal"]) for row in found if row["market"]}
    assert legs == refused
    (without,) = (row for row in found if not row["market"])
    assert (without["refusal"], without["size_usd"]) == ("there is no position to liquidate", 0)
    assert {row["liquidatable_legs"] for row in found if not row["is_stuck"]} == {1}
    (closed,) = ask("unliquidatable", "perp_v1")
    assert (closed["refusal"], closed["why"]) == ("amm was closed", "market shut down: settle it")


def test_gaps_are_those_between_the_contracts_mark_and_index(
    ask: Ask, curie: dict[str, Any]
) -> None:
    gaps = {
        market["baseToken"].lower(): 10_000
        * (int(market["markPrice"]) - int(market["indexPrice_0"]))
        / int(market["indexPrice_0"])
        for market in curie["markets"]
        if market["isOpen"]
    }
    (found,) = ask("mark_index_gap", "perp_v2")
    assert found["market_name"] == "vSOL/USD"
    assert found["mark_gap_bps"] == int(gaps[found["market"]])
    assert (found["source"], found["gap_bps"], found["limit_bps"]) == ("spot", -115, 1000)
    assert (found["max_funding_bps"], found["is_funding_capped"]) == (1000, False)
    assert max(map(abs, gaps.values())) < 100
    spreads = {row["market_name"]: row["gap_bps"] for row in ask("mark_index_gap", "perp_v1")}
    assert spreads == {"ETH/USDC": 282, "CRV/USDC": -256, "BTC/USDC": 210}


def test_the_planted_oracle_faults_are_found_and_nothing_else(ask: Ask) -> None:
    (deviating,) = ask("oracle_deviation", "gmx_v2")
    assert (deviating["priced"], deviating["source"]) == ("WNT", "executed")
    assert 299 <= deviating["deviation_bps"] <= 300
    assert (deviating["severity"], deviating["is_used"]) == ("info", False)
    assert (deviating["reference"], deviating["positions_usd"]) == ("oracle", 0)
    assert deviating["reference_min"] > deviating["price_max"]
    assert deviating["age_seconds"] > 15 * deviating["reference_age"] > 0
    stale = [row for row in ask("stale_price", "gmx_v2") if row["source"] != "executed"]
    assert [(row["priced"], row["source"], row["max_age"]) for row in stale] == [
        ("WBTC", "oracle", 3600)
    ]
    executed = [row for row in ask("stale_price", "gmx_v2") if row["source"] == "executed"]
    assert {row["max_age"] for row in executed} == {300}
    assert [row["priced"] for row in executed if row["is_used"]] == ["WBTC"]


def test_verdicts_depend_on_a_price_where_the_feed_is_apart(ask: Ask) -> None:
    found = ask("price_dependent")
    assert {row["protocol"] for row in found} == {"gmx_v2"}
    assert [(row["priced"], row["why"]) for row in found] == [
        ("WBTC", "width"),
        *[("WNT", "other past limit")] * 13,
    ]
    assert {row["priced"] for row in found if row["tokens"] > 1} == {"WNT"}


def test_a_source_that_no_verdict_rests_on_is_no_alarm(ask: Ask) -> None:
    """GMX v1's fast prices are old on the recorded chain, and its contract leaves them aside."""
    stale = ask("stale_price", "gmx_v1")
    assert len(stale) == 10
    assert {(row["source"], row["is_used"], row["severity"]) for row in stale} == {
        ("fast", False, "info")
    }
    assert {(row["positions"], row["positions_usd"]) for row in stale} == {(0, 0)}
    deviating = ask("oracle_deviation", "gmx_v1")
    assert len(deviating) == 10
    for row in deviating:
        assert row["severity"] == ("medium" if row["is_used"] else "info")
        assert (row["positions_usd"] > 0) == row["is_used"]
    used = {(row["priced"], row["source"], row["kind"]) for row in deviating if row["is_used"]}
    assert used == {("XTK", "contract", "spread")}


@pytest.mark.parametrize("protocol", ["perp_v1", "perp_v2"])
def test_a_basis_is_no_oracle_fault(ask: Ask, protocol: str) -> None:
    assert ask("mark_index_gap", protocol)
    assert ask("oracle_deviation", protocol) == ask("stale_price", protocol) == []


def test_accounts_of_all_protocols_are_ranked_by_distance(ask: Ask) -> None:
    accounts = ask("accounts")
    nearest: dict[str, int] = {}
    for row in ask("positions"):
        if row["distance_bps"] is not None:
            nearest.setdefault(row["account"], row["distance_bps"])
    assert {row["account"]: row["distance_bps"] for row in accounts} == {
        row["account"]: nearest.get(row["account"]) for row in accounts
    }
    safe = [row for row in accounts if row["state"] == "safe"]
    assert accounts[-len(safe) :] == safe
    ranks = [
        row["buffer_bps"] if row["distance_bps"] is None else row["distance_bps"] for row in safe
    ]
    ranked = [rank for rank in ranks if rank is not None]
    assert ranks == sorted(ranked) + [None] * (len(ranks) - len(ranked))
    near = {name for row in safe[:60] for name in protocols() if name in row["deployments"]}
    assert near == set(protocols())


def test_an_account_that_no_single_price_liquidates_keeps_its_rank(ask: Ask) -> None:
    """Its market is not open: no price moves it, but little is left of its buffer."""
    safe = [row for row in ask("accounts") if row["state"] == "safe"]
    without = [n for n, row in enumerate(safe) if row["distance_bps"] is None and row["positions"]]
    first = safe[without[0]]
    assert first["size_usd"] > 80_000
    assert first["buffer_bps"] == 9
    assert without[0] < 10


@pytest.mark.parametrize("name", load())
def test_a_table_is_no_wider_than_a_terminal(
    connection: duckdb.DuckDBPyConnection, name: str
) -> None:
    result = run(connection, load()[name], now=NOW)
    for line in lines([result], [], 100):
        assert len("".join(piece for piece, _ in line)) <= 100
