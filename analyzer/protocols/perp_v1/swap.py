"""Whether the AMM would take a liquidation's swap: ``Amm.swapInput`` and ``swapOutput``.

Only what they return or revert with; their effects on reserves are not wanted here.
"""

from dataclasses import replace

from analyzer.errors import Revert
from analyzer.protocols.perp_v1.amm import (
    Amm,
    Dir,
    get_input_price_with_reserves,
    get_output_price,
    get_spot_price,
    spot_price,
)
from analyzer.protocols.perp_v1.decimals import ONE, mul_d
from analyzer.units import checked_add, checked_sub


def opposite(direction: Dir) -> Dir:
    """The direction of the quote asset when the base asset goes in this one, and back."""
    return Dir.REMOVE_FROM_AMM if direction is Dir.ADD_TO_AMM else Dir.ADD_TO_AMM


def swap_input(amm: Amm, direction: Dir, quote_asset_amount: int, *, has_backstop: bool) -> int:
    """``Amm.swapInput`` in a partial liquidation: the base amount, or the revert."""
    if quote_asset_amount == 0:
        return 0
    if direction is Dir.REMOVE_FROM_AMM:
        _check_trading_limit(amm, amm.quote_asset_reserve, quote_asset_amount)
    base_asset_amount = get_input_price_with_reserves(
        direction, quote_asset_amount, amm.quote_asset_reserve, amm.base_asset_reserve
    )
    after = _reserves_after(amm, direction, quote_asset_amount, base_asset_amount)
    _check_fluctuation(amm, after, has_backstop=has_backstop)
    return base_asset_amount


def swap_output(
    amm: Amm, direction: Dir, base_asset_amount: int, *, has_backstop: bool, is_checked: bool = True
) -> int:
    """``Amm.swapOutput``: the quote amount, or the revert.

    ``is_checked`` is false where the contract closes a position without the fluctuation check.
    """
    if base_asset_amount == 0:
        return 0
    if direction is Dir.REMOVE_FROM_AMM:
        _check_trading_limit(amm, amm.base_asset_reserve, base_asset_amount)
    quote_asset_amount = get_output_price(amm, direction, base_asset_amount)
    after = _reserves_after(amm, opposite(direction), quote_asset_amount, base_asset_amount)
    if is_checked or has_backstop:
        _check_fluctuation(amm, after, has_backstop=has_backstop)
    return quote_asset_amount


def _check_trading_limit(amm: Amm, reserve: int, amount: int) -> None:
    if amm.trade_limit_ratio is not None and mul_d(reserve, amm.trade_limit_ratio) < amount:
        raise Revert("over trading limit")


def _reserves_after(amm: Amm, of_quote: Dir, quote_amount: int, base_amount: int) -> Amm:
    add, sub = checked_add, checked_sub
    if of_quote is Dir.REMOVE_FROM_AMM:
        add, sub = sub, add
    return replace(
        amm,
        quote_asset_reserve=add(amm.quote_asset_reserve, quote_amount),
        base_asset_reserve=sub(amm.base_asset_reserve, base_amount),
    )


def _check_fluctuation(amm: Amm, after: Amm, *, has_backstop: bool) -> None:
    """A liquidation may exceed the limit on the price by itself, not add to what others moved.

    ``Amm.checkFluctuationLimit`` skips the check for a swap that alone is over the limit; releases
    with backstop providers look at the price before the swap instead
    (``checkIsOverBlockFluctuationLimit``).
    """
    if not amm.fluctuation_limit_ratio:
        return
    newest = amm.reserve_snapshots[-1]
    is_same_block = newest.block_number == amm.block_number and len(amm.reserve_snapshots) > 1
    last_price = spot_price(amm.reserve_snapshots[-2] if is_same_block else newest)
    if has_backstop:
        if _is_over(get_spot_price(amm), last_price, amm.fluctuation_limit_ratio):
            raise Revert("price is already over fluctuation limit")
        return
    price = get_spot_price(after)
    if _is_over(price, spot_price(newest), amm.fluctuation_limit_ratio):
        return
    if _is_over(price, last_price, amm.fluctuation_limit_ratio):
        raise Revert("price is over fluctuation limit")


def _is_over(price: int, last_price: int, ratio: int) -> bool:
    """``Amm.isOverFluctuationLimit``."""
    upper = mul_d(last_price, checked_add(ONE, ratio))
    lower = mul_d(last_price, checked_sub(ONE, ratio))
    return not lower <= price <= upper
