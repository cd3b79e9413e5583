"""What is indexed over RPC against the published v1 contracts, while they run.

Every position's notionals, margin ratio and a simulated ``liquidate()`` are compared at each stage:
after trading, after funding, after a move that makes some liquidatable, after their liquidation,
with mark and oracle apart, and after a market was shut down and settled.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from analyzer.chain.open import open_chain
from analyzer.indexer.plan import Plan
from analyzer.indexer.run import index
from analyzer.indexer.verify import verify_database
from analyzer.store import derived
from analyzer.store.database import open_for_reading
from tests.contracts.anvil import Anvil
from tests.contracts.perp_v1_system import HOUR, ONE, System, deploy
from tests.databases import contents


@pytest.fixture
def system() -> Iterator[System]:
    with Anvil(accounts=27) as node:
        yield deploy(node, seed=11)


def indexed(system: System, database: Path) -> dict[str, str]:
    """Index the chain's head, let ``verify`` compare everything, and give back the states."""
    chain = open_chain([system.node.url])
    try:
        (outcome,) = index(
            chain, database, Plan(deployments=[system.deployment()], positions="both")
        )
        assert outcome.error is None
        assert outcome.complete
        assert outcome.unknown == 0
        (found,) = verify_database(chain, database)
    finally:
        chain.close()
    assert found.comparison.differences == []
    assert found.comparison.skipped == 0
    assert found.comparison.verdicts == 2 * outcome.positions > 0
    with open_for_reading(database) as connection:
        (snapshot,) = derived.snapshots(connection)
        complaints = connection.execute("select kind, detail from data_quality").fetchall()
        assert complaints == []
        return {
            account.margin_id: account.state for account in derived.accounts(connection, snapshot)
        }


def values(database: Path, query: str) -> set:
    with open_for_reading(database) as connection:
        return {value for (value,) in connection.execute(query).fetchall()}


def liquidatable(states: dict[str, str]) -> set[str]:
    return {margin_id for margin_id, state in states.items() if state == "liquidatable"}


def everybody_trades(system: System, names: list[str], rounds: int) -> None:
    for _ in range(rounds):
        for trader in system.traders:
            system.trade(system.random.choice(names), trader)


def test_a_market_lives_and_dies_as_indexed(system, tmp_path):
    database = tmp_path / "perp.duckdb"
    everybody_trades(system, ["ETH", "CRV", "OLD"], 2)
    states = indexed(system, database)
    assert len(states) > 25

    for price in (1_400, 1_450):
        system.node.wait(HOUR)
        system.push("ETH", price)
        system.pay_funding()
    everybody_trades(system, ["ETH", "CRV"], 2)
    indexed(system, database)

    system.push("ETH", 1_300)
    system.move("ETH", -14)
    at_once = liquidatable(indexed(system, database))
    system.node.wait(20 * 60)
    after_twap = liquidatable(indexed(system, database))
    assert at_once < after_twap

    system.amms["ETH"].send("setFluctuationLimitRatio", (ONE // 50,))
    system.move("ETH", -2)
    indexed(system, database)
    assert "price is over fluctuation limit" in values(
        database, "select blocked_by from current_margin_accounts where state = 'liquidatable'"
    )
    system.amms["ETH"].send("setFluctuationLimitRatio", (0,))
    after_twap = liquidatable(indexed(system, database))

    whom = system.liquidatable()
    names = {f"{trader.lower()}:{system.amms[name].address}" for name, trader in whom}
    assert names == after_twap
    for name, trader in whom[: len(whom) // 2 + 1]:
        system.try_to("liquidate", system.amms[name].address, trader, sender=system.keeper)
    indexed(system, database)
    assert {"increase", "decrease", "flip", "close", "deposit", "liquidate"} <= values(
        database, "select kind from position_events"
    )
    wholly = "select after is null from position_events where kind = 'liquidate'"
    assert values(database, wholly) == {True, False}

    system.push("ETH", 1_700)
    system.node.wait(HOUR)
    shielded = liquidatable(indexed(system, database))
    assert shielded != liquidatable(states)

    system.amms["OLD"].send("shutdown")
    holders = [t for t in system.traders if f"{t.lower()}:{system.amms['OLD'].address}" in states]
    for trader in holders[:2]:
        system.try_to("settlePosition", system.amms["OLD"].address, sender=trader)
    indexed(system, database)


def test_the_contract_changes_its_mind_exactly_at_every_liquidation_price(system, tmp_path):
    """On both sides of each edge, with the TWAP caught up; where it binds, of the oracle's."""
    database = tmp_path / "perp.duckdb"
    everybody_trades(system, ["ETH", "CRV", "OLD"], 3)
    system.node.wait(HOUR)
    system.pay_funding()
    system.node.wait(20 * 60)
    indexed(system, database)
    with open_for_reading(database) as connection:
        (snapshot,) = derived.snapshots(connection)
        accounts = derived.accounts(connection, snapshot)
    names = {amm.address: name for name, amm in system.amms.items()}
    checked = {"mark": 0, "oracle": 0}
    for (position,) in (account.positions for account in accounts):
        found = position.outputs["liquidationPrice"]
        if found["kind"] != "flip":
            continue
        who = names[position.market], position.account
        edge, safe = (found[f"{side}QuoteAssetReserve"] for side in ("liquidatable", "safe"))
        oracle = found["oraclePrice"]
        assert system.would_liquidate(*who, edge, oracle)
        assert not system.would_liquidate(*who, safe, oracle)
        if oracle is not None:
            away = 1 if position.side == "long" else -1
            assert not system.would_liquidate(*who, edge, oracle + away)
        checked[found["binding"]] += 1
    assert min(checked.values()) > 5


def test_blocks_that_are_replaced_leave_nothing_behind(system, tmp_path):
    followed, afresh = tmp_path / "followed.duckdb", tmp_path / "afresh.duckdb"
    everybody_trades(system, ["ETH", "CRV"], 1)
    fork, now = system.node.rpc("evm_snapshot"), system.node.now
    everybody_trades(system, ["ETH"], 1)
    forked = indexed(system, followed)
    system.node.rpc("evm_revert", fork)
    system.node.now = now + 7
    everybody_trades(system, ["CRV", "OLD"], 2)
    replaced = indexed(system, followed)
    assert replaced == indexed(system, afresh) != forked
    assert tables(followed) == tables(afresh)


def tables(database: Path) -> dict[str, list]:
    """Logs and rows; reads are interned and those of a snapshot that is gone may stay."""
    return {name: rows for name, rows in contents(database).items() if name != "state"}
