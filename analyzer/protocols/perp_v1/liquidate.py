"""``ClearingHouse.liquidate``, without its effects: what it would do, or why it would revert.

What the vault and the insurance fund hold is not looked at: they may lack the tokens to pay.
"""

from dataclasses import dataclass

from analyzer.errors import Revert
from analyzer.protocols.perp_v1.amm import Amm, get_output_price
from analyzer.protocols.perp_v1.clearing_house import (
    Config,
    PnlCalcOption,
    Position,
    calc_remain_margin_with_funding_payment,
    closing_direction,
    get_position_notional_and_unrealized_pnl,
    judge,
    value_position,
)
from analyzer.protocols.perp_v1.decimals import (
    ONE,
    from_decimal,
    mul_d,
    signed_add,
    signed_div_d,
    signed_mul_d,
    signed_sub,
)
from analyzer.protocols.perp_v1.swap import opposite, swap_input, swap_output
from analyzer.units import checked_sub


@dataclass(frozen=True, slots=True)
class Liquidation:
    """What ``liquidate`` would do: how much of the position it takes, and what that costs whom."""

    is_partial: bool
    exchanged_quote_asset_amount: int
    exchanged_position_size: int
    liquidation_penalty: int
    fee_to_liquidator: int
    fee_to_insurance_fund: int
    bad_debt: int


def liquidate(amm: Amm, position: Position, config: Config) -> Liquidation:
    """The outcome of ``liquidate``, or the revert with its reason."""
    if not amm.is_open:
        raise Revert("amm was closed")
    verdict = judge(amm, position, config)
    if not verdict.is_liquidatable:
        raise Revert("Margin ratio not meet criteria")
    deciding = verdict.valuation
    if config.has_backstop:
        deciding = value_position(amm, position, PnlCalcOption.SPOT_PRICE)
    is_partial = (
        deciding.margin_ratio > config.liquidation_fee_ratio
        and 0 < config.partial_liquidation_ratio < ONE
    )
    return (_liquidate_partially if is_partial else _liquidate_wholly)(amm, position, config)


def _liquidate_partially(amm: Amm, position: Position, config: Config) -> Liquidation:
    """The first branch: ``openReversePosition`` over a part of the position."""
    direction = closing_direction(position)
    part = abs(signed_mul_d(position.size, config.partial_liquidation_ratio))
    open_notional = mul_d(get_output_price(amm, direction, part), ONE)
    spot_notional, pnl = get_position_notional_and_unrealized_pnl(
        amm, position, PnlCalcOption.SPOT_PRICE
    )
    if spot_notional <= open_notional:
        return _close_and_open_reverse_position(amm, position, config)
    exchanged = swap_input(
        amm, opposite(direction), open_notional, has_backstop=config.has_backstop
    )
    realized = signed_div_d(
        signed_mul_d(pnl, from_decimal(exchanged)), from_decimal(abs(position.size))
    )
    remain_margin, bad_debt = calc_remain_margin_with_funding_payment(amm, position, realized)
    pnl_after = signed_sub(pnl, realized)
    remain = signed_sub(from_decimal(spot_notional), from_decimal(open_notional))
    remain = signed_sub(remain, pnl_after) if position.size > 0 else signed_add(remain, pnl_after)
    if remain <= 0:
        raise Revert("value of openNotional <= 0")
    penalty = mul_d(open_notional, config.liquidation_fee_ratio)
    checked_sub(remain_margin, penalty)
    return Liquidation(
        is_partial=True,
        exchanged_quote_asset_amount=open_notional,
        exchanged_position_size=-exchanged if position.size > 0 else exchanged,
        liquidation_penalty=penalty,
        fee_to_liquidator=penalty // 2,
        fee_to_insurance_fund=penalty - penalty // 2,
        bad_debt=bad_debt,
    )


def _close_and_open_reverse_position(amm: Amm, position: Position, config: Config) -> Liquidation:
    """A part that is worth the whole: the position closes and has no margin for a penalty."""
    _, pnl = get_position_notional_and_unrealized_pnl(amm, position, PnlCalcOption.SPOT_PRICE)
    _, bad_debt = calc_remain_margin_with_funding_payment(amm, position, pnl)
    quote = swap_output(
        amm,
        closing_direction(position),
        abs(position.size),
        is_checked=False,
        has_backstop=config.has_backstop,
    )
    if bad_debt:
        raise Revert("reduce an underwater position")
    checked_sub(0, mul_d(quote, config.liquidation_fee_ratio))
    return Liquidation(True, quote, -position.size, 0, 0, 0, 0)


def _liquidate_wholly(amm: Amm, position: Position, config: Config) -> Liquidation:
    """The second branch: ``internalClosePosition``; what the margin cannot pay is bad debt."""
    _, pnl = get_position_notional_and_unrealized_pnl(amm, position, PnlCalcOption.SPOT_PRICE)
    remain_margin, bad_debt = calc_remain_margin_with_funding_payment(amm, position, pnl)
    quote = swap_output(
        amm, closing_direction(position), abs(position.size), has_backstop=config.has_backstop
    )
    fee = mul_d(quote, config.liquidation_fee_ratio) // 2
    if fee > remain_margin:
        bad_debt += fee - remain_margin
        remain_margin = fee
    if bad_debt and config.has_backstop:
        raise Revert("not backstop LP")
    return Liquidation(
        is_partial=False,
        exchanged_quote_asset_amount=quote,
        exchanged_position_size=-position.size,
        liquidation_penalty=position.margin,
        fee_to_liquidator=fee,
        fee_to_insurance_fund=remain_margin - fee,
        bad_debt=bad_debt,
    )
