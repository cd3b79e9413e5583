"""Which price of a token a verdict uses, and where it comes from.

Keepers liquidate at prices that are signed off chain and shown on chain when they are executed; the
on-chain feed beside them is an estimate of the next one. Each counts up to an age that the protocol
sets. Which of them verdicts rest on is the user's choice; a price that the user gives goes before.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from analyzer.assets import asset_of
from analyzer.evm import ZERO_ADDRESS
from analyzer.protocol import FRESHEST, PriceBasis, State
from analyzer.protocols.gmx_v2.precision import FLOAT_PRECISION
from analyzer.protocols.gmx_v2.readings import Readings
from analyzer.protocols.gmx_v2.state import Market, Price, Prices
from analyzer.protocols.gmx_v2.words import HEARTBEAT, MAX_PRICE_AGE
from analyzer.reads import Failed, MissingError
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

Ground = Literal["user", "executed", "feed", "last_observed"]
"""Why a price is the one that counts: ``last_observed`` is past its age, as all others are."""
GROUNDS: Final[Mapping[str, Ground]] = {EXECUTED: "executed", ORACLE: "feed", USER: "user"}


@dataclass(frozen=True, slots=True)
class Quote:
    """A token's price by one source, in USD (30 decimals) per smallest unit.

    ``None``: the source names no price. ``Failed``: it names one, and what it is could not be read.
    ``max_age`` is up to how many seconds after ``observed_at`` it counts, by the word
    ``max_age_source``; ``None`` where the deployment does not say, or that was not read.
    """

    source: PriceSource
    price: Price | Failed | None
    observed_at: int | None
    facts: Mapping[str, Any]
    max_age: int | None = None
    max_age_source: str | None = None

    def counts_at(self, time: int) -> bool:
        """Whether its age lets it count at a unix time; where the age is unknown, it may."""
        if self.observed_at is None:
            return isinstance(self.price, Failed)
        return self.max_age is not None and self.observed_at + self.max_age >= time


@dataclass(frozen=True, slots=True)
class TokenPrices:
    """All that is known of a token's price; ``used`` is what verdicts rest on, ``ground`` why."""

    token: str
    decimals: int | None
    quotes: tuple[Quote, ...]
    used: Quote | None
    ground: Ground | None

    def by(self, source: str) -> Quote | None:
        """What a source says of it, if it names a price."""
        named = (quote for quote in self.quotes if quote.price is not None)
        return next((quote for quote in named if quote.source == source), None)


def token_prices(
    got: Readings,
    state: State | None,
    users: Mapping[str, int],
    basis: PriceBasis = FRESHEST,
) -> dict[str, TokenPrices]:
    """Every token's prices, with the one that counts on this basis."""
    return {token: _prices_of(got, token, state or {}, users, basis) for token in got.tokens}


def choose(
    quotes: Sequence[Quote], basis: PriceBasis, time: int
) -> tuple[Quote | None, Ground | None]:
    """The price that counts, and why: the user's own, that of the basis, the first not too old."""
    named = [quote for quote in quotes if quote.price is not None]
    given = [quote for quote in named if GROUNDS[quote.source] == "user"]
    chosen = [quote for quote in named if GROUNDS[quote.source] == basis]
    young = [quote for quote in named if quote.counts_at(time)]
    for quote in (*given, *chosen, *young):
        return quote, GROUNDS[quote.source]
    if not named:
        return None, None
    return max(named, key=lambda quote: quote.observed_at or 0), "last_observed"


def market_prices(market: Market, prices: Mapping[str, TokenPrices]) -> Prices:
    """``MarketPrices``; ``MissingError`` names the token that has no price."""
    return Prices(
        *(
            price_of(token, prices[token].used if token in prices else None)
            for token in (market.index_token, market.long_token, market.short_token)
        )
    )


def price_of(token: str, quote: Quote | None) -> Price:
    """The price of a quote; ``MissingError`` says why there is none."""
    if quote is None or quote.price is None:
        raise MissingError(f"token {token} has no price: none executed, and no feed that answers")
    if isinstance(quote.price, Failed):
        raise MissingError(f"the {quote.source} price of token {token}: {quote.price.reason}")
    return quote.price


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


def _prices_of(
    got: Readings, token: str, state: State, users: Mapping[str, int], basis: PriceBasis
) -> TokenPrices:
    decimals = decimals_of(got, token)
    found = (
        _user(got, token, decimals, users),
        _executed(got, token, state),
        _feed(got, token),
    )
    quotes = tuple(quote for quote in found if quote is not None)
    return TokenPrices(token, decimals, quotes, *choose(quotes, basis, got.block.time))


def _user(
    got: Readings, token: str, decimals: int | None, users: Mapping[str, int]
) -> Quote | None:
    """A user's price, by the token's asset or address, in E18 USD per whole token."""
    asset = asset_of(got.deployment.chain_id, token)
    named = {name.lower(): price for name, price in users.items()}
    given = named.get(token, named.get(asset.lower()) if asset is not None else None)
    if given is None:
        return None
    price: Price | Failed
    if decimals is None:
        price = Failed("the token's decimals are not known")
    else:
        scaled = given * FLOAT_PRECISION // 10 ** (18 + decimals)
        price = Price(scaled, scaled) if scaled else Failed("it is 0 in the contract's unit")
    return Quote(USER, price, got.block.time, {"price": given})


def _executed(got: Readings, token: str, state: State) -> Quote | None:
    """The newest ``OraclePriceUpdate``, which ``Oracle`` accepts up to ``MAX_ORACLE_PRICE_AGE``.

    A word of 0 was never set: no age at all would be young enough.
    """
    after = state.get(PRICE_STATE + token)
    if after is None:
        return None
    price = Price(after["minPrice"], after["maxPrice"])
    age = got.get("global", "", MAX_PRICE_AGE) or None
    return Quote(EXECUTED, price, after["timestamp"], after, age, age and MAX_PRICE_AGE)


def _feed(got: Readings, token: str) -> Quote | None:
    """``ChainlinkPriceFeedProvider.getOraclePrice``, where it would not revert but for its age."""
    feed = got.values.get(("token", token, "PRICE_FEED"), ZERO_ADDRESS)
    if isinstance(feed, Failed):
        return Quote(ORACLE, feed, None, {"reason": feed.reason})
    if feed == ZERO_ADDRESS:
        return None
    facts = {
        "priceFeed": feed,
        **{
            name: got.get("token", token, name)
            for name in ("PRICE_FEED_MULTIPLIER", HEARTBEAT, "STABLE_PRICE")
        },
        "decimals": got.get("feed", feed, "decimals"),
    }
    heartbeat = facts[HEARTBEAT]
    limit = (heartbeat, None if heartbeat is None else HEARTBEAT)
    round_data = got.values.get(("feed", feed, "latestRoundData"))
    if round_data is None or isinstance(round_data, Failed):
        facts["reason"] = "the feed does not answer"
        lost = None if round_data is None or round_data.reverted else round_data
        return Quote(ORACLE, lost, None, facts, *limit)
    _, answer, _, updated_at, _ = round_data
    facts |= {"answer": answer, "updatedAt": updated_at}
    return Quote(ORACLE, _feed_price(got, token, answer), updated_at, facts, *limit)


def _feed_price(got: Readings, token: str, answer: int) -> Price | Failed | None:
    """A feed's answer in the contract's unit, stretched to the token's stable price if it has one.

    The contract takes no answer that is not positive.
    """
    multiplier, stable = (
        got.values.get(("token", token, name), Failed(f"{name} was not read"))
        for name in ("PRICE_FEED_MULTIPLIER", "STABLE_PRICE")
    )
    for one in (multiplier, stable):
        if isinstance(one, Failed):
            return one
    price = max(0, answer) * multiplier // FLOAT_PRECISION
    if not price:
        return None
    return Price(min(price, stable), max(price, stable)) if stable else Price(price, price)
