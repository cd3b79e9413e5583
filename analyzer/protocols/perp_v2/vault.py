"""The vault's own verdict: whether an account's non-settlement collateral can be liquidated."""

from analyzer.errors import Revert
from analyzer.protocols.perp_v2.account import (
    MarginAccount,
    get_non_settlement_token_value,
    get_settlement_token_value,
    get_total_abs_position_value,
    get_total_debt_value,
    get_unrounded_account_value,
)
from analyzer.protocols.perp_v2.collateral import (
    get_collateral_by_settlement,
    get_settlement_by_collateral,
)
from analyzer.protocols.perp_v2.perp_math import (
    RATIO,
    div_ratio,
    format_settlement_token,
    mul_ratio,
    parse_settlement_token,
)
from analyzer.protocols.perp_v2.state import Config, known


def is_liquidatable(margin: MarginAccount) -> bool:
    """``Vault.isLiquidatable``: by margin with a buffer, by debt to collateral, or by debt."""
    if not margin.account.collaterals:
        return False
    requirement = get_margin_requirement_for_collateral_liquidation(margin)
    if get_unrounded_account_value(margin) < requirement:
        return True
    config = margin.system.config
    debt = get_settlement_token_debt(margin)
    share = config.debt_non_settlement_token_value_ratio
    if debt > mul_ratio(get_non_settlement_token_value(margin), share):
        return True
    rounded = format_settlement_token(debt, config.settlement_decimals)
    return rounded > known(margin.account.debt_threshold)


def get_collateral_mm_ratio(config: Config) -> int:
    """``Vault.getCollateralMmRatio``: the maintenance ratio with its buffer."""
    ratio = config.mm_ratio + config.mm_ratio_buffer
    if ratio > RATIO:
        raise Revert("CM_ICMR")
    return ratio


def get_margin_requirement_for_collateral_liquidation(margin: MarginAccount) -> int:
    """``Vault.getMarginRequirementForCollateralLiquidation``, 18 decimals."""
    ratio = get_collateral_mm_ratio(margin.system.config)
    return mul_ratio(get_total_abs_position_value(margin), ratio)


def get_settlement_token_debt(margin: MarginAccount) -> int:
    """What the settlement side lacks, unrealised profit included; 18 decimals."""
    return max(0, -get_settlement_token_value(margin))


def get_max_repaid_settlement_and_liquidatable_collateral(
    margin: MarginAccount, token: str
) -> tuple[int, int]:
    """``Vault.getMaxRepaidSettlementAndLiquidatableCollateral``: both in their tokens' decimals."""
    config, collateral = margin.system.config, margin.system.collateral(token)
    repaid = _get_max_repaid_settlement(margin)
    price = mul_ratio(known(collateral.price), RATIO - collateral.discount_ratio)
    amount = get_collateral_by_settlement(collateral, repaid, price)
    balance = margin.account.collaterals[token]
    if amount > balance:
        amount = balance
        repaid = get_settlement_by_collateral(collateral, balance, price)
    return format_settlement_token(repaid, config.settlement_decimals), amount


def _get_max_repaid_settlement(margin: MarginAccount) -> int:
    config = margin.system.config
    debt = get_settlement_token_debt(margin)
    debt = max(debt, mul_ratio(get_total_debt_value(margin), config.im_ratio))
    if debt > parse_settlement_token(config.collateral_value_dust, config.settlement_decimals):
        debt = mul_ratio(debt, config.liquidation_ratio)
    return div_ratio(debt, RATIO - config.cl_insurance_fund_fee_ratio)
