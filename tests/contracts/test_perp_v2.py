"""The real Curie contracts on a local chain, indexed over RPC: every account, at every turn."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import duckdb
import pytest
from eth_utils.crypto import keccak

from analyzer.chain.open import open_chain
from analyzer.indexer.plan import Plan
from analyzer.indexer.run import index
from analyzer.indexer.verify import verify_database
from analyzer.protocol import Deployment
from tests.contracts.anvil import Anvil, Contract, RevertedError
from tests.contracts.perp_v2_system import UNIT, WAD, Curie, CurieMarket, deploy

PRICES = {"vETH": (8, 1_390 * 10**8), "vSOL": (18, 23 * 10**18), "vDOGE": (8, 8_601_000)}
WHALE, ARBITRAGEUR, LIQUIDATOR = "0x" + "b1" * 20, "0x" + "b2" * 20, "0x" + "b3" * 20
ANSWERS = 1
"""Storage slot of our aggregator's answers."""
TABLES = ("positions", "margin_accounts", "margin_legs", "balances", "prices", "funding", "markets")


@dataclass
class Lab:
    """A running system with its traders."""

    curie: Curie
    rng: Random
    takers: list[str]
    makers: list[str]
    orders: dict[tuple[str, int], tuple[int, int]] = field(default_factory=dict)

    @property
    def node(self) -> Anvil:
        return self.curie.node

    @property
    def house(self) -> Contract:
        return self.curie.contracts["ClearingHouse"]

    def accounts(self) -> list[str]:
        return [WHALE, ARBITRAGEUR, LIQUIDATOR, *self.takers, *self.makers]


@pytest.fixture
def lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    """A few dozen seeded accounts, funded and with positions in several markets."""
    seed = request.param
    with Anvil(accounts=1) as node:
        curie = deploy(node, PRICES)
        rng = Random(seed)
        takers = [f"0x{seed:04x}{number:04x}" + "c0" * 16 for number in range(30)]
        makers = [f"0x{seed:04x}{number:04x}" + "d0" * 16 for number in range(6)]
        found = Lab(curie, rng, takers, makers)
        fund(found)
        trade(found)
        yield found


def fund(lab: Lab) -> None:
    curie, rng = lab.curie, lab.rng
    for trader in (WHALE, ARBITRAGEUR, LIQUIDATOR):
        curie.deposit(trader, curie.usdc, 10**8 * UNIT)
    curie.usdc.send("mint", curie.contracts["InsuranceFund"].address, 900 * UNIT)
    for market in curie.markets:
        price = spot(market)
        curie.add_liquidity(WHALE, market, 10**6 * WAD * WAD // price, 10**6 * WAD, 200)
    for number, taker in enumerate(lab.takers):
        curie.deposit(taker, curie.usdc, rng.randrange(50 * UNIT, 3_000 * UNIT))
        if number % 4 == 0:
            curie.deposit(taker, curie.weth, rng.randrange(WAD // 100, WAD // 2))
    for maker in lab.makers:
        curie.deposit(maker, curie.usdc, rng.randrange(2_000 * UNIT, 9_000 * UNIT))
        place = rng.randrange(len(curie.markets))
        market, quote = curie.markets[place], rng.randrange(2_000 * WAD, 9_000 * WAD)
        width = rng.randrange(1, 30)
        ticks = curie.add_liquidity(maker, market, quote * WAD // spot(market), quote, width)
        lab.orders[maker, place] = ticks


def trade(lab: Lab) -> None:
    """Everybody takes positions of up to nine times what is free, in one to three markets."""
    for trader in [*lab.takers, *lab.makers[:2]]:
        for market in lab.rng.sample(lab.curie.markets, lab.rng.randrange(1, 4)):
            free = lab.curie.contracts["Vault"].call("getFreeCollateral", trader)
            quote = free * WAD // UNIT * lab.rng.randrange(300, 950) // 100
            if quote > WAD:
                side = lab.rng.choice((1, -1))
                allowed(lambda t=trader, m=market, q=side * quote: lab.curie.open(t, m, q))
        lab.node.wait(lab.rng.randrange(2, 90))


def allowed(action: Any, *reasons: str) -> None:
    """An action that the contracts may refuse, but only for want of margin or room."""
    try:
        action()
    except RevertedError as error:
        if str(error) not in {"CH_NEFCI", "CH_NEFCM", "EX_OPB", *reasons}:
            raise


def spot(market: CurieMarket) -> int:
    return market.pool.call("slot0")[0] ** 2 * WAD // 2**192


def move(lab: Lab, market: CurieMarket, percent: int) -> None:
    """Oracle and pool move together, the oracle ahead by a hundredth."""
    target = spot(market) * (100 + percent) // 100
    while (percent > 0) == (spot(market) < target):
        ahead = spot(market) * (100 + (1 if percent > 0 else -1)) // 100
        decimals = market.aggregator.call("decimals")
        market.aggregator.send("push", ahead * 10**decimals // WAD)
        step = 8_000 * WAD
        lab.curie.open(ARBITRAGEUR, market, step if percent > 0 else -step)


def move_and_wait(lab: Lab, market: CurieMarket, percent: int) -> None:
    """A move that the market's TWAPs have followed."""
    move(lab, market, percent)
    lab.node.wait(1_000)
    lab.curie.open(ARBITRAGEUR, market, 10 * WAD)
    lab.node.wait(1_000)


def deployment_of(curie: Curie) -> Deployment:
    return Deployment(
        protocol="perp_v2",
        name="local",
        chain_id=31337,
        start_block=curie.start_block,
        contracts=curie.addresses(),
        options={"liquidator": LIQUIDATOR},
    )


def indexed(lab: Lab, path: Path, *, verified: bool = True) -> Path:
    """Index over RPC, and let the contracts' own views confirm every stored answer."""
    chain = open_chain([lab.node.url])
    try:
        (outcome,) = index(
            chain, path, Plan(deployments=[deployment_of(lab.curie)], block="latest")
        )
        assert (outcome.error, outcome.unknown) == (None, 0)
        if verified:
            (found,) = verify_database(chain, path)
            assert found.comparison.differences == []
            assert found.comparison.skip_reasons == []
            assert found.views.verdicts >= 2 * len(lab.accounts())
    finally:
        chain.close()
    return path


def ask(path: Path, sql: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(path), read_only=True) as connection:
        return connection.execute(sql).fetchall()


def compare(lab: Lab, path: Path) -> None:
    """Every account against the contracts, asked here and now without any code of ours."""
    balance = lab.curie.contracts["AccountBalance"]
    stored = {
        account: (value, requirement, state)
        for account, value, requirement, state in ask(
            indexed(lab, path),
            "select account, outputs->>'accountValue', outputs->>'marginRequirement', state"
            " from current_margin_accounts",
        )
    }
    for trader in lab.accounts():
        value = lab.house.call("getAccountValue", trader)
        requirement = balance.call("getMarginRequirementForLiquidation", trader)
        state = "liquidatable" if value < requirement else "safe"
        empty = ("0", "0", "safe")
        assert stored.get(trader, empty) == (str(value), str(requirement), state)
    for trader, market, outcome in outcomes(path):
        assert simulated(lab, trader, market) == outcome


def outcomes(path: Path) -> list[tuple[str, str, str]]:
    sql = "select account, market, outputs->>'liquidate' from current_positions order by all"
    return ask(path, sql)


def simulated(lab: Lab, trader: str, market: str) -> str:
    try:
        lab.house.call("liquidate", trader, market, sender=LIQUIDATOR)
    except RevertedError as error:
        return str(error)
    return "OK"


@pytest.mark.parametrize("lab", [1, 2], indirect=True, ids=["seed 1", "seed 2"])
def test_every_account_at_every_turn(lab: Lab, tmp_path: Path) -> None:
    """Trading, funding, a fall, liquidations, a paused market, a closed one, and who quits it."""
    path = tmp_path / "a.duckdb"
    compare(lab, path)
    lab.node.wait(6 * 3_600)
    withdraw_and_rearrange(lab)
    compare(lab, path)
    move_and_wait(lab, lab.curie.markets[0], -14)
    move_and_wait(lab, lab.curie.markets[1], 12)
    _, answer, *_ = lab.curie.weth_aggregator.call("latestRoundData")
    lab.curie.weth_aggregator.send("push", answer * 9 // 10)
    compare(lab, path)
    in_danger = "select count(*) from current_margin_accounts where state = 'liquidatable'"
    assert ask(path, in_danger) >= [(6,)]
    assert {outcome for _, _, outcome in outcomes(path)} >= {"OK", "CH_EAV", "CH_CLWTISO"}
    liquidate_all(lab, path)
    compare(lab, path)
    liquidate_collateral(lab, path)
    compare(lab, path)
    closing = lab.curie.markets[2]
    closing.base.send("pause")
    lab.node.wait(3_600)
    move_and_wait(lab, lab.curie.markets[0], 4)
    compare(lab, path)
    assert "CH_MNO" in {outcome for _, _, outcome in outcomes(path)}
    closing.base.send("close", spot(closing) * 11 // 10)
    compare(lab, path)
    held = ask(
        path, f"select account from current_positions where market = '{closing.base.address}'"
    )
    for (trader,) in held[: len(held) // 2]:
        lab.house.send("quitMarket", trader, closing.base.address)
    compare(lab, path)


def withdraw_and_rearrange(lab: Lab) -> None:
    vault = lab.curie.contracts["Vault"]
    for trader in lab.takers[::5]:
        free = vault.call("getFreeCollateralByToken", trader, lab.curie.usdc.address)
        if free:
            vault.send("withdraw", lab.curie.usdc.address, free // 3 + 1, sender=trader)
        for market in lab.curie.markets[:2]:
            if lab.curie.contracts["AccountBalance"].call(
                "getTakerPositionSize", trader, market.base.address
            ):
                allowed(lambda t=trader, m=market: lab.curie.close(t, m))
    for (maker, place), ticks in list(lab.orders.items())[:3]:
        market, book = lab.curie.markets[place], lab.curie.contracts["OrderBook"]
        (order,) = book.call("getOpenOrderIds", maker, market.base.address)
        liquidity = book.call("getOpenOrderById", order)[0]
        share = liquidity if maker == lab.makers[0] else liquidity // 3
        lab.curie.remove_liquidity(maker, market, ticks, share)


def liquidate_all(lab: Lab, path: Path) -> None:
    """What was foretold comes true: the first call in each account goes as its row says."""
    done = set()
    for trader, market, outcome in outcomes(path):
        if outcome == "OK" and trader not in done:
            lab.house.send("liquidate", trader, market, sender=LIQUIDATOR)
            done.add(trader)
        elif outcome not in {"OK", "CH_EAV"} and trader not in done:
            with pytest.raises(RevertedError, match=outcome):
                lab.house.send("liquidate", trader, market, sender=LIQUIDATOR)
    assert done
    for maker in lab.makers:
        for market in lab.curie.markets:
            arguments = maker, market.base.address
            allowed(
                lambda a=arguments: lab.house.send("cancelAllExcessOrders", *a, sender=LIQUIDATOR),
                "CH_NEXO",
            )


def liquidate_collateral(lab: Lab, path: Path) -> None:
    curie = lab.curie
    vault = curie.contracts["Vault"]
    curie.usdc.send("mint", LIQUIDATOR, 10**6 * UNIT, sender=LIQUIDATOR)
    curie.usdc.send("approve", vault.address, 10**6 * UNIT, sender=LIQUIDATOR)
    sql = "select account from current_margin_accounts where collateral_state = 'liquidatable'"
    for (trader,) in ask(path, sql):
        _, most = vault.call(
            "getMaxRepaidSettlementAndLiquidatableCollateral", trader, curie.weth.address
        )
        vault.send(
            "liquidateCollateral", trader, curie.weth.address, most // 2, False, sender=LIQUIDATOR
        )


@pytest.mark.parametrize("lab", [4], indirect=True, ids=["seed 4"])
def test_a_crash_leaves_more_debt_than_the_insurance_fund_covers(lab: Lab, tmp_path: Path) -> None:
    """Accounts worth less than nothing: some can be liquidated, some not, as their rows say."""
    path = tmp_path / "a.duckdb"
    move_and_wait(lab, lab.curie.markets[0], -30)
    compare(lab, path)
    worthless = "select count(*) from current_margin_accounts where equity_usd < 0"
    assert ask(path, worthless) >= [(3,)]
    assert {outcome for _, _, outcome in outcomes(path)} >= {"OK", "CH_IIC"}
    liquidate_all(lab, path)
    compare(lab, path)
    settled = "select count(*) from position_events where kind = 'bad_debt'"
    assert ask(path, settled) > [(0,)]


@pytest.mark.parametrize("lab", [5], indirect=True, ids=["seed 5"])
@pytest.mark.parametrize("percent", [9, -9])
def test_the_contract_changes_its_mind_at_every_price_that_the_oracle_can_reach(
    lab: Lab, tmp_path: Path, percent: int
) -> None:
    """On both sides of each edge, to the last of 18 decimals: the market is still, the oracle not.

    The newest answer is of the block itself: no TWAP of the index gives it any weight.
    """
    market = lab.curie.markets[1]
    move(lab, market, percent)
    market.aggregator.send("push", market.aggregator.call("latestRoundData")[1])
    path = indexed(lab, tmp_path / "a.duckdb")
    ((premium,),) = ask(
        path,
        "select (inputs->>'premium') from prices"
        f" where source = 'contract' and token = '{market.base.address}'",
    )
    checked = 0
    for trader, is_long, found, low, high in ask(
        path,
        "select account, side = 'long', coalesce(outputs->'liquidationPrice'->>'below',"
        " outputs->'liquidationPrice'->>'above'), outputs->'markPriceRange'->>0,"
        " outputs->'markPriceRange'->>1 from current_positions"
        f" where market = '{market.base.address}' and liquidation_kind = 'flip'"
        " and outputs->>'liquidate' in ('OK', 'CH_EAV') order by account",
    ):
        edge = int(found)
        safe = edge + (1 if is_long else -1)
        if int(low) < min(edge, safe) and max(edge, safe) < int(high):
            assert simulated_at(lab, trader, market, edge - int(premium)) == "OK"
            assert simulated_at(lab, trader, market, safe - int(premium)) == "CH_EAV"
            checked += 1
    assert checked >= 4


def simulated_at(lab: Lab, trader: str, market: CurieMarket, answer: int) -> str:
    """A liquidation with another newest answer of the market's oracle; nothing is mined."""
    first = int.from_bytes(keccak(ANSWERS.to_bytes(32, "big")), "big")
    newest = first + market.aggregator.call("latestRoundData")[0] - 1
    override = {market.aggregator.address: {"stateDiff": {f"{newest:#066x}": f"{answer:#066x}"}}}
    data = lab.house.data("liquidate", trader, market.base.address)
    call = {"from": LIQUIDATOR, "to": lab.house.address, "data": data}
    try:
        lab.node.rpc("eth_call", call, "latest", override)
    except RevertedError as error:
        return str(error)
    return "OK"


@pytest.mark.parametrize("lab", [3], indirect=True, ids=["seed 3"])
def test_a_chain_that_turns_leaves_what_a_fresh_index_leaves(lab: Lab, tmp_path: Path) -> None:
    """Blocks with trades are replaced by others: nothing of the first ones may remain."""
    path, fresh = tmp_path / "followed.duckdb", tmp_path / "fresh.duckdb"
    indexed(lab, path)
    fork, now = lab.node.rpc("evm_snapshot"), lab.node.now
    for taker in lab.takers[:6]:
        lab.curie.deposit(taker, lab.curie.usdc, 700 * UNIT)
        lab.curie.open(taker, lab.curie.markets[0], 300 * WAD)
    indexed(lab, path)
    assert lab.node.rpc("evm_revert", fork)
    lab.node.now = now + 7
    for taker in lab.takers[3:15]:
        lab.curie.deposit(taker, lab.curie.weth, WAD)
        allowed(lambda t=taker: lab.curie.open(t, lab.curie.markets[1], -200 * WAD))
    compare(lab, path)
    indexed(lab, fresh)
    newest = int(lab.node.rpc("eth_blockNumber"), 16)
    for table in TABLES:
        sql = f"select * from {table} where block_number = {newest} order by all"
        assert ask(path, sql) == ask(fresh, sql)
    sql = "select * from position_events order by all"
    assert ask(path, sql) == ask(fresh, sql)
