"""The published v1 contracts on a local chain, with seeded traders."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from random import Random

from eth_utils.crypto import keccak

from analyzer.protocol import Deployment
from tests.contracts.anvil import Anvil, Contract, RevertedError, artifact, mock

PACKAGE = "@perp/contract@2.2.0"
ONE = 10**18
HOUR = 3600
MARKETS = {"ETH": (1_500, 10_000_000), "CRV": (2, 3_000_000), "OLD": (5, 1_000_000)}
BUY, SELL = 0, 1
QUOTE_RESERVE, BASE_RESERVE, SNAPSHOTS = 209, 210, 224
"""Storage slots of the published Amm."""
ANSWERS = 1
"""Storage slot of our aggregator's answers."""


def published(name: str) -> dict:
    return artifact(PACKAGE, f"build/contracts/src/{name}.sol/{name}.json")


def slot_of(array: int) -> int:
    """The slot of a dynamic array's first word."""
    return int.from_bytes(keccak(array.to_bytes(32, "big")), "big")


def words(slots: Iterable[tuple[int, int]]) -> dict[str, str]:
    """Storage as JSON-RPC has it."""
    return {f"{slot:#066x}": f"{value:#066x}" for slot, value in slots}


@dataclass
class System:
    """A deployed exchange. ``traders`` hold tokens; ``keeper`` liquidates and moves markets."""

    node: Anvil
    token: Contract
    house: Contract
    fund: Contract
    feed: Contract
    viewer: Contract
    amms: dict[str, Contract]
    aggregators: dict[str, Contract]
    traders: list[str]
    keeper: str
    random: Random
    refused: dict[str, int] = field(default_factory=dict)

    def deployment(self) -> Deployment:
        """What a user would write into the config file."""
        return Deployment(
            protocol="perp_v1",
            name="local",
            chain_id=31337,
            start_block=0,
            contracts={
                "ClearingHouse": self.house.address,
                "InsuranceFund": self.fund.address,
                "ClearingHouseViewer": self.viewer.address,
            },
            options={"liquidator": self.keeper},
        )

    def try_to(self, function: str, *arguments: object, sender: str) -> bool:
        """A transaction that the contract may refuse; the reasons are counted."""
        try:
            self.house.send(function, *arguments, sender=sender)
        except RevertedError as error:
            self.refused[str(error)] = self.refused.get(str(error), 0) + 1
            return False
        return True

    def trade(self, name: str, trader: str) -> None:
        """Something that a trader might do in a market."""
        amm = self.amms[name].address
        what = self.random.choices(["open", "close", "add", "remove"], weights=[12, 2, 2, 2])[0]
        amount = (self.random.randrange(20, 3_000) * ONE + self.random.randrange(ONE) // 10**12,)
        match what:
            case "open":
                side = self.random.choice([BUY, SELL])
                leverage = (self.random.randrange(10, 101) * ONE // 10,)
                self.try_to("openPosition", amm, side, amount, leverage, (0,), sender=trader)
            case "close":
                self.try_to("closePosition", amm, (0,), sender=trader)
            case "add":
                self.try_to("addMargin", amm, amount, sender=trader)
            case "remove":
                self.try_to("removeMargin", amm, (amount[0] // 50,), sender=trader)

    def push(self, name: str, price: int) -> None:
        """A new answer of the oracle."""
        self.aggregators[name].send("push", price * ONE)

    def move(self, name: str, percent: int) -> None:
        """The keeper moves a market's price about so far, in one trade."""
        quote = self.amms[name].call("getReserve")[0][0]
        amount = quote * abs(percent) // 200
        side = BUY if percent > 0 else SELL
        self.try_to(
            "openPosition",
            self.amms[name].address,
            side,
            (amount,),
            (ONE,),
            (0,),
            sender=self.keeper,
        )

    def would_liquidate(
        self, name: str, trader: str, reserve: int, oracle: int | None = None
    ) -> bool:
        """Whether ``liquidate`` passes with other reserves, on their curve and in the newest
        snapshot, and with another answer of the oracle; nothing is mined.
        """
        amm = self.amms[name]
        quote, base = (value[0] for value in amm.call("getReserve"))
        moved = [reserve, quote * base // ONE * ONE // reserve]
        newest = slot_of(SNAPSHOTS) + 4 * (amm.call("getSnapshotLen") - 1)
        slots = [QUOTE_RESERVE, BASE_RESERVE, newest, newest + 1]
        overrides = {amm.address: {"stateDiff": words(zip(slots, moved * 2, strict=True))}}
        if oracle is not None:
            aggregator = self.aggregators[name]
            latest = slot_of(ANSWERS) + aggregator.call("latestRoundData")[0] - 1
            overrides[aggregator.address] = {"stateDiff": words([(latest, oracle)])}
        data = self.house.data("liquidate", amm.address, trader)
        call = {"from": self.keeper, "to": self.house.address, "data": data}
        try:
            self.node.rpc("eth_call", call, "latest", overrides)
        except RevertedError:
            return False
        return True

    def pay_funding(self) -> None:
        """Funding of every open market, once its time has come."""
        for amm in self.amms.values():
            if amm.call("open") and self.node.now >= amm.call("nextFundingTime"):
                self.house.send("payFunding", amm.address)

    def liquidatable(self) -> list[tuple[str, str]]:
        """Market and trader of everybody whom the contract would let the keeper liquidate."""
        found = []
        for name, amm in self.amms.items():
            for trader in self.traders:
                try:
                    self.house.call("liquidate", amm.address, trader, sender=self.keeper)
                except RevertedError:
                    continue
                found.append((name, trader))
        return found


def deploy(node: Anvil, seed: int) -> System:
    """A fresh exchange with three markets; trading is open, nobody has traded."""
    _, keeper, forwarder, *traders = node.accounts
    token = node.deploy(mock("Token"), "USDC", 6)
    fund = node.deploy(published("InsuranceFund"))
    fund.send("initialize")
    house = node.deploy(published("ClearingHouse"))
    house.send("initialize", ONE // 10, ONE // 16, ONE // 80, fund.address, forwarder)
    house.send("setPartialLiquidationRatio", (ONE // 4,))
    fund.send("setBeneficiary", house.address)
    feed = node.deploy(published("ChainlinkPriceFeed"))
    feed.send("initialize")
    viewer = node.deploy(published("ClearingHouseViewer"), house.address)
    amms, aggregators = {}, {}
    for name, (price, quote) in MARKETS.items():
        key = name.encode().ljust(32, b"\0")
        aggregators[name] = node.deploy(mock("Aggregator"), 18, price * ONE)
        feed.send("addAggregator", key, aggregators[name].address)
        amm = node.deploy(published("Amm"))
        amm.send(
            "initialize", quote * ONE, quote * ONE // price, 9 * ONE // 10, HOUR, feed.address, key,
            token.address, 0, 0, ONE // 1000,
        )  # fmt: skip
        amm.send("setCounterParty", house.address)
        fund.send("addAmm", amm.address)
        amm.send("setOpen", True)
        amms[name] = amm
    token.send("mint", fund.address, 10**7 * 10**6)
    for account in (keeper, *traders):
        token.send("mint", account, 10**8 * 10**6)
        token.send("approve", house.address, 2**255, sender=account)
    return System(
        node, token, house, fund, feed, viewer, amms, aggregators, traders, keeper, Random(seed)
    )
