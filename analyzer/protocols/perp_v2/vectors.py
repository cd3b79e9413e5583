"""Reading a vectors file: recorded state for the arithmetic, and the contracts' answers to it."""

from collections.abc import Mapping
from typing import Any, Final

from analyzer.protocols.perp_v2.account import System
from analyzer.protocols.perp_v2.prices import price_market
from analyzer.protocols.perp_v2.state import (
    Account,
    AccountMarket,
    Collateral,
    Config,
    Growth,
    Known,
    Market,
    Order,
    Status,
    TickGrowth,
)
from analyzer.reads import Failed, MissingError

SETTLEMENT_DECIMALS: Final = 6
"""Of the format: its settlement amounts are named ``_1e6``."""
OBSERVED_SECONDS_AGO: Final = (1800, 900, 15, 0)
REVERTED: Final = "execution reverted"


def answer_of(value: Any) -> Any:
    """A recorded answer: an integer, a flag, or a revert with the contract's own reason."""
    if isinstance(value, Mapping) and "revert" in value:
        reason = str(value["revert"]).removeprefix(REVERTED).removeprefix(": ")
        return Failed(reason, reverted=True)
    return value if isinstance(value, bool) else int(value)


def number(value: Any) -> int:
    """A recorded integer that the arithmetic cannot do without."""
    answer = answer_of(value)
    if isinstance(answer, Failed):
        raise MissingError(f"an input was recorded as a revert: {answer.reason}")
    return int(answer)


def config_of(snapshot: Mapping[str, Any]) -> Config:
    """``config`` of a snapshot."""
    recorded = snapshot["config"]
    twap_interval, premium_interval = recorded["getMarkPriceConfig"]
    return Config(
        im_ratio=number(recorded["getImRatio"]),
        mm_ratio=number(recorded["getMmRatio"]),
        liquidation_penalty_ratio=number(recorded["getLiquidationPenaltyRatio"]),
        twap_interval=number(recorded["getTwapInterval"]),
        max_funding_rate=number(recorded["getMaxFundingRate"]),
        mark_price_market_twap_interval=number(twap_interval),
        mark_price_premium_interval=number(premium_interval),
        mm_ratio_buffer=number(recorded["cm.getMmRatioBuffer"]),
        debt_non_settlement_token_value_ratio=number(
            recorded["cm.getDebtNonSettlementTokenValueRatio"]
        ),
        liquidation_ratio=number(recorded["cm.getLiquidationRatio"]),
        cl_insurance_fund_fee_ratio=number(recorded["cm.getCLInsuranceFundFeeRatio"]),
        collateral_value_dust=number(recorded["cm.getCollateralValueDust"]),
        settlement_decimals=SETTLEMENT_DECIMALS,
    )


def market_of(
    config: Config, recorded: Mapping[str, Any], ticks: Mapping[int, TickGrowth], now: int
) -> Market:
    """One of a snapshot's ``markets``."""
    status: Status = (
        "open" if recorded["isOpen"] else "closed" if recorded["isClosed"] else "paused"
    )
    paused_timestamp = number(recorded["pausedTimestamp"])
    cumulatives = _cumulatives(recorded["observe"], OBSERVED_SECONDS_AGO)
    if "observePaused" in recorded:
        paused_for = now - paused_timestamp
        asked = (paused_for + config.twap_interval, paused_for)
        cumulatives |= _cumulatives(recorded["observePaused"], asked)
    return Market(
        base_token=recorded["baseToken"].lower(),
        status=status,
        paused_timestamp=paused_timestamp,
        paused_index_price=number(recorded["pausedIndexPrice"]),
        closed_price=answer_of(recorded["closedPrice"]),
        sqrt_price_x96=number(recorded["slot0"][0]),
        tick=number(recorded["slot0"][1]),
        tick_cumulatives=Known("tick cumulative of seconds ago", cumulatives),
        index_prices=Known(
            "index price over seconds",
            {
                int(name.removeprefix("indexPrice_")): answer_of(value)
                for name, value in recorded.items()
                if name.startswith("indexPrice_")
            },
        ),
        first_traded_timestamp=number(recorded["storage.firstTradedTimestamp"]),
        last_settled_timestamp=number(recorded["storage.lastSettledTimestamp"]),
        growth=Growth(
            number(recorded["storage.globalTwPremiumX96"]),
            number(recorded["storage.globalTwPremiumDivBySqrtPriceX96"]),
        ),
        fee_growth_global_x128=number(recorded["storage.feeGrowthGlobalX128"]),
        ticks=ticks,
    )


def system_of(snapshot: Mapping[str, Any]) -> System:
    """What all accounts of a snapshot share."""
    config, now = config_of(snapshot), number(snapshot["timestamp"])
    ticks: dict[str, dict[int, TickGrowth]] = {}
    for tick in snapshot["ticks"]:
        ticks.setdefault(tick["baseToken"].lower(), {})[number(tick["tick"])] = TickGrowth(
            number(tick["feeX128"]),
            number(tick["twPremiumX96"]),
            number(tick["twPremiumDivBySqrtPriceX96"]),
        )
    markets = [
        market_of(config, recorded, ticks.get(recorded["baseToken"].lower(), {}), now)
        for recorded in snapshot["markets"]
    ]
    return System(
        config=config,
        markets={market.base_token: price_market(config, market, now) for market in markets},
        collaterals={c["token"].lower(): _collateral(c) for c in snapshot["collaterals"]},
    )


def account_of(recorded: Mapping[str, Any]) -> Account:
    """One of a snapshot's ``accounts``."""
    return Account(
        trader=recorded["account"].lower(),
        settlement_balance=number(recorded["settlementBalance"]),
        owed_realized_pnl=number(recorded["owedRealizedPnl"]),
        positions={p["baseToken"].lower(): _position(p) for p in recorded["positions"]},
        collaterals={c["token"].lower(): number(c["balance"]) for c in recorded["collaterals"]},
        debt_threshold=answer_of(recorded["debtThresholdByTrader_1e6"]),
    )


def _position(recorded: Mapping[str, Any]) -> AccountMarket:
    return AccountMarket(
        taker_position_size=number(recorded["takerPositionSize"]),
        taker_open_notional=number(recorded["takerOpenNotional"]),
        last_tw_premium_growth_global_x96=number(recorded["lastTwPremiumGrowthGlobalX96"]),
        orders=tuple(_order(order) for order in recorded["orders"]),
    )


def _order(recorded: Mapping[str, Any]) -> Order:
    return Order(
        lower_tick=number(recorded["lowerTick"]),
        upper_tick=number(recorded["upperTick"]),
        liquidity=number(recorded["liquidity"]),
        last_fee_growth_inside_x128=number(recorded["lastFeeGrowthInsideX128"]),
        last_tw_premium_growth_inside_x96=number(recorded["lastTwPremiumGrowthInsideX96"]),
        last_tw_premium_growth_below_x96=number(recorded["lastTwPremiumGrowthBelowX96"]),
        last_tw_premium_div_by_sqrt_price_growth_inside_x96=number(
            recorded["lastTwPremiumDivBySqrtPriceGrowthInsideX96"]
        ),
        base_debt=number(recorded["baseDebt"]),
        quote_debt=number(recorded["quoteDebt"]),
    )


def _collateral(recorded: Mapping[str, Any]) -> Collateral:
    _, collateral_ratio, discount_ratio, _ = recorded["config"]
    return Collateral(
        token=recorded["token"].lower(),
        decimals=number(recorded["decimals"]),
        price=answer_of(recorded["price_900"]),
        price_feed_decimals=number(recorded["priceDecimals"]),
        collateral_ratio=number(collateral_ratio),
        discount_ratio=number(discount_ratio),
    )


def _cumulatives(observed: Any, seconds_ago: tuple[int, ...]) -> dict[int, int | Failed]:
    if isinstance(observed, Mapping):
        return dict.fromkeys(seconds_ago, answer_of(observed))
    tick_cumulatives, _ = observed
    return dict(zip(seconds_ago, map(number, tick_cumulatives), strict=True))
