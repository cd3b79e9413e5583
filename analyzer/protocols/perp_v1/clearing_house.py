"""The margin arithmetic of ``ClearingHouse`` in exact integers, named as in the contract.

Everything has 18 decimals and is in the AMM's quote asset, sizes in its base asset (short:
negative). A funding payment is positive where the trader pays.
"""

from dataclasses import dataclass
from enum import Enum

from analyzer.errors import Revert
from analyzer.protocols.perp_v1.amm import (
    Amm,
    Dir,
    get_output_price,
    get_output_twap,
    get_underlying_price,
    is_over_spread_limit,
)
from analyzer.protocols.perp_v1.decimals import (
    div_d,
    from_decimal,
    mul_d,
    signed_add,
    signed_div_d,
    signed_mul_d,
    signed_sub,
)


class PnlCalcOption(Enum):
    """``ClearingHouse.PnlCalcOption``."""

    SPOT_PRICE = 0
    TWAP = 1
    ORACLE = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The ClearingHouse's own parameters.

    ``has_backstop`` is true of the releases that know backstop liquidity providers: only they may
    cause bad debt, and the margin ratio at spot decides whether a liquidation is partial.
    """

    init_margin_ratio: int
    maintenance_margin_ratio: int
    liquidation_fee_ratio: int
    partial_liquidation_ratio: int
    has_backstop: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """``ClearingHouse.Position``."""

    size: int
    margin: int
    open_notional: int
    last_updated_cumulative_premium_fraction: int
    liquidity_history_index: int = 0
    block_number: int = 0


@dataclass(frozen=True, slots=True)
class Valuation:
    """A position at one of the three prices; ``equity`` is margin and pnl less funding."""

    option: PnlCalcOption
    position_notional: int
    unrealized_pnl: int
    equity: int
    margin_ratio: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """What ``liquidate`` compares: the valuation that counts, and whether the oracle was asked."""

    valuation: Valuation
    is_over_spread_limit: bool
    is_liquidatable: bool


def closing_direction(position: Position) -> Dir:
    """The side of the AMM on which the position's base asset is closed."""
    return Dir.ADD_TO_AMM if position.size > 0 else Dir.REMOVE_FROM_AMM


def get_position_notional_and_unrealized_pnl(
    amm: Amm, position: Position, option: PnlCalcOption
) -> tuple[int, int]:
    """``ClearingHouse.getPositionNotionalAndUnrealizedPnl``."""
    size = abs(position.size)
    if size == 0:
        return 0, 0
    match option:
        case PnlCalcOption.TWAP:
            notional = get_output_twap(amm, closing_direction(position), size)
        case PnlCalcOption.SPOT_PRICE:
            notional = get_output_price(amm, closing_direction(position), size)
        case PnlCalcOption.ORACLE:
            notional = mul_d(size, get_underlying_price(amm))
    worth, cost = from_decimal(notional), from_decimal(position.open_notional)
    return notional, signed_sub(cost, worth) if position.size < 0 else signed_sub(worth, cost)


def get_funding_payment(amm: Amm, position: Position) -> int:
    """The funding that ``calcRemainMarginWithFundingPayment`` charges: positive is paid."""
    if position.size == 0:
        return 0
    fraction = signed_sub(
        amm.latest_cumulative_premium_fraction, position.last_updated_cumulative_premium_fraction
    )
    return signed_mul_d(fraction, position.size)


def calc_remain_margin_with_funding_payment(
    amm: Amm, position: Position, margin_delta: int
) -> tuple[int, int]:
    """``ClearingHouse.calcRemainMarginWithFundingPayment``: remaining margin and bad debt."""
    signed = signed_add(
        signed_sub(margin_delta, get_funding_payment(amm, position)),
        from_decimal(position.margin),
    )
    return (0, -signed) if signed < 0 else (signed, 0)


def value_position(amm: Amm, position: Position, option: PnlCalcOption) -> Valuation:
    """``ClearingHouse._getMarginRatio`` at one price; reverts on an empty position."""
    if position.size == 0:
        raise Revert("positionSize is 0")
    notional, pnl = get_position_notional_and_unrealized_pnl(amm, position, option)
    return _value(amm, position, option, notional, pnl)


def get_margin_ratio(amm: Amm, position: Position) -> Valuation:
    """``ClearingHouse.getMarginRatio``: at spot or TWAP, whichever is better for the trader."""
    if position.size == 0:
        raise Revert("positionSize is 0")
    spot, twap = PnlCalcOption.SPOT_PRICE, PnlCalcOption.TWAP
    at_spot = get_position_notional_and_unrealized_pnl(amm, position, spot)
    at_twap = get_position_notional_and_unrealized_pnl(amm, position, twap)
    option, (notional, pnl) = (spot, at_spot) if at_spot[1] > at_twap[1] else (twap, at_twap)
    return _value(amm, position, option, notional, pnl)


def judge(amm: Amm, position: Position, config: Config) -> Verdict:
    """The margin check of ``ClearingHouse.liquidate``.

    Over the spread limit, the oracle's ratio counts where it is better for the trader.
    """
    valuation = get_margin_ratio(amm, position)
    over_spread = is_over_spread_limit(amm)
    if over_spread:
        at_oracle = value_position(amm, position, PnlCalcOption.ORACLE)
        if signed_sub(at_oracle.margin_ratio, valuation.margin_ratio) > 0:
            valuation = at_oracle
    required = from_decimal(config.maintenance_margin_ratio)
    below = signed_sub(valuation.margin_ratio, required) < 0
    return Verdict(valuation, over_spread, below)


def settle_position(amm: Amm, position: Position) -> int:
    """``ClearingHouse.settlePosition``: what a closed AMM pays out for the position."""
    if amm.is_open:
        raise Revert("amm is open")
    if position.size == 0:
        raise Revert("positionSize is 0")
    if amm.settlement_price == 0:
        return position.margin
    open_price = div_d(position.open_notional, abs(position.size))
    gain = signed_sub(from_decimal(amm.settlement_price), from_decimal(open_price))
    return max(0, signed_add(signed_mul_d(position.size, gain), from_decimal(position.margin)))


def _value(
    amm: Amm, position: Position, option: PnlCalcOption, notional: int, pnl: int
) -> Valuation:
    remain_margin, bad_debt = calc_remain_margin_with_funding_payment(amm, position, pnl)
    equity = signed_sub(from_decimal(remain_margin), from_decimal(bad_debt))
    return Valuation(option, notional, pnl, equity, signed_div_d(equity, from_decimal(notional)))
