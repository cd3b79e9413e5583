"""Tokens, markets, prices and funding of AMMs to rows."""

from collections.abc import Set
from typing import Any

from analyzer.claims import printable
from analyzer.errors import Revert
from analyzer.price_rows import Source, price_row
from analyzer.protocols.perp_v1.amm import (
    MAX_ORACLE_SPREAD_RATIO,
    OUTPUT_TWAP_INTERVAL,
    get_spot_price,
    get_twap_price,
    premium_fraction,
)
from analyzer.protocols.perp_v1.decimals import ONE
from analyzer.protocols.perp_v1.deployments import asset_of
from analyzer.protocols.perp_v1.holdings import Held
from analyzer.protocols.perp_v1.log_rows import HOUR, SIGNS
from analyzer.protocols.perp_v1.reading import AMM_READS, FRACTION, Market, Readings
from analyzer.reads import Failed, MissingError
from analyzer.rows import At, Funding, Markets, PriceRole, PriceSource, Row, Tokens
from analyzer.units import BASIS_POINTS, mul_div


def market_rows(at: At, got: Readings, held: list[Held], whole: Set[str]) -> list[Row]:
    """Every AMM and quote token; open interest is known of the AMMs whose book is ``whole``."""
    rows: list[Row] = [_token_row(at, got, token) for token in got.tokens]
    traded = {one.amm for one in held}
    for market in got.markets.values():
        rows.append(_market_row(at, got, market, held if market.address in whole else None))
        rows += _price_rows(at, got, market, is_used=market.address in traded)
        rows += _funding_rows(at, market)
    return rows


def _token_row(at: At, got: Readings, token: str) -> Tokens:
    symbol, decimals = (got.tokens[token].get(name) for name in ("symbol", "decimals"))
    return Tokens(
        chain_id=at.chain_id,
        token=token,
        symbol=printable(symbol) if isinstance(symbol, str) else None,
        decimals=decimals if isinstance(decimals, int) else None,
        asset=None,
    )


def _market_row(at: At, got: Readings, market: Market, held: list[Held] | None) -> Markets:
    """Open interest is the sum of open notionals; there is no pool but the virtual reserves."""
    is_open = market.get("open")
    token = market.get("quoteAsset")
    quote = got.tokens[token].get("symbol") if token in got.tokens else None
    key = market.get("priceFeedKey")
    base = printable(key.rstrip(b"\0").decode("ascii", "replace")) if key else market.address
    asset = asset_of(at.chain_id, market.address)
    words = (*AMM_READS, FRACTION, "getTwapPrice", "getUnderlyingTwapPrice", "getLatestTimestamp")
    return Markets(
        at=at,
        market=market.address,
        asset=asset,
        name=f"{asset or base}/{printable(quote) if isinstance(quote, str) else 'quote'}",
        status="unknown" if is_open is None else "open" if is_open else "closed",
        open_interest_long_usd=_open_interest(market, held, 1),
        open_interest_short_usd=_open_interest(market, held, -1),
        pool_usd=None,
        parameters={name: shown(market.values.get(name)) for name in words},
    )


def _open_interest(market: Market, held: list[Held] | None, side: int) -> int | None:
    if held is None:
        return None
    mine = [h.position for h in held if h.amm == market.address and h.size * side > 0]
    known = [position.open_notional for position in mine if position is not None]
    return sum(known) if len(known) == len(mine) else None


def _price_rows(at: At, got: Readings, market: Market, *, is_used: bool) -> list[Row]:
    """The mark, its 15-minute TWAP and the oracle; verdicts rest on all three."""
    limit = market.get("MAX_ORACLE_SPREAD_RATIO")
    bps = (MAX_ORACLE_SPREAD_RATIO if limit is None else limit) * BASIS_POINTS // ONE
    mark, twap = _mark_and_twap(got, market)
    oracle = market.get("getUnderlyingPrice")
    updated = market.get("getLatestTimestamp")
    sources: tuple[tuple[PriceSource, PriceRole, int | None, int | None, str], ...] = (
        ("spot", "mark", mark, got.block.time, "getSpotPrice"),
        ("twap", "twap", twap, got.block.time, "getTwapPrice"),
        ("oracle", "reference", oracle, updated, "getUnderlyingPrice"),
    )
    return [
        price_row(
            at,
            market.address,
            Source(
                name=name,
                role=role,
                observed_at=observed_at,
                is_used=is_used,
                deviation_limit_bps=bps if name == "oracle" and limit is not None else None,
            ),
            price,
            price,
            {read: price, "priceFeed": market.get("priceFeed")},
        )
        for name, role, price, observed_at, read in sources
    ]


def _mark_and_twap(got: Readings, market: Market) -> tuple[int | None, int | None]:
    try:
        amm = market.amm(got.block)
        return get_spot_price(amm), get_twap_price(amm, OUTPUT_TWAP_INTERVAL)
    except (MissingError, Revert):
        return None, None


def _funding_rows(at: At, market: Market) -> list[Row]:
    """The last rate that was paid, per hour, and what the next one would be on present TWAPs."""
    rate, period = market.get("fundingRate"), market.get("fundingPeriod")
    hourly = None if rate is None or not period else mul_div(rate, HOUR, period)
    if market.get("open") is False:
        hourly = 0  # a closed AMM settles no more funding
    inputs: dict[str, Any] = {
        name: shown(market.values.get(name))
        for name in ("fundingRate", "fundingPeriod", "nextFundingTime", FRACTION)
    }
    inputs["nextPremiumFraction"] = _next_premium(market)
    return [
        Funding(
            at=at,
            log_index=-1,
            market=market.address,
            side=side,
            collateral_token=market.get("quoteAsset") or "",
            funding_rate=None if hourly is None else sign * hourly,
            borrowing_rate=0,
            inputs=inputs,
        )
        for side, sign in SIGNS.items()
    ]


def _next_premium(market: Market) -> int | None:
    """What ``settleFunding`` would return now, whether or not it is due."""
    twap, oracle = market.get("getTwapPrice"), market.get("getUnderlyingTwapPrice")
    period = market.get("fundingPeriod")
    if twap is None or oracle is None or period is None:
        return None
    try:
        return premium_fraction(twap, oracle, period)
    except Revert:
        return None


def shown(value: Any) -> Any:
    """A value for people and JSON; a failed read says why it has none."""
    return {"unknown": value.reason} if isinstance(value, Failed) else value
