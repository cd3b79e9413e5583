"""The other prices that a liquidation may be executed at, and the exact verdict at each of them.

A position that is safe at one price and liquidatable at another, both of which the protocol would
accept, is neither: nobody can say which of the two the next transaction brings.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from analyzer.protocols.gmx_v2.assess import Assessed, Assessor, Basis
from analyzer.protocols.gmx_v2.price_facts import USD_DECIMALS, price_facts, usd_text
from analyzer.protocols.gmx_v2.prices import (
    EXECUTED,
    ORACLE,
    USER,
    Quote,
    TokenPrices,
    price_of,
)
from analyzer.protocols.gmx_v2.risk import Closing, Verdict
from analyzer.protocols.gmx_v2.state import Market, Price, Prices
from analyzer.reads import MissingError
from analyzer.rows import LIQUIDATABLE, SAFE, UNKNOWN
from analyzer.units import decimal_text

OPPOSITE: Final = {SAFE: LIQUIDATABLE, LIQUIDATABLE: SAFE}


@dataclass(frozen=True, slots=True)
class PriceSet:
    """A market's tokens (index, long, short), each with the quote in place of its used one.

    Where there is no other, that is the used one itself.
    """

    tokens: tuple[TokenPrices, ...]
    quotes: tuple[Quote, ...]

    @property
    def prices(self) -> Prices:
        """The prices as the contract takes them."""
        pairs = zip(self.tokens, self.quotes, strict=True)
        return Prices(*(price_of(known.token, quote) for known, quote in pairs))

    @property
    def changed(self) -> list[tuple[TokenPrices, Quote, Quote]]:
        """The tokens that have another price here, each with its used quote and the other one."""
        pairs = zip(self.tokens, self.quotes, strict=True)
        found = {
            known.token: (known, known.used, quote)
            for known, quote in pairs
            if known.used is not None and known.used is not quote
        }
        return list(found.values())


def price_sets(market: Market, prices: Mapping[str, TokenPrices], time: int) -> Iterator[PriceSet]:
    """The market's prices by each source, where its verdicts do not rest on them already.

    Once those of the source that still count at a unix time, once all where some are too old.
    """
    tokens = tuple(
        prices[token] for token in (market.index_token, market.long_token, market.short_token)
    )
    for source in (EXECUTED, ORACLE):
        young = PriceSet(tokens, tuple(_quote(known, source, time) for known in tokens))
        whole = PriceSet(tokens, tuple(_quote(known, source, None) for known in tokens))
        yield from (one for one in ([young] if whole == young else [young, whole]) if one.changed)


def _quote(known: TokenPrices, source: str, time: int | None) -> Quote:
    """What the source says of a token, if it counts at a time; else what verdicts rest on."""
    assert known.used is not None
    other = known.by(source)
    if other is None or known.used.source == USER:
        return known.used
    return other if time is None or other.counts_at(time) else known.used


def alternatives(assessor: Assessor, assessed: Assessed) -> list[dict[str, Any]]:
    """The state of a position at each set of other prices, and in the width of its own.

    ``is_current``: whether the age of every price that is another one lets it count;
    ``used_is_current`` the same of those in whose place they stand. ``used`` and ``other`` are the
    two prices of the first token of which there are two: the index token's as a rule.
    """
    closing, basis = assessed.closing, assessed.executable
    if closing is None or not isinstance(basis, Basis):
        return []
    time = assessor.got.block.time
    found = [
        _alternative(one, _verdict(assessor, closing, one), time)
        for one in price_sets(closing.state.market, assessor.prices, time)
    ]
    return [*found, *_in_width(assessor, closing, basis, time)]


def _verdict(assessor: Assessor, closing: Closing, one: PriceSet) -> Verdict | str:
    """The verdict at these prices, or why there is none: one of them may be one that was lost."""
    try:
        return assessor.verdict_at(closing, one.prices)
    except MissingError as error:
        return str(error)


def _alternative(one: PriceSet, verdict: Verdict | str, time: int) -> dict[str, Any]:
    known, used, other = one.changed[0]
    return {
        "kind": "source",
        **_state(verdict),
        "is_current": all(quote.counts_at(time) for _, _, quote in one.changed),
        "used_is_current": all(quote.counts_at(time) for _, quote, _ in one.changed),
        "tokens": [known.token for known, _, _ in one.changed],
        "used": price_facts(known, used, time),
        "other": price_facts(known, other, time),
    }


def _state(verdict: Verdict | str) -> dict[str, Any]:
    if isinstance(verdict, str):
        return {"state": UNKNOWN, "reason": verdict, "buffer_usd": None}
    required = max(verdict.min_collateral_usd, verdict.min_collateral_usd_for_leverage)
    return {
        "state": LIQUIDATABLE if verdict.is_liquidatable else SAFE,
        "reason": verdict.reason or None,
        "buffer_usd": decimal_text(verdict.remaining_collateral_usd - required, USD_DECIMALS),
    }


def _in_width(
    assessor: Assessor, closing: Closing, basis: Basis, time: int
) -> Iterator[dict[str, Any]]:
    """The liquidation prices inside the width of the index price: at one end it is safe."""
    known = assessor.prices[closing.state.market.index_token]
    used = known.used
    if used is None or not isinstance(used.price, Price):
        return
    state = LIQUIDATABLE if basis.verdict.is_liquidatable else SAFE
    facts = price_facts(known, used, time)
    is_current = used.counts_at(time)
    for flip in basis.liquidation.flips:
        ends = (flip.liquidatable_price, flip.safe_price)
        if used.price.min <= min(ends) and max(ends) <= used.price.max:
            at = flip.liquidatable_price
            text = usd_text(at, known.decimals)
            yield {
                "kind": "width",
                "state": OPPOSITE[state],
                "reason": None,
                "buffer_usd": None,
                "is_current": is_current,
                "used_is_current": is_current,
                "tokens": [known.token],
                "used": facts,
                "other": facts | {"min": at, "max": at, "price_min": text, "price_max": text},
            }
