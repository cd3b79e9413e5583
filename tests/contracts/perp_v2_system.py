"""The real Curie system on a local chain: deployed, and driven like its users drive it."""

from dataclasses import dataclass
from math import isqrt

from tests.contracts.anvil import Anvil, Contract, artifact, mock

CURIE = "@perp/curie-contract@2.8.4"
ORACLE = "@perp/perp-oracle-contract@0.6.7"
UNISWAP = "@uniswap/v3-core@1.0.0"
WAD = 10**18
UNIT = 10**6
POOL_FEE = 3_000
MANY = 2**128
FAR_AWAY = 2**63
OBSERVATIONS = 400
AGEING_SECONDS = 2_000
FIRST_QUOTE_BYTE = 0xD0
ROLES = (
    "ClearingHouse", "AccountBalance", "Exchange", "OrderBook", "MarketRegistry", "Vault",
    "CollateralManager", "ClearingHouseConfig", "InsuranceFund",
)  # fmt: skip


@dataclass(frozen=True)
class CurieMarket:
    """A market with its oracle."""

    base: Contract
    pool: Contract
    aggregator: Contract


@dataclass(frozen=True)
class Curie:
    """A deployed system. Traders are impersonated addresses."""

    node: Anvil
    usdc: Contract
    weth: Contract
    weth_aggregator: Contract
    contracts: dict[str, Contract]
    markets: list[CurieMarket]
    start_block: int

    def addresses(self) -> dict[str, str]:
        return {role: self.contracts[role].address for role in ROLES}

    def deposit(self, trader: str, token: Contract, amount: int) -> None:
        vault = self.contracts["Vault"]
        token.send("mint", trader, amount, sender=trader)
        token.send("approve", vault.address, amount, sender=trader)
        vault.send("deposit", token.address, amount, sender=trader)

    def open(self, trader: str, market: CurieMarket, quote: int) -> None:
        """Go long by so much quote, or short if it is negative."""
        is_short = quote < 0
        order = (
            market.base.address, is_short, not is_short, abs(quote), 0, FAR_AWAY, 0, b"\0" * 32,
        )  # fmt: skip
        self.contracts["ClearingHouse"].send("openPosition", order, sender=trader)

    def close(self, trader: str, market: CurieMarket) -> None:
        order = (market.base.address, 0, 0, FAR_AWAY, b"\0" * 32)
        self.contracts["ClearingHouse"].send("closePosition", order, sender=trader)

    def add_liquidity(
        self, maker: str, market: CurieMarket, base: int, quote: int, width: int
    ) -> tuple[int, int]:
        """An order of ``width`` tick spacings on both sides of the price; its ticks."""
        tick = market.pool.call("slot0")[1] // 60 * 60
        ticks = tick - width * 60, tick + width * 60
        order = (market.base.address, base, quote, *ticks, 0, 0, False, FAR_AWAY)
        self.contracts["ClearingHouse"].send("addLiquidity", order, sender=maker)
        return ticks

    def remove_liquidity(
        self, maker: str, market: CurieMarket, ticks: tuple[int, int], liquidity: int
    ) -> None:
        order = (market.base.address, *ticks, liquidity, 0, 0, FAR_AWAY)
        self.contracts["ClearingHouse"].send("removeLiquidity", order, sender=maker)


def published(name: str, package: str = CURIE) -> dict:
    return artifact(package, f"artifacts/contracts/{name}.sol/{name}.json")


def deploy(node: Anvil, prices: dict[str, tuple[int, int]]) -> Curie:
    """Markets by name, with their oracle's decimals and first price in those decimals."""

    def made(name: str, *arguments: object, package: str = CURIE) -> Contract:
        return node.deploy(published(name, package), *arguments)

    def curie(name: str, *arguments: object) -> Contract:
        contract = made(name)
        contract.send("initialize", *arguments)
        return contract

    usdc = node.deploy(mock("Token"), "USDC", 6)
    weth = node.deploy(mock("Token"), "WETH", 18)
    factory = made("UniswapV3Factory", package=UNISWAP)
    quote = _quote_token(node)
    start_block = int(node.rpc("eth_blockNumber"), 16) + 1
    config = curie("ClearingHouseConfig")
    registry = curie("MarketRegistry", factory.address, quote.address)
    book = curie("OrderBook", registry.address)
    balance = curie("AccountBalance", config.address, book.address)
    exchange = curie("Exchange", registry.address, book.address, config.address)
    fund = curie("InsuranceFund", usdc.address)
    vault = curie("Vault", fund.address, config.address, balance.address, exchange.address)
    manager = curie(
        "CollateralManager",
        config.address,
        vault.address,
        5,
        750_000,
        500_000,
        2_000,
        30_000,
        10_000 * UNIT,
        500 * UNIT,
    )
    house = curie(
        "ClearingHouse",
        config.address,
        vault.address,
        quote.address,
        factory.address,
        exchange.address,
        balance.address,
        fund.address,
    )
    book.send("setExchange", exchange.address)
    fund.send("setVault", vault.address)
    balance.send("setVault", vault.address)
    exchange.send("setAccountBalance", balance.address)
    vault.send("setCollateralManager", manager.address)
    for contract in (registry, book, exchange, balance, vault):
        contract.send("setClearingHouse", house.address)
    config.send("setSettlementTokenBalanceCap", MANY)
    quote.send("mintMaximumTo", house.address)
    quote.send("addWhitelist", house.address)
    decimals, first_price = next(iter(prices.values()))
    weth_aggregator = node.deploy(mock("Aggregator"), decimals, first_price)
    feed = made(
        "ChainlinkPriceFeedV2",
        weth_aggregator.address,
        900,
        package=ORACLE,
    )
    manager.send("addCollateral", weth.address, (feed.address, 700_000, 100_000, MANY * WAD))
    contracts = {
        "ClearingHouse": house,
        "AccountBalance": balance,
        "Exchange": exchange,
        "OrderBook": book,
        "MarketRegistry": registry,
        "Vault": vault,
        "CollateralManager": manager,
        "ClearingHouseConfig": config,
        "InsuranceFund": fund,
    }
    markets = [
        _market(node, name, quote, factory, contracts, oracle_decimals, price)
        for name, (oracle_decimals, price) in prices.items()
    ]
    node.wait(AGEING_SECONDS)
    return Curie(node, usdc, weth, weth_aggregator, contracts, markets, start_block)


def _quote_token(node: Anvil) -> Contract:
    """One at a high address: base tokens have to come before it."""
    token = published("QuoteToken")
    while True:
        quote = node.deploy(token)
        if int(quote.address[2:4], 16) >= FIRST_QUOTE_BYTE:
            quote.send("initialize", "vUSD", "vUSD")
            return quote


def _market(
    node: Anvil,
    name: str,
    quote: Contract,
    factory: Contract,
    contracts: dict[str, Contract],
    decimals: int,
    price: int,
) -> CurieMarket:
    house, registry = contracts["ClearingHouse"], contracts["MarketRegistry"]
    aggregator = node.deploy(mock("Aggregator"), decimals, price)
    feed = node.deploy(
        published("ChainlinkPriceFeedV3", ORACLE),
        aggregator.address,
        10**9,
        900,
    )
    dispatcher = node.deploy(published("PriceFeedDispatcher", ORACLE), feed.address)
    token = published("BaseToken")
    base = node.deploy(token)
    while base.address >= quote.address:
        base = node.deploy(token)
    base.send("initialize", name, name, dispatcher.address)
    factory.send("createPool", base.address, quote.address, POOL_FEE)
    pool = Contract(
        node,
        published("UniswapV3Pool", UNISWAP)["abi"],
        factory.call("getPool", base.address, quote.address, POOL_FEE).lower(),
    )
    pool.send("initialize", isqrt(price * 2**192 // 10**decimals))
    pool.send("increaseObservationCardinalityNext", OBSERVATIONS)
    for account in (house.address, pool.address):
        base.send("addWhitelist", account)
        quote.send("addWhitelist", account)
    base.send("mintMaximumTo", house.address)
    registry.send("addPool", base.address, POOL_FEE)
    registry.send("setFeeRatio", base.address, 1_000)
    registry.send("setInsuranceFundFeeRatio", base.address, 200_000)
    contracts["Exchange"].send("setMaxTickCrossedWithinBlock", base.address, 1_000)
    return CurieMarket(base, pool, aggregator)
