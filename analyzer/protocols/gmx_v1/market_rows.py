"""Tokens, markets, prices and funding rates to rows."""

from collections.abc import Iterable
from typing import Any, Final

from analyzer.assets import asset_of
from analyzer.claims import printable
from analyzer.evm import ZERO_ADDRESS
from analyzer.price_rows import Source, price_row
from analyzer.protocols.gmx_v1.exact import FUNDING_WORDS
from analyzer.protocols.gmx_v1.pipeline import uses_fast_price
from analyzer.protocols.gmx_v1.reading import FAST, FEED_TOKEN, VAULT_TOKEN, Readings
from analyzer.protocols.gmx_v1.risk import FUNDING_RATE_PRECISION, power_of_ten
from analyzer.reads import Failed, MissingError
from analyzer.rows import At, Funding, Markets, Prices, RateSide, Row, Tokens
from analyzer.units import to_e18

HOUR: Final = 3600


def token_row(at: At, got: Readings, token: str) -> Tokens:
    """A token; its symbol is its own claim, cut to what can be printed."""
    symbol = got.get("Token", "symbol", token)
    return Tokens(
        chain_id=at.chain_id,
        token=token,
        symbol=None if symbol is None else printable(symbol),
        decimals=got.get("Token", "decimals", token),
        asset=asset_of(at.chain_id, token),
    )


def market_row(at: At, got: Readings, token: str, long_sizes: dict[str, int] | None) -> Markets:
    """The market of a non-stable token: longs in itself, shorts in the stable tokens.

    ``long_sizes`` are the sums of all long positions (1e30 USD) if all are known: the Vault keeps
    no such sum itself, for shorts it does.
    """
    listed = got.get("Vault", "whitelistedTokens", token)
    symbol = got.get("Token", "symbol", token)
    asset = asset_of(at.chain_id, token)
    return Markets(
        at=at,
        market=token,
        asset=asset,
        name=f"{asset or printable(symbol or token)}/USD",
        status="unknown" if listed is None else "open" if listed else "delisted",
        open_interest_long_usd=None if long_sizes is None else _usd(long_sizes.get(token, 0)),
        open_interest_short_usd=_usd(got.get("Vault", "globalShortSizes", token)),
        pool_usd=_pool_usd(got, token),
        parameters={
            **{name: got.get("Vault", name) for name in MARKET_PARAMETERS},
            **{name: got.get("Vault", name, token) for name in VAULT_TOKEN},
            **{name: got.get("VaultPriceFeed", name, token) for name in FEED_TOKEN},
        },
    )


MARKET_PARAMETERS: Final = (
    "maxLeverage", "liquidationFeeUsd", "marginFeeBasisPoints", "minProfitTime", "fundingInterval",
    "fundingRateFactor", "stableFundingRateFactor", "inPrivateLiquidationMode",
    "isLeverageEnabled", "includeAmmPrice",
)  # fmt: skip


def price_rows(at: At, got: Readings, token: str, *, used: bool) -> list[Row]:
    """What each source says of a token: the contract's own price, its primary and fast feeds."""
    rows: list[Row] = [_contract_price(at, got, token, used=used)]
    if got.get("VaultPriceFeed", "priceFeeds", token) not in (None, ZERO_ADDRESS):
        rows.append(_primary_price(at, got, token, used=used))
    if ("FastPriceFeed", "prices", token) in got.values:
        rows.append(_fast_price(at, got, token, used=used))
    return rows


def _contract_price(at: At, got: Readings, token: str, *, used: bool) -> Prices:
    """``VaultPriceFeed.getPrice`` without AMM, which a liquidation uses."""
    low = got.values.get(("VaultPriceFeed", "getPrice", token, False, False, False))
    high = got.values.get(("VaultPriceFeed", "getPrice", token, True, False, False))
    return _price(
        at,
        token,
        Source(name="contract", role="derived", observed_at=got.block.time, is_used=used),
        low,
        high,
        {
            "getMinPrice": _shown(got.values.get(("Vault", "getMinPrice", token))),
            "getMaxPrice": _shown(got.values.get(("Vault", "getMaxPrice", token))),
        },
    )


def _primary_price(at: At, got: Readings, token: str, *, used: bool) -> Prices:
    """``VaultPriceFeed.getPrimaryPrice`` with the newest round's time, where the feed gives one."""
    newest = got.get("PriceFeed", "getRoundData", token, 0)
    max_age = got.deployment.options.get("primary_max_age")
    source = Source(
        name="oracle",
        role="reference",
        observed_at=newest[3] or None if newest else None,
        is_used=used,
        max_age=None if max_age is None else int(max_age),
        max_age_source=None if max_age is None else "option primary_max_age",
    )
    return _price(
        at,
        token,
        source,
        got.values.get(("VaultPriceFeed", "getPrimaryPrice", token, False)),
        got.values.get(("VaultPriceFeed", "getPrimaryPrice", token, True)),
        {
            "priceFeed": got.get("VaultPriceFeed", "priceFeeds", token),
            "latestAnswer": _shown(got.values.get(("PriceFeed", "latestAnswer", token))),
            "latestRound": _shown(got.values.get(("PriceFeed", "latestRound", token))),
            "priceDecimals": got.get("VaultPriceFeed", "priceDecimals", token),
        },
    )


def _fast_price(at: At, got: Readings, token: str, *, used: bool) -> Prices:
    """``FastPriceFeed.prices``: one update time for all tokens, and the deviation it tolerates."""
    price = got.values["FastPriceFeed", "prices", token]
    duration = got.get("FastPriceFeed", "priceDuration")
    try:
        consulted = uses_fast_price(got)
    except MissingError:
        consulted = False
    source = Source(
        name="fast",
        role="keeper",
        observed_at=got.get("FastPriceFeed", "lastUpdatedAt") or None,
        is_used=used and consulted and price != 0,
        max_age=duration,
        max_age_source=None if duration is None else "FastPriceFeed.priceDuration",
        deviation_limit_bps=got.get("FastPriceFeed", "maxDeviationBasisPoints"),
    )
    return _price(
        at,
        token,
        source,
        price,
        price,
        {
            "priceFeed": got.get("VaultPriceFeed", "secondaryPriceFeed"),
            "isSecondaryPriceEnabled": got.get("VaultPriceFeed", "isSecondaryPriceEnabled"),
            **{name: got.get("FastPriceFeed", name) for name in FAST},
        },
    )


def _price(
    at: At, token: str, source: Source, low: Any, high: Any, inputs: dict[str, Any]
) -> Prices:
    quoted = {"price_min": _shown(low), "price_max": _shown(high)}
    return price_row(at, token, source, _usd(low), _usd(high), quoted | inputs)


def funding_rows(at: At, got: Readings, markets: Iterable[str]) -> list[Row]:
    """The rate that a position pays per hour, by market, side and the token that it is held in.

    It is paid to the pool by both sides; ``R = factor * reserved / pool`` per interval.
    """
    stable = [t for t in got.tokens if got.get("Vault", "stableTokens", t) is True]
    rows: list[Row] = []
    for market in markets:
        rows.append(_funding(at, got, market, "long", market))
        if got.get("Vault", "shortableTokens", market):
            rows += [_funding(at, got, market, "short", token) for token in stable]
    return rows


def _funding(at: At, got: Readings, market: str, side: RateSide, token: str) -> Funding:
    words = {name: got.get("Vault", name, token) for name in FUNDING_WORDS}
    factor_name = (
        "stableFundingRateFactor"
        if got.get("Vault", "stableTokens", token)
        else "fundingRateFactor"
    )
    factor, interval = got.get("Vault", factor_name), got.get("Vault", "fundingInterval")
    return Funding(
        at=at,
        log_index=-1,
        market=market,
        side=side,
        collateral_token=token,
        funding_rate=_hourly(factor, interval, words["reservedAmounts"], words["poolAmounts"]),
        borrowing_rate=0,
        inputs={factor_name: factor, "fundingInterval": interval, **words},
    )


def _hourly(
    factor: int | None, interval: int | None, reserved: int | None, pool: int | None
) -> int | None:
    if factor is None or not interval or reserved is None or pool is None:
        return None
    if pool == 0:
        return 0
    return factor * reserved * HOUR * 10**18 // (pool * interval * FUNDING_RATE_PRECISION)


def _pool_usd(got: Readings, token: str) -> int | None:
    """The pool at the vault's minimum price, as ``Vault.tokenToUsdMin`` values it."""
    pool = got.get("Vault", "poolAmounts", token)
    price = got.get("Vault", "getMinPrice", token)
    decimals = got.get("Vault", "tokenDecimals", token)
    if pool is None or price is None or decimals is None:
        return None
    unit = power_of_ten(decimals)
    return None if unit == 0 else _usd(pool * price // unit)


def _usd(amount: Any) -> int | None:
    return None if amount is None or isinstance(amount, Failed) else to_e18(amount, 30)


def _shown(value: Any) -> Any:
    return {"unknown": value.reason} if isinstance(value, Failed) else value
