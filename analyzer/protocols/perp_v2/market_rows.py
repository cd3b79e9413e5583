"""Markets, tokens, prices and funding to rows."""

from typing import Any, Final

from analyzer.assets import asset_of
from analyzer.claims import printable
from analyzer.price_rows import Source, price_row
from analyzer.protocols.perp_v2.funding_growth import FundingGrowth
from analyzer.protocols.perp_v2.perp_math import (
    WAD,
    format_sqrt_price_x96_to_price_x96,
    format_x10_18_to_x96,
    format_x96_to_x10_18,
)
from analyzer.protocols.perp_v2.prices import PricedMarket, get_mark_price_range, get_premium
from analyzer.protocols.perp_v2.reading import Readings
from analyzer.protocols.perp_v2.row_values import amount, shown
from analyzer.protocols.perp_v2.state import attempt
from analyzer.reads import Failed
from analyzer.rows import At, Funding, Markets, Prices, Row, Tokens
from analyzer.units import sdiv, to_e18

HOURS: Final = 24
RATIO_PER_BPS: Final = 100
BASE_DECIMALS: Final = 18
"""Of every ``VirtualToken``."""
MARKET_INFO: Final = (
    "pool", "exchangeFeeRatio", "uniswapFeeRatio", "insuranceFundFeeRatio", "maxPriceSpreadRatio",
)  # fmt: skip


def market_rows(
    at: At, got: Readings, base_token: str, open_interest: dict[str, int] | None, now: int
) -> list[Row]:
    """A market with its token, prices and funding; an unreadable one says so in its status."""
    priced = got.system.markets[base_token]
    symbol = _claimed(got.values.get(("market", base_token, "symbol")))
    rows: list[Row] = [
        _token_row(at, base_token, symbol, BASE_DECIMALS),
        Markets(
            at=at,
            market=base_token,
            asset=asset_of(at.chain_id, base_token),
            name=f"{asset_of(at.chain_id, base_token) or symbol or base_token}/USD",
            status="unknown" if isinstance(priced, Failed) else priced.market.status,
            open_interest_long_usd=open_interest["long"] if open_interest else None,
            open_interest_short_usd=open_interest["short"] if open_interest else None,
            pool_usd=None,
            parameters=_parameters(got, base_token, priced),
        ),
    ]
    if not isinstance(priced, Failed):
        rows += _price_rows(at, got, base_token, priced, now)
        rows += _funding_rows(at, got, base_token, priced)
    return rows


def collateral_rows(at: At, got: Readings, now: int) -> list[Row]:
    """Collateral tokens and the settlement token, which the vault takes for one dollar."""
    contract = Source(name="contract", role="derived", observed_at=now)
    decimals = got.system.config.settlement_decimals
    symbol = _claimed(got.values.get(("settlement", "symbol")))
    rows: list[Row] = [
        _token_row(at, got.settlement_token, symbol, decimals),
        _price(at, got.settlement_token, contract, WAD, {}),
    ]
    for token, collateral in got.system.collaterals.items():
        symbol = _claimed(got.values.get(("collateral", token, "symbol")))
        if isinstance(collateral, Failed):
            rows.append(_token_row(at, token, symbol, None))
            rows.append(_price(at, token, contract, collateral, {}))
            continue
        rows.append(_token_row(at, token, symbol, collateral.decimals))
        price = collateral.price
        if not isinstance(price, Failed):
            price = to_e18(price, collateral.price_feed_decimals)
        inputs = {
            "price": shown(collateral.price),
            "priceFeedDecimals": collateral.price_feed_decimals,
            "collateralRatio": collateral.collateral_ratio,
            "discountRatio": collateral.discount_ratio,
        }
        rows.append(_price(at, token, contract, price, inputs))
    return rows


def _token_row(at: At, token: str, symbol: str | None, decimals: int | None) -> Tokens:
    return Tokens(
        chain_id=at.chain_id,
        token=token,
        symbol=symbol,
        decimals=decimals,
        asset=asset_of(at.chain_id, token),
    )


def _parameters(got: Readings, base_token: str, priced: PricedMarket | Failed) -> dict[str, Any]:
    config = got.system.config
    info = got.values.get(("market", base_token, "info"))
    parameters: dict[str, Any] = {
        "imRatio": config.im_ratio,
        "mmRatio": config.mm_ratio,
        "liquidationPenaltyRatio": config.liquidation_penalty_ratio,
        "twapInterval": config.twap_interval,
        "maxFundingRate": config.max_funding_rate,
        "markPriceMarketTwapInterval": config.mark_price_market_twap_interval,
        "markPricePremiumInterval": config.mark_price_premium_interval,
    }
    if isinstance(info, tuple):
        parameters |= dict(zip(MARKET_INFO, info, strict=True))
    if isinstance(priced, Failed):
        return parameters | {"reason": priced.reason}
    market = priced.market
    return parameters | {
        "sqrtPriceX96": market.sqrt_price_x96,
        "tick": market.tick,
        "pausedTimestamp": market.paused_timestamp,
        "pausedIndexPrice": market.paused_index_price,
        "closedPrice": shown(market.closed_price) if market.status == "closed" else None,
    }


def _price_rows(
    at: At, got: Readings, base_token: str, priced: PricedMarket, now: int
) -> list[Row]:
    """What the contract values positions at, what the oracle says, and what the pool says."""
    config, market = got.system.config, priced.market
    is_open = market.status == "open"
    reachable = attempt(get_mark_price_range, config, market)
    reference = {
        "referencePrice": shown(priced.reference_price),
        "markPrice": shown(priced.mark_price),
        "premium": shown(attempt(get_premium, config, market)) if is_open else None,
        "markPriceRange": shown(reachable) if is_open else None,
    }
    contract = Source(name="contract", role="mark" if is_open else "derived", observed_at=now)
    rows: list[Row] = [_price(at, base_token, contract, priced.reference_price, reference)]
    if not is_open:
        return rows
    spot = format_x96_to_x10_18(format_sqrt_price_x96_to_price_x96(market.sqrt_price_x96))
    info = got.values.get(("market", base_token, "info"))
    pool = Source(
        name="spot",
        role="mark",
        observed_at=now,
        is_used=False,
        deviation_limit_bps=info[4] // RATIO_PER_BPS if isinstance(info, tuple) else None,
    )
    rows.append(_price(at, base_token, pool, spot, {"sqrtPriceX96": market.sqrt_price_x96}))
    rows.append(_index_price(at, got, base_token, priced))
    return rows


def _index_price(at: At, got: Readings, base_token: str, priced: PricedMarket) -> Prices:
    latest = got.values.get(("feed", base_token, "getLatestOrCachedPrice"))
    timeout = got.values.get(("feed", base_token, "getTimeout"))
    max_age = timeout if isinstance(timeout, int) else None
    source = Source(
        name="oracle",
        role="reference",
        observed_at=latest[1] if isinstance(latest, tuple) else None,
        max_age=max_age,
        max_age_source=None if max_age is None else "ChainlinkPriceFeedV3.getTimeout",
    )
    return _price(
        at,
        base_token,
        source,
        priced.market.index_prices[0],
        {
            "priceFeed": shown(got.values.get(("market", base_token, "priceFeed"))),
            "isToUseUniswapV3PriceFeed": shown(
                got.values.get(("dispatcher", base_token, "isToUseUniswapV3PriceFeed"))
            ),
            "latestOrCachedPrice": shown(latest),
            **{
                f"indexPrice_{interval}": shown(price)
                for interval, price in priced.market.index_prices.items()
            },
        },
    )


def _price(
    at: At, token: str, source: Source, price: int | Failed, inputs: dict[str, Any]
) -> Prices:
    if isinstance(price, Failed):
        inputs = {**inputs, "price": shown(price)}
    return price_row(at, token, source, amount(price), amount(price), inputs)


def _funding_rows(at: At, got: Readings, base_token: str, priced: PricedMarket) -> list[Row]:
    """What a long pays a short per hour and unit of index value; nothing unless it is open."""
    funding, market = priced.funding, priced.market
    rate = _hourly(funding) if market.status == "open" else 0
    inputs: dict[str, Any] = {
        "lastSettledTimestamp": market.last_settled_timestamp,
        "firstTradedTimestamp": market.first_traded_timestamp,
        "storedTwPremiumX96": market.growth.tw_premium_x96,
    }
    if isinstance(funding, Failed):
        inputs["growth"] = shown(funding)
    else:
        inputs |= {
            "twPremiumX96": funding.growth.tw_premium_x96,
            "twPremiumDivBySqrtPriceX96": funding.growth.tw_premium_div_by_sqrt_price_x96,
            "marketTwap": funding.market_twap,
            "indexTwap": funding.index_twap,
        }
    return [
        Funding(
            at=at,
            log_index=-1,
            market=base_token,
            side=side,
            collateral_token=got.settlement_token,
            funding_rate=rate if rate is None or side == "long" else -rate,
            borrowing_rate=0,
            inputs=inputs,
        )
        for side in ("long", "short")
    ]


def _hourly(funding: FundingGrowth | Failed) -> int | None:
    if isinstance(funding, Failed):
        return None
    index_x96 = format_x10_18_to_x96(funding.index_twap)
    return sdiv(funding.delta_twap_x96 * WAD, index_x96 * HOURS) if index_x96 else None


def _claimed(name: Any) -> str | None:
    return printable(name) if isinstance(name, str) else None
