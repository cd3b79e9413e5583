"""The state reads of a snapshot: three rounds, and more only where many blocks had trades."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from analyzer.evm import Block
from analyzer.protocol import Deployment
from analyzer.protocols.perp_v1.amm import OUTPUT_TWAP_INTERVAL, Amm, ReserveSnapshot
from analyzer.protocols.perp_v1.clearing_house import Config
from analyzer.protocols.perp_v1.contracts import clearing_house, contract, read
from analyzer.protocols.perp_v1.deployments import BACKSTOP
from analyzer.protocols.perp_v1.probe import config_reads
from analyzer.reads import Failed, MissingError, Questions, Read, Reads, Values

AMM_READS: Final = (
    "MAX_ORACLE_SPREAD_RATIO", "fluctuationLimitRatio", "fundingPeriod", "fundingRate",
    "getLiquidityHistoryLength", "getReserve", "getSettlementPrice", "getSnapshotLen",
    "getUnderlyingPrice", "nextFundingTime", "open", "priceFeed", "priceFeedKey", "quoteAsset",
    "spotPriceTwapInterval", "totalPositionSize", "tradeLimitRatio",
)  # fmt: skip
FRACTION: Final = "getLatestCumulativePremiumFraction"
FIRST_SNAPSHOTS: Final = 64
MOST_SNAPSHOTS: Final = 4096
"""An AMM that claims more snapshots than this in a quarter of an hour is not believed."""
Key = tuple[str, str]
"""AMM and account."""


@dataclass(slots=True)
class Market:
    """What was read of one AMM, by the contract's names; failed reads stay in it."""

    address: str
    values: Values = field(default_factory=Values)
    snapshots: dict[int, Any] = field(default_factory=dict)

    def get(self, name: str) -> Any:
        """The value, or None where there is none."""
        value = self.values.get(name)
        return None if isinstance(value, Failed) else value

    def amm(self, block: Block) -> Amm:
        """What a verdict needs; raises ``MissingError`` with what is missing."""
        need = self.values.need
        price = self.values["getUnderlyingPrice"]
        if isinstance(price, Failed) and not price.reverted:
            raise MissingError(price.reason)
        quote, base = need("getReserve")
        length = need("getSnapshotLen")
        order = sorted(self.snapshots)
        for value in self.snapshots.values():
            if isinstance(value, Failed):
                raise MissingError(value.reason)
        if not order or order[-1] != length - 1:
            raise MissingError("the AMM has no reserve snapshot")
        return Amm(
            quote_asset_reserve=quote,
            base_asset_reserve=base,
            reserve_snapshots=tuple(ReserveSnapshot(*self.snapshots[i]) for i in order),
            first_snapshot=order[0],
            underlying_price=revert_reason(price) if isinstance(price, Failed) else price,
            latest_cumulative_premium_fraction=need(FRACTION),
            is_open=need("open"),
            settlement_price=need("getSettlementPrice"),
            block_timestamp=block.time,
            block_number=block.number,
            max_oracle_spread_ratio=need("MAX_ORACLE_SPREAD_RATIO"),
            trade_limit_ratio=self.get("tradeLimitRatio"),
            fluctuation_limit_ratio=self.get("fluctuationLimitRatio"),
        )

    def further(self, now: int) -> range:
        """The indices of the next snapshots to be read, newest first needed; empty when done."""
        length = self.get("getSnapshotLen")
        if length is None or length < 1:
            return range(0)
        if not self.snapshots:
            return range(max(0, length - FIRST_SNAPSHOTS), length)
        first = min(self.snapshots)
        oldest = self.snapshots[first]
        if isinstance(oldest, Failed) or oldest[2] <= now - OUTPUT_TWAP_INTERVAL:
            return range(0)
        held = len(self.snapshots)
        return range(max(0, first - held) if held < MOST_SNAPSHOTS else first, first)


@dataclass(frozen=True, slots=True)
class Readings:
    """Everything that a snapshot read; positions by (AMM, account)."""

    deployment: Deployment
    block: Block
    config_values: Values
    markets: Mapping[str, Market]
    tokens: Mapping[str, Values]
    positions: Mapping[Key, Any]

    def config(self) -> Config:
        """The ClearingHouse's parameters, or ``MissingError``."""
        need = self.config_values.need
        return Config(
            init_margin_ratio=need("initMarginRatio"),
            maintenance_margin_ratio=need("maintenanceMarginRatio"),
            liquidation_fee_ratio=need("liquidationFeeRatio"),
            partial_liquidation_ratio=need("partialLiquidationRatio"),
            has_backstop=self.deployment.options.get("release") == BACKSTOP,
        )


def read_config(deployment: Deployment, known: Iterable[str]) -> Reads[tuple[Values, list[str]]]:
    """The first round: ratios and AMMs, the known ones included that the fund does not list."""
    values = yield config_reads(deployment)
    listed = values["getAllAmms"]
    named = () if isinstance(listed, Failed) else listed
    return values, list(dict.fromkeys([*named, *sorted(known)]))


def read_markets(deployment: Deployment, amms: Iterable[str]) -> Reads[dict[str, Market]]:
    """The second round: every AMM's state and its cumulative premium fraction."""
    house = clearing_house(deployment)
    questions: dict[tuple[str, str], Read] = {}
    markets = {amm: Market(amm) for amm in amms}
    for amm in markets:
        of = contract("Amm", amm)
        questions |= {(amm, name): read(of, name) for name in AMM_READS}
        questions[amm, FRACTION] = read(house, FRACTION, amm)
    values = yield questions
    for amm, name in questions:
        markets[amm].values[name] = values[amm, name]
    return markets


def read_rest(
    deployment: Deployment,
    block: Block,
    config_values: Values,
    markets: Mapping[str, Market],
    wanted: Iterable[Key],
) -> Reads[Readings]:
    """The third round, with the stored words of the ``wanted`` positions.

    Where TWAPs reach further back, there are more rounds of snapshots alone.
    """
    house = clearing_house(deployment)
    tokens = sorted({t for m in markets.values() if (t := m.get("quoteAsset")) is not None})
    questions: dict[Any, Read] = {
        **{("token", t, n): _token(t, n) for t in tokens for n in ("symbol", "decimals")},
        **{
            ("position", amm, who): read(house, "getPosition", amm, who, is_optional=True)
            for amm, who in sorted(wanted)
        },
    }
    for amm, market in markets.items():
        questions |= {("market", amm, key): made for key, made in _funding_reads(market).items()}
    values = yield {**questions, **_snapshot_reads(markets, block)}
    found = Values(values)
    while _keep_snapshots(markets, values) and (more := _snapshot_reads(markets, block)):
        values = yield more
    of_tokens = {token: Values() for token in tokens}
    for token, name, value in _of_kind(found, "token"):
        of_tokens[token][name] = value
    for amm, name, value in _of_kind(found, "market"):
        markets[amm].values[name] = value
    positions = {(amm, who): value for amm, who, value in _of_kind(found, "position")}
    return Readings(deployment, block, config_values, markets, of_tokens, positions)


def revert_reason(failed: Failed) -> str:
    """The contract's own reason in a failed read's."""
    return failed.reason.partition("reverted: ")[2]


def _token(address: str, name: str) -> Read:
    return read(contract("ERC20", address), name)


def _funding_reads(market: Market) -> Questions:
    """Both TWAPs of the next funding payment, and how old the oracle's answer is."""
    of = contract("Amm", market.address)
    questions: dict[str, Read] = {}
    interval = market.get("spotPriceTwapInterval")
    if interval is not None:
        questions["getTwapPrice"] = read(of, "getTwapPrice", interval)
        questions["getUnderlyingTwapPrice"] = read(of, "getUnderlyingTwapPrice", interval)
    feed, key = market.get("priceFeed"), market.get("priceFeedKey")
    if feed is not None and key is not None:
        questions["getLatestTimestamp"] = read(
            contract("PriceFeed", feed), "getLatestTimestamp", key
        )
    return questions


def _snapshot_reads(markets: Mapping[str, Market], block: Block) -> dict[Any, Read]:
    return {
        ("snapshot", amm, index): read(contract("Amm", amm), "reserveSnapshots", index)
        for amm, market in markets.items()
        for index in market.further(block.time)
    }


def _keep_snapshots(markets: Mapping[str, Market], values: Values) -> bool:
    """Take over the snapshots of a round; whether there were any."""
    taken = list(_of_kind(values, "snapshot"))
    for amm, index, value in taken:
        markets[amm].snapshots[index] = value
    return bool(taken)


def _of_kind(values: Values, kind: str) -> Iterator[tuple[Any, Any, Any]]:
    keys: list[Any] = list(values)
    return ((key[1], key[2], values[key]) for key in keys if key[0] == kind)
