"""An account's value and margin requirement across all its markets and collaterals."""

from collections.abc import Mapping
from dataclasses import dataclass

from analyzer.protocols.perp_v2.collateral import get_collateral_value
from analyzer.protocols.perp_v2.perp_math import (
    WAD,
    format_settlement_token,
    mul_div,
    mul_ratio,
    parse_settlement_token,
    to_int256,
)
from analyzer.protocols.perp_v2.position import Position, value_position
from analyzer.protocols.perp_v2.prices import PricedMarket
from analyzer.protocols.perp_v2.state import Account, Collateral, Config, known
from analyzer.reads import Failed


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """What all accounts share at a block."""

    config: Config
    markets: Mapping[str, PricedMarket | Failed]
    collaterals: Mapping[str, Collateral | Failed]

    def market(self, base_token: str) -> PricedMarket:
        """A market; raises where its state could not be read."""
        return known(self.markets[base_token])

    def collateral(self, token: str) -> Collateral:
        """A collateral token; raises where its configuration could not be read."""
        return known(self.collaterals[token])


@dataclass(frozen=True, slots=True)
class MarginAccount:
    """An account with its positions valued at the block."""

    system: System
    account: Account
    positions: Mapping[str, Position]


def value_account(system: System, account: Account) -> MarginAccount:
    """An account, ready for the contracts' views of it."""
    return MarginAccount(
        system,
        account,
        {
            base_token: value_position(system.market(base_token), state)
            for base_token, state in account.positions.items()
        },
    )


def get_all_pending_funding_payment(margin: MarginAccount) -> int:
    """``Exchange.getAllPendingFundingPayment``: positive where the trader pays."""
    return sum(known(position.pending_funding_payment) for position in margin.positions.values())


def get_pending_fee(margin: MarginAccount) -> int:
    """The third value of ``AccountBalance.getPnlAndPendingFee``."""
    return sum(position.pending_fee for position in margin.positions.values())


def get_unrealized_pnl(margin: MarginAccount) -> int:
    """The second value of ``AccountBalance.getPnlAndPendingFee``."""
    positions = margin.positions.values()
    value = sum(known(position.total_position_value) for position in positions)
    return value + sum(position.total_open_notional for position in positions)


def get_settlement_token_balance(margin: MarginAccount) -> int:
    """The first value of ``Vault._getSettlementTokenBalanceAndUnrealizedPnl``, 18 decimals."""
    account = margin.account
    return (
        parse_settlement_token(account.settlement_balance, margin.system.config.settlement_decimals)
        - get_all_pending_funding_payment(margin)
        + get_pending_fee(margin)
        + account.owed_realized_pnl
    )


def get_settlement_token_value(margin: MarginAccount) -> int:
    """``Vault._getSettlementTokenValue``, 18 decimals."""
    return get_settlement_token_balance(margin) + get_unrealized_pnl(margin)


def get_non_settlement_token_value(margin: MarginAccount) -> int:
    """``Vault._getNonSettlementTokenValue``: collateral after its haircut, 18 decimals."""
    value = 0
    for token, balance in margin.account.collaterals.items():
        collateral = margin.system.collateral(token)
        share = mul_ratio(get_collateral_value(collateral, balance), collateral.collateral_ratio)
        value += share
    return value


def get_total_collateral_value(margin: MarginAccount) -> int:
    """Settlement balance and other collateral, without unrealised profit; 18 decimals."""
    return get_settlement_token_balance(margin) + get_non_settlement_token_value(margin)


def get_unrounded_account_value(margin: MarginAccount) -> int:
    """``Vault._getAccountValueAndTotalCollateralValue``, before any rounding; 18 decimals."""
    value = get_settlement_token_value(margin)
    return value + to_int256(get_non_settlement_token_value(margin))


def get_vault_account_value(margin: MarginAccount) -> int:
    """``Vault.getAccountValue``: in the settlement token's decimals, rounded down."""
    return format_settlement_token(
        get_unrounded_account_value(margin), margin.system.config.settlement_decimals
    )


def get_account_value(margin: MarginAccount) -> int:
    """``ClearingHouse.getAccountValue``: 18 decimals, but only whole units of the settlement."""
    return parse_settlement_token(
        get_vault_account_value(margin), margin.system.config.settlement_decimals
    )


def get_total_abs_position_value(margin: MarginAccount) -> int:
    """``AccountBalance.getTotalAbsPositionValue``, 18 decimals."""
    return sum(abs(known(position.total_position_value)) for position in margin.positions.values())


def get_margin_requirement_for_liquidation(margin: MarginAccount) -> int:
    """``AccountBalance.getMarginRequirementForLiquidation``, 18 decimals."""
    return mul_ratio(get_total_abs_position_value(margin), margin.system.config.mm_ratio)


def is_margin_liquidatable(margin: MarginAccount) -> bool:
    """``ClearingHouse._isLiquidatable``: account value strictly below the requirement."""
    return get_account_value(margin) < get_margin_requirement_for_liquidation(margin)


def get_total_debt_value(margin: MarginAccount) -> int:
    """``AccountBalance.getTotalDebtValue``, 18 decimals."""
    base_debt, quote = 0, 0
    for position in margin.positions.values():
        if position.base < 0:
            price = to_int256(known(position.priced.reference_price))
            base_debt += mul_div(position.base, price, WAD)
        quote += position.quote
    return abs(min(quote, 0) + base_debt)


def get_unrounded_free_collateral_by_ratio(margin: MarginAccount, ratio: int) -> int:
    """``Vault._getFreeCollateralByRatio``, 18 decimals."""
    account_value = get_unrounded_account_value(margin)
    collateral_value = get_total_collateral_value(margin)
    requirement = mul_ratio(get_total_debt_value(margin), ratio)
    return min(collateral_value, account_value) - requirement


def get_free_collateral_by_ratio(margin: MarginAccount, ratio: int) -> int:
    """``Vault.getFreeCollateralByRatio``: in the settlement token's decimals, rounded down."""
    free = get_unrounded_free_collateral_by_ratio(margin, ratio)
    return format_settlement_token(free, margin.system.config.settlement_decimals)


def get_free_collateral(margin: MarginAccount) -> int:
    """``Vault.getFreeCollateral``: at the initial margin ratio, never negative."""
    free = get_unrounded_free_collateral_by_ratio(margin, margin.system.config.im_ratio)
    return format_settlement_token(max(free, 0), margin.system.config.settlement_decimals)


def has_order(margin: MarginAccount) -> bool:
    """``AccountBalance.hasOrder``: in any open market; others do not count."""
    return any(
        position.state.orders and position.priced.market.status == "open"
        for position in margin.positions.values()
    )
