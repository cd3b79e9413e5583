"""The contracts' state as the arithmetic needs it: exact integers, one dataclass per struct.

A value that could not be had stands in as ``Failed`` with its reason; whatever needs it raises
``Revert`` where the contract would, or ``MissingError`` where nobody asked or nobody answered.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, TypeVar

from analyzer.errors import Revert
from analyzer.reads import Failed, MissingError

T = TypeVar("T")
CURRENT_RELEASE: Final = "2.8.1"
Status = Literal["open", "paused", "closed"]


def known(value: T | Failed) -> T:
    """The value, or the reason why there is none: ``Revert`` or ``MissingError``."""
    if isinstance(value, Failed):
        raise Revert(value.reason) if value.reverted else MissingError(value.reason)
    return value


def attempt(function: Callable[..., T], *arguments: object) -> T | Failed:
    """The function's value, or the reason why the contract would have none."""
    try:
        return function(*arguments)
    except Revert as revert:
        return Failed(revert.reason, reverted=True)
    except MissingError as error:
        return Failed(str(error))


class Known(dict[int, int | Failed]):
    """Values by number of seconds; one that nobody asked for is missing, not an error of ours."""

    def __init__(self, what: str, values: Mapping[int, int | Failed]) -> None:
        super().__init__(values)
        self._what = what

    def __missing__(self, key: int) -> Failed:
        return Failed(f"the {self._what} {key} was not read")


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """``ClearingHouseConfig``, ``CollateralManager`` and the vault's settlement token.

    Ratios are millionths, intervals seconds, thresholds in the settlement token's decimals.
    """

    im_ratio: int
    mm_ratio: int
    liquidation_penalty_ratio: int
    twap_interval: int
    max_funding_rate: int
    mark_price_market_twap_interval: int
    mark_price_premium_interval: int
    mm_ratio_buffer: int
    debt_non_settlement_token_value_ratio: int
    liquidation_ratio: int
    cl_insurance_fund_fee_ratio: int
    collateral_value_dust: int
    settlement_decimals: int
    release: str = CURRENT_RELEASE
    max_markets_per_account: int | None = None
    is_paused: bool = False


@dataclass(frozen=True, slots=True)
class TickGrowth:
    """``Tick.GrowthInfo``: what has grown on the other side of a tick."""

    fee_x128: int
    tw_premium_x96: int
    tw_premium_div_by_sqrt_price_x96: int


@dataclass(frozen=True, slots=True)
class Growth:
    """``Funding.Growth``: the market's funding accumulators, X96."""

    tw_premium_x96: int
    tw_premium_div_by_sqrt_price_x96: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Market:
    """One market: its base token, its pool, and what Exchange and OrderBook hold of it.

    ``tick_cumulatives`` are by seconds ago, ``index_prices`` (18 decimals) by interval.
    """

    base_token: str
    status: Status
    paused_timestamp: int
    paused_index_price: int
    closed_price: int | Failed
    sqrt_price_x96: int
    tick: int
    tick_cumulatives: Mapping[int, int | Failed]
    index_prices: Mapping[int, int | Failed]
    first_traded_timestamp: int
    last_settled_timestamp: int
    growth: Growth
    fee_growth_global_x128: int
    ticks: Mapping[int, TickGrowth] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Collateral:
    """A collateral token of the vault; ``price`` is its feed's price over the vault's interval."""

    token: str
    decimals: int
    price: int | Failed
    price_feed_decimals: int
    collateral_ratio: int
    discount_ratio: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """``OpenOrder.Info``: a maker's range with its debts and checkpoints."""

    lower_tick: int
    upper_tick: int
    liquidity: int
    last_fee_growth_inside_x128: int
    last_tw_premium_growth_inside_x96: int
    last_tw_premium_growth_below_x96: int
    last_tw_premium_div_by_sqrt_price_growth_inside_x96: int
    base_debt: int
    quote_debt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountMarket:
    """``AccountMarket.Info`` with the account's open orders in the market."""

    taker_position_size: int
    taker_open_notional: int
    last_tw_premium_growth_global_x96: int
    orders: tuple[Order, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A trader: vault balances, realised profit that is still owed, and its base tokens."""

    trader: str
    settlement_balance: int
    owed_realized_pnl: int
    positions: Mapping[str, AccountMarket]
    collaterals: Mapping[str, int]
    debt_threshold: int | Failed
