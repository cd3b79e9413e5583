"""The arithmetic against the real contracts' recorded answers, and against tempting shortcuts."""

import copy
import gzip
import json
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from analyzer.protocols.perp_v2 import PROTOCOL
from analyzer.protocols.perp_v2.account import (
    MarginAccount,
    System,
    is_margin_liquidatable,
    value_account,
)
from analyzer.protocols.perp_v2.perp_math import (
    format_sqrt_price_x96_to_price_x96,
    format_x96_to_x10_18,
)
from analyzer.protocols.perp_v2.prices import PricedMarket
from analyzer.protocols.perp_v2.vectors import account_of, system_of

VECTORS = Path(__file__).parents[2] / "fixtures" / "perp_v2" / "vectors.json.gz"


@cache
def document() -> dict[str, Any]:
    with gzip.open(VECTORS, "rt", encoding="utf-8") as file:
        return json.load(file)


def margins() -> list[tuple[MarginAccount, bool]]:
    """Every recorded account with the contract's own verdict."""
    found = []
    for snapshot in document()["snapshots"]:
        system = system_of(snapshot)
        for recorded in snapshot["accounts"]:
            margin = value_account(system, account_of(recorded))
            found.append((margin, recorded["liquidatable_by_margin"]))
    return found


def test_every_recorded_answer_is_met() -> None:
    found = PROTOCOL.verify_vectors(document())
    assert found.differences == []
    assert found.skip_reasons == []
    assert (found.verdicts, found.values, found.flips) == (11097, 29699, 205)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("markets", 0, "storage.globalTwPremiumX96"), "1"),
        (("markets", 0, "slot0", 0), "2957648678595563586348814221654000"),
        (("accounts", 0, "settlementBalance"), "1"),
        (("accounts", 0, "owedRealizedPnl"), "10000000000000"),
        (("accounts", 0, "positions", 0, "orders", 0, "liquidity"), "276156391685435290085492000"),
        (("accounts", 0, "accountValue_1e18"), "1"),
        (("accounts", 0, "positions", 0, "liquidate_sim"), "OK"),
        (("config", "getMmRatio"), "62501"),
    ],
)
def test_a_changed_file_is_noticed(path: tuple[Any, ...], value: str) -> None:
    changed = copy.deepcopy({**document(), "flips": [], "snapshots": document()["snapshots"][:1]})
    place = changed["snapshots"][0]
    for step in path[:-1]:
        place = place[step]
    assert place[path[-1]] != value
    place[path[-1]] = value
    assert PROTOCOL.verify_vectors(changed).differences


def test_a_changed_flip_is_noticed() -> None:
    flip = copy.deepcopy(document()["flips"][0])
    block = flip["block"]
    snapshots = [s for s in document()["snapshots"] if s["block"] == block]
    flip["answer_before"], flip["answer_flip"] = flip["answer_flip"], flip["answer_before"]
    changed = {**document(), "snapshots": snapshots, "flips": [flip]}
    assert PROTOCOL.verify_vectors(changed).mismatches("flip") == 1


def test_a_recorded_revert_is_predicted_with_its_reason() -> None:
    """A pool without history: every view of its holders reverts, and so do we."""
    changed = copy.deepcopy({**document(), "flips": [], "snapshots": document()["snapshots"][:1]})
    snapshot = changed["snapshots"][0]
    old = {"revert": "execution reverted: OLD"}
    market = snapshot["markets"][0]
    market["observe"] = old
    for name in list(market):
        if name == "markPrice" or (name.startswith("sqrtMarketTwapX96_") and name[-2:] != "_0"):
            market[name] = old
    holder = next(
        account
        for account in snapshot["accounts"]
        if [p["baseToken"] for p in account["positions"]] == [market["baseToken"]]
        and not account["collaterals"]
        and not account["hasOrder"]
    )
    snapshot["accounts"] = [holder]
    for name in (
        "accountValue_1e18", "vaultAccountValue_1e6", "settlementTokenValue_1e6",
        "freeCollateral_1e6", "freeCollateralByMmRatio_1e6", "marginRequirement_1e18",
        "collateralMarginRequirement_1e18", "totalAbsPositionValue", "unrealizedPnl",
        "allPendingFunding", "liquidatable_by_margin",
    ):  # fmt: skip
        holder[name] = old
    if int(holder["positions"][0]["getBase"]) < 0:
        holder["totalDebtValue"] = old
    for name in ("totalPositionValue", "pendingFundingPayment", "liquidatablePositionSize"):
        holder["positions"][0][name] = old
    holder["positions"][0]["liquidate_sim"] = "OLD"
    found = PROTOCOL.verify_vectors(changed)
    assert found.differences == []
    assert found.skip_reasons == []


def test_what_was_not_recorded_is_counted_as_skipped() -> None:
    changed = copy.deepcopy({**document(), "flips": [], "snapshots": document()["snapshots"][:1]})
    market = changed["snapshots"][0]["markets"][0]
    del market["indexPrice_900"]
    found = PROTOCOL.verify_vectors(changed)
    assert found.skipped > 0
    assert "was not read" in found.skip_reasons[0]


def with_prices(margin: MarginAccount, price: Callable[[PricedMarket], Any]) -> MarginAccount:
    markets = {
        base: replace(priced, reference_price=price(priced))
        for base, priced in margin.system.markets.items()
    }
    return value_account(replace(margin.system, markets=markets), margin.account)


def only_open(price: Callable[[PricedMarket], Any]) -> Callable[[PricedMarket], Any]:
    return lambda priced: (
        price(priced) if priced.market.status == "open" else priced.reference_price
    )


def without_funding(margin: MarginAccount) -> MarginAccount:
    positions = {b: replace(p, pending_funding_payment=0) for b, p in margin.positions.items()}
    return replace(margin, positions=positions)


def spot(priced: PricedMarket) -> int:
    sqrt_price = priced.market.sqrt_price_x96
    return format_x96_to_x10_18(format_sqrt_price_x96_to_price_x96(sqrt_price))


def account_without(**fields: Any) -> Callable[[MarginAccount], MarginAccount]:
    def changed(margin: MarginAccount) -> MarginAccount:
        system: System = margin.system
        return value_account(system, replace(margin.account, **fields))

    return changed


SHORTCUTS: dict[str, Callable[[MarginAccount], MarginAccount]] = {
    "index TWAP": lambda m: with_prices(m, only_open(lambda p: p.market.index_prices[900])),
    "index now": lambda m: with_prices(m, only_open(lambda p: p.market.index_prices[0])),
    "pool spot": lambda m: with_prices(m, only_open(spot)),
    "mark in markets that are not open": lambda m: with_prices(m, lambda p: p.mark_price),
    "no owed profit": account_without(owed_realized_pnl=0),
    "no pending funding": without_funding,
    "settlement token only": account_without(collaterals={}),
}


@pytest.mark.parametrize("name", SHORTCUTS)
def test_the_shortcut_gives_wrong_verdicts_where_ours_are_right(name: str) -> None:
    wrong = 0
    for margin, verdict in margins():
        assert is_margin_liquidatable(margin) == verdict
        wrong += is_margin_liquidatable(SHORTCUTS[name](margin)) != verdict
    assert wrong > 0
