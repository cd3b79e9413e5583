"""The real Curie system on a local chain: deployed, and driven like its users drive it."""

from dataclasses import dataclass
from math import isqrt

from tests.contracts.anvil import Anvil, Artifact, Deployed, mock, published

CURIE = "@perp/curie-contract"
ORACLE = "@perp/perp-oracle-contract"
UNISWAP = "@uniswap/v3-core"
OWNER = "0x" + "0a" * 20
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

    base: Deployed
    pool: Deployed
    aggregator: Deployed


@dataclass(frozen=True)
class Curie:
    """A deployed system. Traders are impersonated addresses."""

    chain: Anvil
    usdc: Deployed
    weth: Deployed
    weth_aggregator: Deployed
    contracts: dict[str, Deployed]
    markets: list[CurieMarket]
    start_block: int

    def addresses(self) -> dict[str, str]:
        return {role: self.contracts[role].address for role in ROLES}

    def deposit(self, trader: str, token: Deployed, amount: int) -> None:
        vault = self.contracts["Vault"]
        token.send(trader, "mint", trader, amount)
        token.send(trader, "approve", vault.address, amount)
        vault.send(trader, "deposit", token.address, amount)

    def open(self, trader: str, market: CurieMarket, quote: int) -> None:
        """Go long by so much quote, or short if it is negative."""
        is_short = quote < 0
        order = (
            market.base.address, is_short, not is_short, abs(quote), 0, FAR_AWAY, 0, b"\0" * 32,
        )  # fmt: skip
        self.contracts["ClearingHouse"].send(trader, "openPosition", order)

    def close(self, trader: str, market: CurieMarket) -> None:
        order = (market.base.address, 0, 0, FAR_AWAY, b"\0" * 32)
        self.contracts["ClearingHouse"].send(trader, "closePosition", order)

    def add_liquidity(
        self, maker: str, market: CurieMarket, base: int, quote: int, width: int
    ) -> tuple[int, int]:
        """An order of ``width`` tick spacings on both sides of the price; its ticks."""
        tick = market.pool.call("slot0")[1] // 60 * 60
        ticks = tick - width * 60, tick + width * 60
        order = (market.base.address, base, quote, *ticks, 0, 0, False, FAR_AWAY)
        self.contracts["ClearingHouse"].send(maker, "addLiquidity", order)
        return ticks

    def remove_liquidity(
        self, maker: str, market: CurieMarket, ticks: tuple[int, int], liquidity: int
    ) -> None:
        order = (market.base.address, *ticks, liquidity, 0, 0, FAR_AWAY)
        self.contracts["ClearingHouse"].send(maker, "removeLiquidity", order)


def deploy(chain: Anvil, prices: dict[str, tuple[int, int]]) -> Curie:
    """Markets by name, with their oracle's decimals and first price in those decimals."""

    def made(path: str, *arguments: object, package: str = CURIE) -> Deployed:
        return chain.deploy(OWNER, published(package, path), *arguments)

    def curie(name: str, *arguments: object) -> Deployed:
        contract = made(f"{name}.sol/{name}.json")
        contract.send(OWNER, "initialize", *arguments)
        return contract

    usdc = chain.deploy(OWNER, mock("Token"), "USDC", 6)
    weth = chain.deploy(OWNER, mock("Token"), "WETH", 18)
    factory = made("UniswapV3Factory.sol/UniswapV3Factory.json", package=UNISWAP)
    quote = _quote_token(chain)
    start_block = chain.block_number() + 1
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
    book.send(OWNER, "setExchange", exchange.address)
    fund.send(OWNER, "setVault", vault.address)
    balance.send(OWNER, "setVault", vault.address)
    exchange.send(OWNER, "setAccountBalance", balance.address)
    vault.send(OWNER, "setCollateralManager", manager.address)
    for contract in (registry, book, exchange, balance, vault):
        contract.send(OWNER, "setClearingHouse", house.address)
    config.send(OWNER, "setSettlementTokenBalanceCap", MANY)
    quote.send(OWNER, "mintMaximumTo", house.address)
    quote.send(OWNER, "addWhitelist", house.address)
    decimals, first_price = next(iter(prices.values()))
    weth_aggregator = chain.deploy(OWNER, mock("Aggregator"), decimals, first_price)
    feed = made(
        "ChainlinkPriceFeedV2.sol/ChainlinkPriceFeedV2.json",
        weth_aggregator.address,
        900,
        package=ORACLE,
    )
    manager.send(OWNER, "addCollateral", weth.address, (feed.address, 700_000, 100_000, MANY * WAD))
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
        _market(chain, name, quote, factory, contracts, oracle_decimals, price)
        for name, (oracle_decimals, price) in prices.items()
    ]
    chain.pass_time(AGEING_SECONDS)
    return Curie(chain, usdc, weth, weth_aggregator, contracts, markets, start_block)


def _quote_token(chain: Anvil) -> Deployed:
    """One at a high address: base tokens have to come before it."""
    artifact = published(CURIE, "QuoteToken.sol/QuoteToken.json")
    while True:
        quote = chain.deploy(OWNER, artifact)
        if int(quote.address[2:4], 16) >= FIRST_QUOTE_BYTE:
            quote.send(OWNER, "initialize", "vUSD", "vUSD")
            return quote


def _market(
    chain: Anvil,
    name: str,
    quote: Deployed,
    factory: Deployed,
    contracts: dict[str, Deployed],
    decimals: int,
    price: int,
) -> CurieMarket:
    house, registry = contracts["ClearingHouse"], contracts["MarketRegistry"]
    aggregator = chain.deploy(OWNER, mock("Aggregator"), decimals, price)
    feed = chain.deploy(
        OWNER,
        published(ORACLE, "ChainlinkPriceFeedV3.sol/ChainlinkPriceFeedV3.json"),
        aggregator.address,
        10**9,
        900,
    )
    dispatcher = chain.deploy(
        OWNER, published(ORACLE, "PriceFeedDispatcher.sol/PriceFeedDispatcher.json"), feed.address
    )
    artifact: Artifact = published(CURIE, "BaseToken.sol/BaseToken.json")
    base = chain.deploy(OWNER, artifact)
    while base.address >= quote.address:
        base = chain.deploy(OWNER, artifact)
    base.send(OWNER, "initialize", name, name, dispatcher.address)
    factory.send(OWNER, "createPool", base.address, quote.address, POOL_FEE)
    pool = Deployed(
        chain,
        published(UNISWAP, "UniswapV3Pool.sol/UniswapV3Pool.json"),
        factory.call("getPool", base.address, quote.address, POOL_FEE).lower(),
    )
    pool.send(OWNER, "initialize", isqrt(price * 2**192 // 10**decimals))
    pool.send(OWNER, "increaseObservationCardinalityNext", OBSERVATIONS)
    for account in (house.address, pool.address):
        base.send(OWNER, "addWhitelist", account)
        quote.send(OWNER, "addWhitelist", account)
    base.send(OWNER, "mintMaximumTo", house.address)
    registry.send(OWNER, "addPool", base.address, POOL_FEE)
    registry.send(OWNER, "setFeeRatio", base.address, 1_000)
    registry.send(OWNER, "setInsuranceFundFeeRatio", base.address, 200_000)
    contracts["Exchange"].send(OWNER, "setMaxTickCrossedWithinBlock", base.address, 1_000)
    return CurieMarket(base, pool, aggregator)
