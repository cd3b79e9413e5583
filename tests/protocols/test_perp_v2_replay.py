"""Logs rebuild every account exactly, wherever a run stops and goes on."""

import gzip
import itertools
import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from eth_abi.abi import encode
from hypothesis import given, settings
from hypothesis import strategies as st

from analyzer.abi import Event, load_abi
from analyzer.chain.recording import RecordedChain
from analyzer.evm import Log
from analyzer.indexer.deployments import deployment_of
from analyzer.indexer.replaying import carry
from analyzer.protocol import Deployment
from analyzer.protocols.perp_v2.ledger import LedgerAccount, ledger_of
from analyzer.protocols.perp_v2.replay import log_filters, replay
from analyzer.rows import DataQuality, PositionEvents, Row

FIXTURES = Path(__file__).parents[2] / "fixtures" / "perp_v2"
TRADER, BASE, TOKEN = "0x" + "11" * 20, "0x" + "22" * 20, "0x" + "33" * 20
LIQUIDATOR = "0x" + "44" * 20


@cache
def recorded() -> tuple[Deployment, list[Log]]:
    chain = RecordedChain(FIXTURES.parent / "demo" / "perp_v2.json.gz")
    deployment = deployment_of(chain.deployments[0], "the recording")
    (batch,) = chain.logs(log_filters(deployment), deployment.start_block, 1802)
    return deployment, list(batch.logs)


@cache
def snapshots() -> list[dict[str, Any]]:
    with gzip.open(FIXTURES / "vectors.json.gz", "rt", encoding="utf-8") as file:
        return json.load(file)["snapshots"]


def applied(state: dict[str, Any], rows: list[Row]) -> dict[str, Any]:
    assert all(isinstance(row, PositionEvents) for row in rows)
    return carry(state, rows)


def told(account: LedgerAccount) -> dict[str, Any]:
    return {
        "settlementBalance": account.settlement_balance,
        "owedRealizedPnl": account.owed_realized_pnl,
        "collaterals": dict(account.collaterals),
        "positions": {
            base: (
                position.taker_position_size,
                position.taker_open_notional,
                {
                    ticks: (order.liquidity, order.base_debt, order.quote_debt)
                    for ticks, order in position.orders.items()
                },
            )
            for base, position in account.positions.items()
        },
    }


def expected(recorded_account: dict[str, Any]) -> dict[str, Any]:
    return {
        "settlementBalance": int(recorded_account["settlementBalance"]),
        "owedRealizedPnl": int(recorded_account["owedRealizedPnl"]),
        "collaterals": {
            c["token"].lower(): int(c["balance"]) for c in recorded_account["collaterals"]
        },
        "positions": {
            p["baseToken"].lower(): (
                int(p["takerPositionSize"]),
                int(p["takerOpenNotional"]),
                {
                    (int(o["lowerTick"]), int(o["upperTick"])): (
                        int(o["liquidity"]),
                        int(o["baseDebt"]),
                        int(o["quoteDebt"]),
                    )
                    for o in p["orders"]
                },
            )
            for p in recorded_account["positions"]
        },
    }


@pytest.mark.parametrize("snapshot", snapshots(), ids=lambda s: s["label"])
def test_logs_alone_rebuild_every_account(snapshot: dict[str, Any]) -> None:
    deployment, logs = recorded()
    until = [log for log in logs if log.block_number <= snapshot["block"]]
    ledger = ledger_of(applied({}, list(replay(deployment, until, {}))))
    accounts = {a["account"].lower(): a for a in snapshot["accounts"]}
    assert set(ledger.accounts) - {deployment.contracts["InsuranceFund"]} == set(accounts)
    for trader, account in accounts.items():
        assert told(ledger.accounts[trader]) == expected(account)


@settings(deadline=None, max_examples=15)
@given(st.lists(st.integers(0, 1802), max_size=6))
def test_a_run_may_stop_after_any_block(stops: list[int]) -> None:
    deployment, logs = recorded()
    whole = list(replay(deployment, logs, {}))
    state: dict[str, Any] = {}
    rows: list[Row] = []
    edges = [-1, *sorted(stops), 1802]
    for after, until in itertools.pairwise(edges):
        part = [log for log in logs if after < log.block_number <= until]
        new = list(replay(deployment, part, json.loads(json.dumps(state))))
        rows += new
        applied(state, new)
    assert rows == whole


def test_every_row_has_its_own_key() -> None:
    deployment, logs = recorded()
    rows = replay(deployment, logs, {})
    keys = [(row.at, row.log_index, row.state_key) for row in rows]
    assert len(keys) == len(set(keys))


def log_of(contract: str, name: str, number: int, index: int, **values: Any) -> Log:
    deployment, logs = recorded()
    event: Event = load_abi("perp_v2", contract).events[name]
    topics = [event.topic]
    plain = []
    for field, kind, indexed in event.fields:
        if indexed:
            topics.append("0x" + encode([kind], [values[field]]).hex())
        else:
            plain.append((kind, values[field]))
    return replace(
        logs[0],
        address=deployment.contracts[contract],
        topics=tuple(topics),
        data=encode([kind for kind, _ in plain], [value for _, value in plain]),
        block_number=number,
        log_index=index,
    )


def order_log(index: int, *, base: int, quote: int, liquidity: int) -> Log:
    return log_of(
        "ClearingHouse", "LiquidityChanged", 1, index, maker=TRADER, baseToken=BASE,
        quoteToken=TOKEN, lowerTick=-60, upperTick=60, base=base, quote=quote,
        liquidity=liquidity, quoteFee=0,
    )  # fmt: skip


def taker_log(index: int, *, size: int, notional: int, after: int) -> Log:
    return log_of(
        "ClearingHouse", "PositionChanged", 1, index, trader=TRADER, baseToken=BASE,
        exchangedPositionSize=size, exchangedPositionNotional=notional, fee=0,
        openNotional=after, realizedPnl=0, sqrtPriceAfterX96=1,
    )  # fmt: skip


def positions_after(*logs: Log) -> dict[str, Any]:
    deployment, _ = recorded()
    ledger = ledger_of(applied({}, list(replay(deployment, logs, {}))))
    return told(ledger.accounts[TRADER])["positions"] if TRADER in ledger.accounts else {}


def test_an_order_removed_by_its_maker_ends_with_its_liquidity_event() -> None:
    """``removeLiquidity``: the taker's side first, then the order."""
    assert (
        positions_after(
            order_log(0, base=100, quote=100, liquidity=7),
            taker_log(5, size=3, notional=-3, after=-3),
            order_log(6, base=-103, quote=-97, liquidity=-7),
        )
        == {}
    )


def test_an_order_cancelled_by_another_ends_with_its_position_event() -> None:
    """``cancelExcessOrders``: the orders first, then the taker's side; dust of both adds up."""
    assert positions_after(
        taker_log(0, size=100, notional=-100, after=-100),
        order_log(1, base=100, quote=100, liquidity=7),
        taker_log(2, size=-97, notional=97, after=-3),
        order_log(5, base=-103, quote=-97, liquidity=-7),
        taker_log(6, size=20, notional=-20, after=-23),
    ) == {BASE: (23, -23, {})}


def liquidation_log(index: int) -> Log:
    return log_of(
        "ClearingHouse", "PositionLiquidated", 1, index, trader=TRADER, baseToken=BASE,
        positionNotional=60, positionSize=60, liquidationFee=2, liquidator=LIQUIDATOR,
    )  # fmt: skip


def told_kinds(*logs: Log) -> list[tuple[Any, ...]]:
    deployment, _ = recorded()
    rows = replay(deployment, logs, {})
    return [(row.kind, row.account, row.size_delta_usd, row.fee_usd) for row in rows]


def test_a_liquidation_is_the_positions_row_and_the_liquidator_has_one_of_another_name() -> None:
    assert told_kinds(
        taker_log(0, size=100, notional=-100, after=-100),
        taker_log(1, size=-60, notional=60, after=-40),
        liquidation_log(2),
    ) == [
        ("increase", TRADER, 100, 0),
        ("liquidate", TRADER, -60, 2),
        ("liquidator", LIQUIDATOR, None, None),
    ]


def test_a_liquidation_whose_trade_is_not_in_its_transaction_is_a_row_all_the_same() -> None:
    opened = replace(taker_log(0, size=100, notional=-100, after=-100), tx_hash="0x" + "77" * 32)
    assert told_kinds(opened, liquidation_log(2)) == [
        ("increase", TRADER, 100, 0),
        ("liquidate", TRADER, -60, 2),
        ("liquidator", LIQUIDATOR, None, None),
    ]
    assert positions_after(opened, liquidation_log(2)) == {BASE: (100, -100, {})}


def test_trades_of_a_taker_go_by_the_words_of_the_other_protocols() -> None:
    assert [kind for kind, *_ in told_kinds(
        taker_log(0, size=100, notional=-100, after=-100),
        taker_log(1, size=-30, notional=30, after=-70),
        taker_log(2, size=-170, notional=170, after=100),
        taker_log(3, size=100, notional=-100, after=0),
    )] == ["increase", "decrease", "flip", "close", "market"]  # fmt: skip


def test_a_maker_whose_taker_side_is_gone_has_closed_nothing() -> None:
    assert [kind for kind, *_ in told_kinds(
        taker_log(0, size=100, notional=-100, after=-100),
        order_log(1, base=100, quote=100, liquidity=7),
        taker_log(2, size=-100, notional=100, after=0),
    )] == ["increase", "add_liquidity", "decrease"]  # fmt: skip


def test_debts_shrink_in_proportion_rounded_down() -> None:
    assert positions_after(
        order_log(0, base=100, quote=101, liquidity=7),
        order_log(3, base=-1, quote=-1, liquidity=-2),
    ) == {BASE: (0, 0, {(-60, 60): (5, 72, 73)})}


@pytest.mark.parametrize(
    ("owed", "balance"), [(1_999_999_999_999, 1), (-1, -1), (-(10**12), -1), (0, 0)]
)
def test_a_settlement_withdrawal_settles_what_was_owed(owed: int, balance: int) -> None:
    deployment, _ = recorded()
    logs = [
        log_of("Vault", "Deposited", 1, 0, collateralToken=TOKEN, trader=TRADER, amount=50),
        log_of("AccountBalance", "PnlRealized", 1, 1, trader=TRADER, amount=owed),
        log_of("Vault", "Withdrawn", 1, 2, collateralToken=TOKEN, trader=TRADER, amount=50),
    ]
    account = ledger_of(applied({}, list(replay(deployment, logs, {})))).accounts[TRADER]
    assert (account.settlement_balance, account.owed_realized_pnl) == (balance, 0)


def test_a_log_that_is_not_of_its_types_is_quarantined() -> None:
    deployment, _ = recorded()
    good = order_log(0, base=100, quote=100, liquidity=7)
    row, kept = replay(deployment, [replace(good, data=good.data[:40])], {})
    assert isinstance(row, DataQuality)
    assert (row.kind, row.subject) == ("malformed_log", f"{good.address}:LiquidityChanged")
    assert isinstance(kept, PositionEvents)
    assert kept.kind == "unreadable"
    row, _ = replay(deployment, [order_log(0, base=-1, quote=-1, liquidity=-7)], {})
    assert isinstance(row, DataQuality)
    assert "removes 7 of 0" in row.detail


def test_a_log_of_another_contract_is_ignored() -> None:
    deployment, _ = recorded()
    stranger = replace(order_log(0, base=1, quote=1, liquidity=7), address="0x" + "99" * 20)
    assert list(replay(deployment, [stranger], {})) == []


@pytest.mark.parametrize(
    ("contract", "name", "topic"),
    [
        ("ClearingHouse", "PositionChanged", "968bc4f738eae0486dc6736c4b427dbafa4acfdf6eaf2233"),
        ("ClearingHouse", "PositionLiquidated", "d9aced30440caca81570436bc942f816cfd95a3f08f700a2"),
        ("ClearingHouse", "PositionClosed", "90195cdfd4796e4ab1175fced26945fa837ef5989e372fcd"),
        ("ClearingHouse", "FundingPaymentSettled", "733330d4aad1a878654bf888817b79bc6478013399be"),
        ("ClearingHouse", "LiquidityChanged", "cb47d8bf351d355bdd5497973533eada41777b4509f2585a"),
        ("AccountBalance", "PnlRealized", "ebf4e69d81451d269fc4d9551b06d58bea2ed426d2c52891"),
        ("Vault", "Deposited", "8752a472e571a816aea92eec8dae9baf628e840f4929fbcc"),
        ("Vault", "Withdrawn", "d1c19fbcd4551a5edfb66d43d2e337c04837afda3482b42b"),
        ("Vault", "CollateralLiquidated", "bd3320c61b99a54ed3537dce8a75020f70b61d6dd124b6aa"),
        ("Vault", "BadDebtSettled", "73bac9d49ae6f49cdba3f7381211c12a239898097e5dfdfe"),
        ("MarketRegistry", "PoolAdded", "8b17db32f8ec22477a8f9475d5b92052ef2ce8c6c73ad79b"),
        ("CollateralManager", "CollateralAdded", ""),
    ],
)
def test_topics_are_the_published_ones(contract: str, name: str, topic: str) -> None:
    _, logs = recorded()
    event = load_abi("perp_v2", contract).events[name]
    assert event.topic.startswith("0x" + topic)
    assert any(log.topics[0] == event.topic for log in logs)
