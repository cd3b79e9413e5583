"""What a collateral token is worth in the settlement token, and back, as ``Vault`` converts it."""

from typing import Final

from analyzer.errors import Revert
from analyzer.protocols.perp_v2.perp_math import convert_token_decimals, full_mul_div, to_uint256
from analyzer.protocols.perp_v2.state import Collateral, known
from analyzer.units import ceil_div

INSIDE_DECIMALS: Final = 18


def get_collateral_value(collateral: Collateral, balance: int) -> int:
    """``Vault._getCollateralValue``: 18 decimals, before the haircut."""
    return get_settlement_by_collateral(collateral, to_uint256(balance), known(collateral.price))


def get_settlement_by_collateral(collateral: Collateral, amount: int, price: int) -> int:
    """``Vault._getSettlementByCollateral``: 18 decimals; rounds in the order of the decimals."""
    unit = int(10**collateral.price_feed_decimals)
    if collateral.decimals > INSIDE_DECIMALS:
        return convert_token_decimals(full_mul_div(amount, price, unit), collateral.decimals, 18)
    return full_mul_div(convert_token_decimals(amount, collateral.decimals, 18), price, unit)


def get_collateral_by_settlement(collateral: Collateral, amount: int, price: int) -> int:
    """``Vault._getCollateralBySettlement``: in the collateral's decimals, division rounded up."""
    if price == 0:
        raise Revert("")
    unit = int(10**collateral.price_feed_decimals)
    if collateral.decimals > INSIDE_DECIMALS:
        return ceil_div(convert_token_decimals(amount, 18, collateral.decimals) * unit, price)
    return convert_token_decimals(ceil_div(amount * unit, price), 18, collateral.decimals)
