"""Which price of a token a verdict uses, and where it comes from.

Keepers liquidate at prices that are signed off chain and shown on chain when they are executed. So
the newest executed price counts; where there is none, the on-chain feed gives an estimate. A price
that the user gives goes before both.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from analyzer.assets import asset_of
from analyzer.evm import ZERO_ADDRESS
from analyzer.protocol import State
from analyzer.protocols.gmx_v2.precision import FLOAT_PRECISION
from analyzer.protocols.gmx_v2.readings import Readings
from analyzer.protocols.gmx_v2.state import Market, Price, Prices
from analyzer.reads import MissingError
from analyzer.rows import PriceRole, PriceSource

EXECUTED: Final = "executed"
ORACLE: Final = "oracle"
USER: Final = "user"
ROLES: Final[dict[PriceSource, PriceRole]] = {
    EXECUTED: "keeper", ORACLE: "reference", USER: "user",
}  # fmt: skip
PRICE_STATE: Final = "price:"
"""State keys of executed prices: this and the token."""
LOST: Final = "lost:"
"""State keys of accounts of which a position's change could not be read: this and the account."""
MOST_DECIMALS: Final = 60


@dataclass(frozen=True, slots=True)
class Quote:
    """A token's price by one source, in USD (30 decimals) per smallest unit; ``None``: no price."""

    source: PriceSource
    price: Price | None
    observed_at: int | None
    facts: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class TokenPrices:
    """All that is known of a token's price; ``used`` is the source that verdicts take."""

    token: str
    decimals: int | None
    quotes: tuple[Quote, ...]

    @property
    def used(self) -> Quote | None:
        """The first source that names a price."""
        return next((quote for quote in self.quotes if quote.price is not None), None)


def token_prices(
    got: Readings, state: State | None, users: Mapping[str, int]
) -> dict[str, TokenPrices]:
    """Every token's prices, the source that counts first."""
    return {token: _prices_of(got, token, state or {}, users) for token in got.tokens}


def market_prices(market: Market, prices: Mapping[str, TokenPrices]) -> Prices:
    """``MarketPrices``; ``MissingError`` names the token that has no price."""
    return Prices(
        *(
            _need(token, prices)
            for token in (market.index_token, market.long_token, market.short_token)
        )
    )


def _need(token: str, prices: Mapping[str, TokenPrices]) -> Price:
    used = prices[token].used if token in prices else None
    if used is None or used.price is None:
        raise MissingError(f"token {token} has no price: none executed, and no feed that answers")
    return used.price


def decimals_of(got: Readings, token: str) -> int | None:
    """A token's decimals: its own word, else what its feed's multiplier implies.

    A synthetic index token has an address without code. ``PRICE_FEED_MULTIPLIER`` is
    10^(60 - feed decimals - token decimals).
    """
    own = got.get("token", token, "decimals")
    if own is not None:
        return int(own) if own <= MOST_DECIMALS else None
    multiplier = got.get("token", token, "PRICE_FEED_MULTIPLIER")
    feed_decimals = got.get("feed", got.get("token", token, "PRICE_FEED"), "decimals")
    if not multiplier or feed_decimals is None:
        return None
    exponent = len(str(multiplier)) - 1
    decimals = 60 - int(feed_decimals) - exponent
    is_power = multiplier == 10**exponent
    return decimals if is_power and 0 <= decimals <= MOST_DECIMALS else None


def _prices_of(got: Readings, token: str, state: State, users: Mapping[str, int]) -> TokenPrices:
    decimals = decimals_of(got, token)
    quotes = (
        _user(got, token, decimals, users),
        _executed(token, state),
        _feed(got, token),
    )
    return TokenPrices(token, decimals, tuple(quote for quote in quotes if quote is not None))


def _user(
    got: Readings, token: str, decimals: int | None, users: Mapping[str, int]
) -> Quote | None:
    """A user's price, by the token's asset or address, in E18 USD per whole token."""
    asset = asset_of(got.deployment.chain_id, token)
    named = {name.lower(): price for name, price in users.items()}
    given = named.get(token, named.get(asset.lower()) if asset is not None else None)
    if given is None:
        return None
    if decimals is None:
        return Quote(USER, None, None, {"price": given, "reason": "token decimals are not known"})
    price = given * FLOAT_PRECISION // 10 ** (18 + decimals)
    return Quote(USER, Price(price, price) if price > 0 else None, got.block.time, {"price": given})


def _executed(token: str, state: State) -> Quote | None:
    after = state.get(PRICE_STATE + token)
    if after is None:
        return None
    price = Price(after["minPrice"], after["maxPrice"])
    return Quote(EXECUTED, price, after["timestamp"], after)


def _feed(got: Readings, token: str) -> Quote | None:
    """``ChainlinkPriceFeedUtils.getPriceFeedPrice`` without its check of age."""
    feed = got.get("token", token, "PRICE_FEED")
    if feed in (None, ZERO_ADDRESS):
        return None
    multiplier = got.get("token", token, "PRICE_FEED_MULTIPLIER")
    round_data = got.get("feed", feed, "latestRoundData")
    facts = {
        "priceFeed": feed,
        "PRICE_FEED_MULTIPLIER": multiplier,
        "PRICE_FEED_HEARTBEAT_DURATION": got.get("token", token, "PRICE_FEED_HEARTBEAT_DURATION"),
        "decimals": got.get("feed", feed, "decimals"),
    }
    if round_data is None or multiplier is None:
        return Quote(ORACLE, None, None, {**facts, "reason": "the feed does not answer"})
    _, answer, _, updated_at, _ = round_data
    price = max(0, answer) * multiplier // FLOAT_PRECISION
    return Quote(
        ORACLE,
        Price(price, price) if price else None,
        updated_at,
        {**facts, "answer": answer, "updatedAt": updated_at},
    )
