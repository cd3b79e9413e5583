"""Which DataStore words a verdict rests on, under the names that ``state.Words`` goes by."""

from collections.abc import Iterator
from typing import Final

from analyzer.protocols.gmx_v2.datastore import Word
from analyzer.protocols.gmx_v2.keys import field_key, key, name_key
from analyzer.protocols.gmx_v2.releases import Release
from analyzer.protocols.gmx_v2.state import Market, side, sign

MARKET_LIST: Final = name_key("MARKET_LIST")
POSITION_LIST: Final = name_key("POSITION_LIST")

MARKET_FIELDS: Final = ("MARKET_TOKEN", "INDEX_TOKEN", "LONG_TOKEN", "SHORT_TOKEN")

POSITION_FIELDS: Final = {
    "account": ("ACCOUNT", "getAddress"),
    "market": ("MARKET", "getAddress"),
    "collateralToken": ("COLLATERAL_TOKEN", "getAddress"),
    "isLong": ("IS_LONG", "getBool"),
    "sizeInUsd": ("SIZE_IN_USD", "getUint"),
    "sizeInTokens": ("SIZE_IN_TOKENS", "getUint"),
    "collateralAmount": ("COLLATERAL_AMOUNT", "getUint"),
    "pendingImpactAmount": ("PENDING_IMPACT_AMOUNT", "getInt"),
    "borrowingFactor": ("BORROWING_FACTOR", "getUint"),
    "fundingFeeAmountPerSize": ("FUNDING_FEE_AMOUNT_PER_SIZE", "getUint"),
    "longTokenClaimableFundingAmountPerSize": (
        "LONG_TOKEN_CLAIMABLE_FUNDING_AMOUNT_PER_SIZE", "getUint",
    ),
    "shortTokenClaimableFundingAmountPerSize": (
        "SHORT_TOKEN_CLAIMABLE_FUNDING_AMOUNT_PER_SIZE", "getUint",
    ),
    "increasedAtTime": ("INCREASED_AT_TIME", "getUint"),
    "decreasedAtTime": ("DECREASED_AT_TIME", "getUint"),
}  # fmt: skip
"""The contract's names of a position's fields, with their DataStore names and getters."""

GLOBAL: Final = (
    "MIN_COLLATERAL_USD", "POSITION_FEE_RECEIVER_FACTOR", "BORROWING_FEE_RECEIVER_FACTOR",
    "MAX_ORACLE_REF_PRICE_DEVIATION_FACTOR",
)  # fmt: skip
PLAIN: Final = (
    "MIN_COLLATERAL_FACTOR", "MAX_POSITION_IMPACT_FACTOR_FOR_LIQUIDATIONS",
    "LIQUIDATION_FEE_FACTOR", "FUNDING_UPDATED_AT", "FUNDING_FACTOR", "FUNDING_EXPONENT_FACTOR",
    "FUNDING_INCREASE_FACTOR_PER_SECOND", "FUNDING_DECREASE_FACTOR_PER_SECOND",
    "THRESHOLD_FOR_STABLE_FUNDING", "THRESHOLD_FOR_DECREASE_FUNDING",
)  # fmt: skip
BY_SIGN: Final = ("POSITION_FEE_FACTOR", "POSITION_IMPACT_FACTOR", "MAX_POSITION_IMPACT_FACTOR")
BY_SIDE: Final = (
    "CUMULATIVE_BORROWING_FACTOR", "CUMULATIVE_BORROWING_FACTOR_UPDATED_AT", "BORROWING_FACTOR",
    "BORROWING_EXPONENT_FACTOR", "OPTIMAL_USAGE_FACTOR", "BASE_BORROWING_FACTOR",
    "ABOVE_OPTIMAL_USAGE_BORROWING_FACTOR", "OPEN_INTEREST_RESERVE_FACTOR",
)  # fmt: skip
BY_COLLATERAL_AND_SIDE: Final = (
    "OPEN_INTEREST", "OPEN_INTEREST_IN_TOKENS", "FUNDING_FEE_AMOUNT_PER_SIZE",
    "CLAIMABLE_FUNDING_AMOUNT_PER_SIZE",
)  # fmt: skip
FUNDING_LIMITS: Final = ("MIN_FUNDING_FACTOR_PER_SECOND", "MAX_FUNDING_FACTOR_PER_SECOND")
MAX_PRICE_AGE: Final = "MAX_ORACLE_PRICE_AGE"
"""Up to which age, in seconds, ``Oracle`` accepts a signed price."""
HEARTBEAT: Final = "PRICE_FEED_HEARTBEAT_DURATION"
"""Up to which age, in seconds, ``Oracle`` accepts the price of a token's on-chain feed."""
IMPACT_EXPONENT: Final = "POSITION_IMPACT_EXPONENT_FACTOR"
MAX_PNL: Final = "MAX_PNL_FACTOR_FOR_TRADERS"


def global_words(release: Release) -> Iterator[tuple[str, Word]]:
    """Words that hold for all markets."""
    for name in GLOBAL:
        yield name, Word("getUint", key(name))
    yield MAX_PRICE_AGE, Word("getUint", key(MAX_PRICE_AGE), is_optional=True)
    yield _flag("SKIP_BORROWING_FEE_FOR_SMALLER_SIDE")
    if release.tokens_mode:
        yield _flag("USE_OPEN_INTEREST_IN_TOKENS_FOR_BALANCE")


def market_words(release: Release, market: Market) -> Iterator[tuple[str, Word]]:
    """A market's own words, but for its virtual inventory, which has an id to be read first."""
    m = market.market_token
    for name in PLAIN:
        yield name, _uint(name, m)
    if release.has_pending_impact:
        yield (
            "MIN_COLLATERAL_FACTOR_FOR_LIQUIDATION",
            _uint("MIN_COLLATERAL_FACTOR_FOR_LIQUIDATION", m),
        )
    yield (
        "SAVED_FUNDING_FACTOR_PER_SECOND",
        Word("getInt", key("SAVED_FUNDING_FACTOR_PER_SECOND", m)),
    )
    yield "IS_MARKET_DISABLED", Word("getBool", key("IS_MARKET_DISABLED", m))
    yield "VIRTUAL_TOKEN_ID", Word("getBytes32", key("VIRTUAL_TOKEN_ID", market.index_token))
    yield from _impact_words(release, m)
    yield from _side_words(release, m)
    tokens = {"longToken": market.long_token, "shortToken": market.short_token}
    for collateral, token in tokens.items():
        yield f"POOL_AMOUNT:{collateral}", _uint("POOL_AMOUNT", m, token)
        for name in BY_COLLATERAL_AND_SIDE:
            for is_long in (True, False):
                yield f"{name}:{collateral}:{side(is_long)}", _uint(name, m, token, is_long)


def inventory_words(virtual_token_id: int) -> Iterator[tuple[str, Word]]:
    """The virtual inventory of an index token that has one."""
    for name in ("VIRTUAL_INVENTORY_FOR_POSITIONS", "VIRTUAL_INVENTORY_FOR_POSITIONS_IN_TOKENS"):
        yield name, Word("getInt", key(name, virtual_token_id))


def feed_words(token: str) -> Iterator[tuple[str, Word]]:
    """A token's on-chain price feed, if it has one, and what else its price is made of."""
    yield "PRICE_FEED", Word("getAddress", key("PRICE_FEED", token))
    yield "PRICE_FEED_MULTIPLIER", _uint("PRICE_FEED_MULTIPLIER", token)
    yield HEARTBEAT, _uint(HEARTBEAT, token)
    yield "STABLE_PRICE", Word("getUint", key("STABLE_PRICE", token), is_optional=True)


def market_fields(market_token: str) -> Iterator[tuple[str, Word]]:
    """The addresses of ``Market.Props``."""
    for name in MARKET_FIELDS:
        yield name, Word("getAddress", field_key(market_token, name))


def position_fields(release: Release, position_key: bytes) -> Iterator[tuple[str, Word]]:
    """The fields of ``Position.Props``."""
    for field, (name, getter) in POSITION_FIELDS.items():
        if release.has_pending_impact or field != "pendingImpactAmount":
            yield field, Word(getter, field_key(position_key, name))


def release_words(market_token: str) -> Iterator[tuple[str, Word]]:
    """The words from which a market shows what release it is kept by."""
    m = market_token
    yield "MIN_FUNDING_INCREASE_RATE_PER_SECOND", _uint("MIN_FUNDING_INCREASE_RATE_PER_SECOND", m)
    yield "MIN_COLLATERAL_FACTOR_FOR_LIQUIDATION", _uint("MIN_COLLATERAL_FACTOR_FOR_LIQUIDATION", m)
    yield IMPACT_EXPONENT, _uint(IMPACT_EXPONENT, m)
    for flag in (True, False):
        yield f"{IMPACT_EXPONENT}:{sign(flag)}", _uint(IMPACT_EXPONENT, m, flag)
        yield f"{FUNDING_LIMITS[1]}:{side(flag)}", _uint(FUNDING_LIMITS[1], m, flag)


def _impact_words(release: Release, m: str) -> Iterator[tuple[str, Word]]:
    for name in BY_SIGN:
        for is_positive in (True, False):
            yield f"{name}:{sign(is_positive)}", _uint(name, m, is_positive)
    if release.split_impact_exponents:
        for is_positive in (True, False):
            yield f"{IMPACT_EXPONENT}:{sign(is_positive)}", _uint(IMPACT_EXPONENT, m, is_positive)
    else:
        yield IMPACT_EXPONENT, _uint(IMPACT_EXPONENT, m)


def _side_words(release: Release, m: str) -> Iterator[tuple[str, Word]]:
    for is_long in (True, False):
        yield f"{MAX_PNL}:{side(is_long)}", _uint("MAX_PNL_FACTOR", name_key(MAX_PNL), m, is_long)
        for name in BY_SIDE:
            yield f"{name}:{side(is_long)}", _uint(name, m, is_long)
        if release.funding_limits_by_side:
            for name in FUNDING_LIMITS:
                yield f"{name}:{side(is_long)}", _uint(name, m, is_long)
    if release.funding_limits_by_side:
        name = "MIN_FUNDING_INCREASE_RATE_PER_SECOND"
        yield name, _uint(name, m)
    else:
        for name in FUNDING_LIMITS:
            yield name, _uint(name, m)


def _uint(name: str, *arguments: bytes | str | int | bool) -> Word:
    return Word("getUint", key(name, *arguments))


def _flag(name: str) -> tuple[str, Word]:
    return name, Word("getBool", key(name))
