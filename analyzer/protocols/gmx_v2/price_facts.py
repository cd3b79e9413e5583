"""What is said of the prices that verdicts rest on: source, time, age and the width of each."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from analyzer.protocol import PriceBasis
from analyzer.protocols.gmx_v2.prices import EXECUTED, ORACLE, USER, Ground, Quote, TokenPrices
from analyzer.protocols.gmx_v2.state import Price
from analyzer.units import decimal_text

USD_DECIMALS: Final = 30
SOURCES: Final = {
    EXECUTED: "newest executed OraclePriceUpdate",
    ORACLE: "on-chain feed, an estimate",
    USER: "given by the user",
}
LAST_OBSERVED: Final[Ground] = "last_observed"


def price_facts(known: TokenPrices, quote: Quote, time: int) -> dict[str, Any]:
    """A price with where it is from and how old it is at a unix time.

    ``min`` and ``max`` are the contract's integers, ``price_min`` and ``price_max`` the same in USD
    per whole token; ages are in seconds.
    """
    price = quote.price if isinstance(quote.price, Price) else None
    return {
        "token": known.token,
        "source": quote.source,
        "min": price.min if price else None,
        "max": price.max if price else None,
        "price_min": usd_text(price.min if price else None, known.decimals),
        "price_max": usd_text(price.max if price else None, known.decimals),
        "observed_at": quote.observed_at,
        "age": None if quote.observed_at is None else time - quote.observed_at,
        "max_age": quote.max_age,
        "max_age_source": quote.max_age_source,
    }


def usd_text(price: int | None, decimals: int | None) -> str | None:
    """A contract price as exact USD per whole token."""
    if price is None or decimals is None:
        return None
    return decimal_text(price * 10**decimals, USD_DECIMALS)


def basis_text(
    basis: PriceBasis, prices: Mapping[str, TokenPrices], used: Iterable[str], time: int
) -> str:
    """The basis that was chosen, and which kinds of prices verdicts rest on with their ages."""
    kinds: dict[tuple[str, bool], list[TokenPrices]] = {}
    for known in (prices[token] for token in used):
        if known.used is not None:
            kinds.setdefault((known.used.source, known.ground == LAST_OBSERVED), []).append(known)
    named = [
        _kind(source, kinds[source, is_last], time, is_last=is_last)
        for is_last in (False, True)
        for source in SOURCES
        if (source, is_last) in kinds
    ]
    return f"{basis}: {'; '.join(named) if named else 'no prices'}"


def _kind(source: str, known: Iterable[TokenPrices], time: int, *, is_last: bool) -> str:
    quotes = [one.used for one in known if one.used is not None]
    text = f"{LAST_OBSERVED}: {SOURCES[source]}" if is_last else SOURCES[source]
    ages = sorted(time - quote.observed_at for quote in quotes if quote.observed_at is not None)
    if source == USER or not ages:
        return text
    oldest = f"{ages[-1]:,} s old"
    age = oldest if ages[0] == ages[-1] else f"{ages[0]:,} to {oldest}"
    if all(quote.counts_at(time) for quote in quotes):
        return f"{text} ({age})"
    if any(quote.max_age is None for quote in quotes):
        return f"{text} ({age}, no limit known)"
    return f"{text} ({age}, past its limit)"
