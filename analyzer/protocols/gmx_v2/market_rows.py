"""Tokens, markets, prices and funding to rows."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from analyzer.assets import asset_of
from analyzer.claims import printable
from analyzer.errors import Revert
from analyzer.evm import ZERO_ADDRESS
from analyzer.protocols.gmx_v2.assess import Assessor
from analyzer.protocols.gmx_v2.borrowing import get_borrowing_factor_per_second
from analyzer.protocols.gmx_v2.funding import NextFunding, get_next_funding_amount_per_size
from analyzer.protocols.gmx_v2.precision import FLOAT_PRECISION
from analyzer.protocols.gmx_v2.prices import ORACLE, ROLES, Quote, TokenPrices
from analyzer.protocols.gmx_v2.readings import Readings
from analyzer.protocols.gmx_v2.state import Market, MarketState, Price, Prices, side
from analyzer.reads import Failed, MissingError
from analyzer.rows import At, DataQuality, Funding, Markets, MarketStatus, Row, Tokens, price_id
from analyzer.rows import Prices as PriceRow
from analyzer.units import BASIS_POINTS, sdiv, to_e18

USD_DECIMALS: Final = 30
HOUR: Final = 3600


def usd(amount: int | None) -> int | None:
    """USD with 30 decimals in E18."""
    return None if amount is None else to_e18(amount, USD_DECIMALS)


def price_e18(price: int, decimals: int | None) -> int | None:
    """A contract price in E18 USD per whole token."""
    return None if decimals is None else to_e18(price * 10**decimals, USD_DECIMALS)


def token_rows(at: At, got: Readings, prices: Mapping[str, TokenPrices]) -> Iterator[Row]:
    """Tokens; what one claims against reason is quarantined."""
    for token in got.tokens:
        symbol, decimals = got.get("token", token, "symbol"), prices[token].decimals
        yield Tokens(
            chain_id=at.chain_id,
            token=token,
            symbol=None if symbol is None else printable(symbol),
            decimals=decimals,
            asset=asset_of(at.chain_id, token),
        )
        if symbol is not None and symbol != printable(symbol):
            yield DataQuality(
                at=at,
                kind="token_symbol",
                subject=token,
                detail=f"symbol of {len(symbol)} characters is cut to {printable(symbol)!r}",
            )
        if decimals is None:
            own = got.values.get(("token", token, "decimals"))
            why = own.reason if isinstance(own, Failed) else f"decimals() says {own}"
            yield DataQuality(
                at=at,
                kind="token_decimals",
                subject=token,
                detail=f"{why}, and no price feed implies them: amounts stay in smallest units",
            )


def market_row(at: At, got: Readings, market: str, assessor: Assessor) -> Markets:
    """A market with its words; open interest and pool in USD as far as they are known."""
    props = got.markets[market]
    found = assessor.market(market) if props.index_token != ZERO_ADDRESS else "swap only"
    long, short, pool = (None, None, None) if isinstance(found, str) else _sizes(*found)
    return Markets(
        at=at,
        market=market,
        asset=asset_of(at.chain_id, props.index_token),
        name=_name(at, got, props),
        status=_status(got, market, props),
        open_interest_long_usd=usd(long),
        open_interest_short_usd=usd(short),
        pool_usd=usd(pool),
        parameters={
            "marketToken": market,
            "indexToken": props.index_token,
            "longToken": props.long_token,
            "shortToken": props.short_token,
            **({} if isinstance(found, str) else found[0].words),
        },
    )


def _sizes(state: MarketState, prices: Prices) -> tuple[int | None, int | None, int | None]:
    """Open interest of longs and shorts, and the pool, in USD with 30 decimals."""
    try:
        long, short = state.open_interest(True), state.open_interest(False)
        longs_pool = state.pool_amount(True) * prices.long.min
        return long, short, longs_pool + state.pool_amount(False) * prices.short.min
    except MissingError:
        return None, None, None


def _status(got: Readings, market: str, props: Market) -> MarketStatus:
    if props.index_token == ZERO_ADDRESS:
        return "swap-only"
    disabled = got.get("market", market, "IS_MARKET_DISABLED")
    return "unknown" if disabled is None else "disabled" if disabled else "open"


def _name(at: At, got: Readings, props: Market) -> str:
    def called(token: str) -> str:
        symbol = got.get("token", token, "symbol")
        return asset_of(at.chain_id, token) or (symbol and printable(symbol)) or token[:10]

    pool = f"[{called(props.long_token)}-{called(props.short_token)}]"
    if props.index_token == ZERO_ADDRESS:
        return f"SWAP-ONLY {pool}"
    return f"{called(props.index_token)}/USD {pool}"


def price_rows(
    at: At, got: Readings, prices: Mapping[str, TokenPrices], used: set[str]
) -> Iterator[Row]:
    """What each source says of each token; ``used`` are the tokens that verdicts rest on."""
    for token, known in prices.items():
        for quote in known.quotes:
            is_used = token in used and quote is known.used
            yield price_row(at, token, known.decimals, quote, limit=_limit(got), is_used=is_used)


def price_row(
    at: At,
    token: str,
    decimals: int | None,
    quote: Quote,
    *,
    limit: int | None = None,
    log_index: int = -1,
    is_used: bool = False,
) -> PriceRow:
    """One source's price, with the age up to which the protocol accepts it."""
    price = quote.price if isinstance(quote.price, Price) else None
    reason = {"reason": quote.price.reason} if isinstance(quote.price, Failed) else {}
    return PriceRow(
        at=at,
        log_index=log_index,
        price_id=price_id(at, token),
        token=token,
        asset=asset_of(at.chain_id, token),
        source=quote.source,
        role=ROLES[quote.source],
        price_min=price_e18(price.min, decimals) if price else None,
        price_max=price_e18(price.max, decimals) if price else None,
        observed_at=quote.observed_at,
        max_age=quote.max_age,
        max_age_source=quote.max_age_source,
        deviation_limit_bps=limit if quote.source == ORACLE else None,
        is_used=is_used,
        inputs={
            "min": price.min if price else None,
            "max": price.max if price else None,
            **quote.facts,
            **reason,
        },
    )


def _limit(got: Readings) -> int | None:
    """The deviation from the feed that the Oracle accepts, in basis points."""
    factor = got.get("global", "", "MAX_ORACLE_REF_PRICE_DEVIATION_FACTOR")
    return None if factor is None else min(factor * BASIS_POINTS // FLOAT_PRECISION, 2**62)


def funding_rows(at: At, got: Readings, market: str, assessor: Assessor) -> Iterator[Row]:
    """Rates per hour as a fraction of size, by side and collateral; negative: received."""
    found = assessor.market(market)
    if isinstance(found, str):
        return
    state, prices = found
    funding = _funding(state, prices, got.block.time)
    for is_long in (True, False):
        borrowing = _borrowing(state, prices, is_long)
        of = side(is_long)
        tokens = {"longToken": state.market.long_token, "shortToken": state.market.short_token}
        for collateral, token in {address: name for name, address in tokens.items()}.items():
            yield Funding(
                at=at,
                log_index=-1,
                market=market,
                side=of,
                collateral_token=collateral,
                funding_rate=_hourly(_rate_of(state, funding, is_long)),
                borrowing_rate=_hourly(borrowing),
                inputs={
                    **_funding_inputs(funding),
                    "borrowingFactorPerSecond": borrowing,
                    **{
                        name: state.words.get(f"{name}:{token}:{of}")
                        for name in (
                            "FUNDING_FEE_AMOUNT_PER_SIZE", "CLAIMABLE_FUNDING_AMOUNT_PER_SIZE",
                        )
                    },
                    "CUMULATIVE_BORROWING_FACTOR": state.words.get(
                        f"CUMULATIVE_BORROWING_FACTOR:{of}"
                    ),
                    "SAVED_FUNDING_FACTOR_PER_SECOND": state.words.get(
                        "SAVED_FUNDING_FACTOR_PER_SECOND"
                    ),
                },
            )  # fmt: skip


def _funding(state: MarketState, prices: Prices, time: int) -> NextFunding | None:
    try:
        return get_next_funding_amount_per_size(state, prices, time)
    except (Revert, MissingError):
        return None


def _borrowing(state: MarketState, prices: Prices, is_long: bool) -> int | None:
    try:
        return get_borrowing_factor_per_second(state, prices, is_long)
    except (Revert, MissingError):
        return None


def _rate_of(state: MarketState, funding: NextFunding | None, is_long: bool) -> int | None:
    """The side's rate per second: what the paying side pays is spread over the receiving one."""
    if funding is None:
        return None
    rate = funding.funding_factor_per_second
    if funding.longs_pay_shorts == is_long:
        return rate
    receiving, paying = state.open_interest(is_long), state.open_interest(not is_long)
    return -(rate * paying // receiving) if receiving else 0


def _hourly(rate: int | None) -> int | None:
    return None if rate is None else sdiv(rate * HOUR * 10**18, FLOAT_PRECISION)


def _funding_inputs(funding: NextFunding | None) -> dict[str, Any]:
    if funding is None:
        return {"fundingFactorPerSecond": None, "longsPayShorts": None}
    return {
        "fundingFactorPerSecond": funding.funding_factor_per_second,
        "longsPayShorts": funding.longs_pay_shorts,
        "nextSavedFundingFactorPerSecond": funding.next_saved_funding_factor_per_second,
    }
