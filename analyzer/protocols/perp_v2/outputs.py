"""Every view of an account and its positions under the contracts' own names.

A view that would revert has ``Failed`` with the reason for its value.
"""

from collections.abc import Mapping
from typing import Any

from analyzer.protocols.perp_v2 import account as accounts
from analyzer.protocols.perp_v2 import vault
from analyzer.protocols.perp_v2.account import MarginAccount
from analyzer.protocols.perp_v2.liquidation import get_liquidatable_position_size
from analyzer.protocols.perp_v2.perp_math import format_settlement_token
from analyzer.protocols.perp_v2.position import Position
from analyzer.protocols.perp_v2.state import attempt


def account_outputs(margin: MarginAccount) -> Mapping[str, Any]:
    """The account's views; settlement amounts in the token's decimals, the rest with 18."""
    config = margin.system.config

    def get_settlement_token_value(account: MarginAccount) -> int:
        value = accounts.get_settlement_token_value(account)
        return format_settlement_token(value, config.settlement_decimals)

    collateral_requirement = vault.get_margin_requirement_for_collateral_liquidation
    return {
        "accountValue": attempt(accounts.get_account_value, margin),
        "marginRequirement": attempt(accounts.get_margin_requirement_for_liquidation, margin),
        "isLiquidatable": attempt(accounts.is_margin_liquidatable, margin),
        "vaultIsLiquidatable": attempt(vault.is_liquidatable, margin),
        "vaultAccountValue": attempt(accounts.get_vault_account_value, margin),
        "settlementTokenValue": attempt(get_settlement_token_value, margin),
        "freeCollateral": attempt(accounts.get_free_collateral, margin),
        "freeCollateralByMmRatio": attempt(
            accounts.get_free_collateral_by_ratio, margin, config.mm_ratio
        ),
        "collateralMarginRequirement": attempt(collateral_requirement, margin),
        "totalAbsPositionValue": attempt(accounts.get_total_abs_position_value, margin),
        "totalDebtValue": attempt(accounts.get_total_debt_value, margin),
        "unrealizedPnl": attempt(accounts.get_unrealized_pnl, margin),
        "pendingFee": accounts.get_pending_fee(margin),
        "allPendingFunding": attempt(accounts.get_all_pending_funding_payment, margin),
        "hasOrder": accounts.has_order(margin),
    }


def collateral_outputs(margin: MarginAccount, token: str) -> Any:
    """What a liquidation of this collateral would repay and take, at most."""
    return attempt(vault.get_max_repaid_settlement_and_liquidatable_collateral, margin, token)


def position_outputs(margin: MarginAccount, base_token: str) -> Mapping[str, Any]:
    """The position's views, with 18 decimals."""
    position: Position = margin.positions[base_token]
    return {
        "takerPositionSize": position.taker_position_size,
        "base": position.base,
        "quote": position.quote,
        "totalPositionSize": position.total_position_size,
        "totalPositionValue": position.total_position_value,
        "totalOpenNotional": position.total_open_notional,
        "pendingFundingPayment": position.pending_funding_payment,
        "liquidatablePositionSize": attempt(get_liquidatable_position_size, margin, base_token),
    }
