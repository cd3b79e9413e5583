"""The reads of a snapshot: five rounds of plain getters, whatever the number of positions.

Nothing here asks a contract for a verdict or for what an account is worth.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from analyzer.abi import Contract
from analyzer.evm import ZERO_ADDRESS, Block
from analyzer.protocol import Deployment
from analyzer.protocols.evidence import UnreadableLog
from analyzer.protocols.gmx_v1.contracts import (
    MOST_TOKENS,
    Identity,
    contract,
    optional_read,
    vault_of,
)
from analyzer.reads import Failed, MissingError, Read, Reads, Values

VAULT: Final = (
    "allWhitelistedTokensLength", "fundingInterval", "fundingRateFactor", "gov", "includeAmmPrice",
    "inPrivateLiquidationMode", "isLeverageEnabled", "liquidationFeeUsd", "marginFeeBasisPoints",
    "maxLeverage", "minProfitTime", "priceFeed", "stableFundingRateFactor",
)  # fmt: skip
VAULT_TOKEN: Final = (
    "cumulativeFundingRates", "getMaxPrice", "getMinPrice", "globalShortSizes", "guaranteedUsd",
    "lastFundingTimes", "minProfitBasisPoints", "poolAmounts", "reservedAmounts",
    "shortableTokens", "stableTokens", "tokenDecimals", "whitelistedTokens",
)  # fmt: skip
TIMELOCK: Final = ("marginFeeBasisPoints", "maxMarginFeeBasisPoints")
FEED: Final = (
    "isSecondaryPriceEnabled", "maxStrictPriceDeviation", "priceSampleSpace", "secondaryPriceFeed",
)  # fmt: skip
FEED_TOKEN: Final = (
    "adjustmentBasisPoints", "isAdjustmentAdditive", "priceDecimals", "priceFeeds",
    "spreadBasisPoints", "strictStableTokens",
)  # fmt: skip
FAST: Final = (
    "disableFastPriceVoteCount", "isSpreadEnabled", "lastUpdatedAt", "maxDeviationBasisPoints",
    "maxPriceUpdateDelay", "minAuthorizations", "priceDuration", "spreadBasisPointsIfChainError",
    "spreadBasisPointsIfInactive",
)  # fmt: skip
FAST_TOKEN: Final = ("getPriceData", "maxCumulativeDeltaDiffs", "prices")
MOST_SAMPLES: Final = 16
"""A price feed that samples more rounds than this is not explained."""


@dataclass(frozen=True, slots=True)
class Readings:
    """Everything that was read at a block.

    Values stand under (contract, function, arguments...); ``tokens`` are the whitelist and the
    tokens of known positions, in that order.
    """

    deployment: Deployment
    variants: tuple[str, ...]
    block: Block
    tokens: Sequence[str]
    values: Values

    def need(self, *key: Any) -> Any:
        """A value, or ``MissingError`` with the reason why there is none."""
        if key not in self.values:
            raise MissingError(f"{'.'.join(key[:2])} was not asked for")
        return self.values.need(key)

    def get(self, *key: Any) -> Any:
        """A value, or ``None`` if there is none."""
        value = self.values.get(key)
        return None if isinstance(value, Failed) else value

    def answers(self, contract_name: str, function: str) -> Iterator[tuple[Any, Any]]:
        """All answers of a function of one argument, ``Failed`` ones included, by argument."""
        for key, value in self.values.items():
            assert isinstance(key, tuple)
            if key[:2] == (contract_name, function):
                yield key[-1], value


def read_state(
    deployment: Deployment,
    variants: tuple[str, ...],
    block: Block,
    known: Iterable[Identity],
    unreadable: Sequence[UnreadableLog],
    accounts: Sequence[str],
) -> Reads[Readings]:
    """Read the vault, its tokens and price feeds, and ``getPosition``.

    That is asked of the ``known`` positions, of those that logs may have changed that could not be
    read, and of all that ``accounts`` can have. Only the last were asked for by the user: a
    recorded chain must hold those.
    """
    vault = vault_of(deployment)
    known = list(known)
    got = Readings(deployment, variants, block, (), Values())
    got.values.update((yield ask(vault, VAULT)))
    got.values.update((yield _second_round(got, vault)))
    tokens = _tokens(got, known)
    got = Readings(deployment, variants, block, tokens, got.values)
    got.values.update((yield _token_words(got, vault)))
    wanted = dict.fromkeys(known, True)
    for log in unreadable:
        wanted |= dict.fromkeys(_named(got, log, known), True)
    wanted |= dict.fromkeys(_possible(got, accounts), False)
    got.values.update((yield _fourth_round(got, vault, wanted)))
    rounds = _rounds(got)
    if rounds:
        got.values.update((yield rounds))
    return got


def ask(of: Contract, functions: Iterable[str], *arguments: Any) -> dict[Any, Read]:
    """Reads of several functions with the same arguments, by contract, function, arguments."""
    return {(of.abi.contract, name, *arguments): of.read(name, *arguments) for name in functions}


def _second_round(got: Readings, vault: Contract) -> dict[Any, Read]:
    length = min(got.get("Vault", "allWhitelistedTokensLength") or 0, MOST_TOKENS)
    questions: dict[Any, Read] = {}
    for index in range(length):
        questions |= ask(vault, ("allWhitelistedTokens",), index)
    feed = got.get("Vault", "priceFeed")
    if feed:
        questions |= ask(contract("VaultPriceFeed", feed), FEED)
    if got.get("Vault", "inPrivateLiquidationMode") and got.get("Vault", "gov"):
        timelock = contract("Timelock", got.get("Vault", "gov"))
        questions |= {("Timelock", name): optional_read(timelock, name) for name in TIMELOCK}
    return questions


def _tokens(got: Readings, known: Iterable[Identity]) -> list[str]:
    listed = got.answers("Vault", "allWhitelistedTokens")
    whitelist = [token for _, token in listed if not isinstance(token, Failed)]
    held = sorted({token for one in known for token in (one.collateral_token, one.index_token)})
    return list(dict.fromkeys([*whitelist, *held]))


def _token_words(got: Readings, vault: Contract) -> dict[Any, Read]:
    feed = got.get("Vault", "priceFeed")
    questions: dict[Any, Read] = {}
    for token in got.tokens:
        questions |= ask(vault, VAULT_TOKEN, token)
        erc20 = contract("Token", token)
        questions |= {("Token", name, token): erc20.read(name) for name in ("decimals", "symbol")}
        if feed is None:
            continue
        prices = contract("VaultPriceFeed", feed)
        questions |= ask(prices, FEED_TOKEN, token)
        for maximise in (False, True):
            questions |= ask(prices, ("getPrimaryPrice",), token, maximise)
            questions |= ask(prices, ("getPrice",), token, maximise, False, False)
    return questions


def _possible(got: Readings, accounts: Iterable[str]) -> list[Identity]:
    """Every position that an account can have: longs of a token in itself, shorts in stables."""
    stable = [t for t in got.tokens if got.get("Vault", "stableTokens", t) is True]
    volatile = [t for t in got.tokens if got.get("Vault", "stableTokens", t) is False]
    shortable = [t for t in volatile if got.get("Vault", "shortableTokens", t) is not False]
    return [
        identity
        for account in accounts
        for identity in (
            *(Identity(account, token, token, True) for token in volatile),
            *(Identity(account, held, token, False) for held in stable for token in shortable),
        )
    ]


def _named(got: Readings, log: UnreadableLog, known: Iterable[Identity]) -> list[Identity]:
    """The positions that a log which could not be read may have been about.

    A position's key among its words proves which: it is the hash of account, tokens and side. Else
    it may be any position that its addresses can make up.
    """
    keys = {"0x" + word for word in log.words}
    accounts = [address for address in log.addresses if address not in got.tokens]
    possible = {*known, *_possible(got, accounts)}
    proven = [identity for identity in possible if identity.key() in keys]
    if proven:
        return proven
    tokens = set(log.addresses).intersection(got.tokens) or set(got.tokens)
    return [
        identity
        for identity in possible
        if identity.account in accounts
        and {identity.collateral_token, identity.index_token} <= tokens
    ]


def _fourth_round(
    got: Readings, vault: Contract, wanted: Mapping[Identity, bool]
) -> dict[Any, Read]:
    """Fast prices, feeds, and the ``wanted`` positions with whether each read is optional."""
    questions: dict[Any, Read] = {}
    secondary = got.get("VaultPriceFeed", "secondaryPriceFeed")
    if secondary not in (None, ZERO_ADDRESS):
        fast = contract("FastPriceFeed", secondary)
        questions |= ask(fast, FAST)
        for token in got.tokens:
            if got.get("Vault", "stableTokens", token) is False:
                questions |= ask(fast, FAST_TOKEN, token)
    for token, feed in _feeds(got):
        reads = ask(contract("PriceFeed", feed), ("latestAnswer", "latestRound"))
        questions |= {(*key, token): read for key, read in reads.items()}
    for identity, is_optional in sorted(wanted.items()):
        questions["Vault", "getPosition", identity] = vault.read(
            "getPosition", *identity.arguments(), is_optional=is_optional
        )
    return questions


def _rounds(got: Readings) -> dict[Any, Read]:
    """The newest round of each feed, for its time, and the older ones that are sampled."""
    samples = got.get("VaultPriceFeed", "priceSampleSpace") or 1
    samples = samples if samples <= MOST_SAMPLES else 1
    questions: dict[Any, Read] = {}
    for token, feed in _feeds(got):
        latest = got.get("PriceFeed", "latestRound", token) or 0
        for back in range(min(samples, latest)):
            read = contract("PriceFeed", feed).read("getRoundData", latest - back)
            questions["PriceFeed", "getRoundData", token, back] = read
    return questions


def _feeds(got: Readings) -> list[tuple[str, str]]:
    feeds = [(token, got.get("VaultPriceFeed", "priceFeeds", token)) for token in got.tokens]
    return [(token, feed) for token, feed in feeds if feed not in (None, ZERO_ADDRESS)]
