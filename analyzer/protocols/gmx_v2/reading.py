"""What a snapshot reads, in a handful of big rounds, and how it is put together."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from analyzer.abi import load_abi
from analyzer.errors import AnalyzerError
from analyzer.evm import ZERO_ADDRESS, Block
from analyzer.protocol import Deployment
from analyzer.protocols.gmx_v2.datastore import NAME, DataStore, Word
from analyzer.protocols.gmx_v2.deployments import DATA_STORE, REFERRAL_STORAGE
from analyzer.protocols.gmx_v2.keys import key
from analyzer.protocols.gmx_v2.probe import set_members
from analyzer.protocols.gmx_v2.readings import Readings
from analyzer.protocols.gmx_v2.releases import Release
from analyzer.protocols.gmx_v2.state import Market
from analyzer.protocols.gmx_v2.words import (
    MARKET_FIELDS,
    MARKET_LIST,
    POSITION_LIST,
    feed_words,
    global_words,
    inventory_words,
    market_fields,
    market_words,
    position_fields,
    sum_words,
)
from analyzer.reads import Failed, MissingError, Read, Reads, Values

Questions = dict[Any, Read]

ALL: Final = "POSITION_LIST"


def read_state(
    deployment: Deployment,
    release: Release,
    block: Block,
    accounts: Sequence[str],
) -> Reads[Readings]:
    """Markets, tokens and price feeds; positions; every account's discounts.

    ``accounts`` narrows the positions that are read. Which there are the DataStore lists itself, so
    no log is needed to find one.
    """
    store = DataStore(deployment.contracts[DATA_STORE].lower())
    got = Readings(deployment, release, block)
    sets = _position_sets(accounts)
    got.take(
        (
            yield {
                ("global", "", name): store.read(name, word) for name, word in global_words(release)
            }
            | {("count", "MARKET_LIST", ""): store.count(ALL, "getAddressCount", MARKET_LIST)}
            | {
                ("count", name, ""): store.count(name, "getBytes32Count", set_key)
                for name, set_key in sets.items()
            }
        )
    )
    yield from _read_sets(got, store, sets)
    yield from _read_members(got, store)
    yield from _read_words(got, store, set(_accounts(got)))
    yield from _read_referrals(got)
    return got


def _position_sets(accounts: Sequence[str]) -> dict[str, bytes]:
    if not accounts:
        return {ALL: POSITION_LIST}
    return {account: key("ACCOUNT_POSITION_LIST", account) for account in accounts}


def _read_sets(got: Readings, store: DataStore, sets: Mapping[str, bytes]) -> Reads[None]:
    """Markets and position keys. Without them there is nothing to say at all."""
    try:
        counts = {name: got.need("count", name, "") for name in ("MARKET_LIST", *sets)}
    except MissingError as error:
        raise AnalyzerError(f"{got.deployment.name}: {error}") from error
    markets = yield from set_members(
        store, "getAddressValuesAt", {"MARKET_LIST": (MARKET_LIST, counts["MARKET_LIST"])}
    )
    members = yield from set_members(
        store, "getBytes32ValuesAt", {name: (sets[name], counts[name]) for name in sets}
    )
    got.market_keys = markets["MARKET_LIST"]
    got.position_keys = [f"0x{one.hex()}" for name in sets for one in members[name]]


def _read_members(got: Readings, store: DataStore) -> Reads[None]:
    """The fields of markets and positions."""
    questions: Questions = {}
    for market in got.market_keys:
        questions |= _words(store, "props", market, market_fields(market))
    for position in got.position_keys:
        fields = position_fields(got.release, bytes.fromhex(position[2:]))
        questions |= _words(store, "position", position, fields)
    got.take((yield questions) if questions else {})
    props = {
        market: [got.get("props", market, name) for name in MARKET_FIELDS]
        for market in got.market_keys
    }
    got.markets = {
        market: Market(*tokens) for market, tokens in props.items() if None not in tokens
    }


def _read_words(got: Readings, store: DataStore, accounts: Iterable[str]) -> Reads[None]:
    """Words of markets, tokens and accounts, and then what some of them point to."""
    questions: Questions = {}
    for market, props in got.markets.items():
        if props.index_token != ZERO_ADDRESS:
            questions |= _words(store, "market", market, market_words(got.release, props))
            questions |= _words(store, "sum", market, sum_words(props))
    erc20, referrals = load_abi(NAME, "Token"), _referral_storage(got)
    for token in got.tokens:
        questions |= _words(store, "token", token, feed_words(token))
        for name in ("symbol", "decimals"):
            questions["token", token, name] = erc20.at(token).read(name)
    for account in sorted(accounts):
        tier = Word("getUint", key("PRO_TRADER_TIER", account))
        questions["account", account, "PRO_TRADER_TIER"] = store.read("PRO_TRADER_TIER", tier)
        questions["account", account, "traderReferralCodes"] = referrals.read(
            "traderReferralCodes", account
        )
    got.take((yield questions) if questions else {})
    got.take((yield from _ask(_pointed_to(got, store))))


def _pointed_to(got: Readings, store: DataStore) -> Questions:
    questions: Questions = {}
    referrals, feed_abi = _referral_storage(got), load_abi(NAME, "PriceFeed")
    for kind, owner, name in list(got.values):
        value = got.get(kind, owner, name)
        if not value:
            continue
        if name == "VIRTUAL_TOKEN_ID":
            questions |= _words(store, "inventory", value, inventory_words(value))
        elif name == "PRICE_FEED" and value != ZERO_ADDRESS:
            for function in ("latestRoundData", "decimals"):
                questions["feed", value, function] = feed_abi.at(value).read(function)
        elif name == "PRO_TRADER_TIER":
            factor = Word("getUint", key("PRO_DISCOUNT_FACTOR", value))
            questions["tier", value, "PRO_DISCOUNT_FACTOR"] = store.read(
                "PRO_DISCOUNT_FACTOR", factor
            )
        elif name == "traderReferralCodes" and any(value):
            questions["code", value, "codeOwners"] = referrals.read("codeOwners", value)
    return questions


def _read_referrals(got: Readings) -> Reads[None]:
    """Owner of every code, tier of every owner, discount of every tier: also of nobody's codes."""
    referrals = _referral_storage(got)
    owners = {
        value
        for (kind, _, _), value in got.values.items()
        if kind == "code" and not isinstance(value, Failed)
    }
    got.take(
        (
            yield from _ask(
                {
                    ("referrer", owner, name): referrals.read(name, owner)
                    for owner in sorted(owners)
                    for name in ("referrerTiers", "referrerDiscountShares")
                }
            )
        )
    )
    tiers = {got.get("referrer", owner, "referrerTiers") for owner in owners} - {None}
    got.take(
        (
            yield from _ask(
                {("rebate", tier, "tiers"): referrals.read("tiers", tier) for tier in sorted(tiers)}
            )
        )
    )


def _ask(questions: Questions) -> Reads[Mapping[Any, Any]]:
    if not questions:
        return {}
    values: Values = yield questions
    return values


def _words(store: DataStore, kind: str, owner: Any, words: Iterable[tuple[str, Word]]) -> Questions:
    return {(kind, owner, name): store.read(name, word) for name, word in words}


def _accounts(got: Readings) -> Iterator[str]:
    for position in got.position_keys:
        account = got.get("position", position, "account")
        if account is not None:
            yield account


def _referral_storage(got: Readings) -> Any:
    return load_abi(NAME, "ReferralStorage").at(got.deployment.contracts[REFERRAL_STORAGE])
