"""``ClearingHouse.liquidate``: how much of a position it takes, and whether it would succeed."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from analyzer.errors import Revert
from analyzer.protocols.perp_v2.account import (
    MarginAccount,
    System,
    get_account_value,
    get_margin_requirement_for_liquidation,
    get_settlement_token_value,
    get_total_abs_position_value,
    get_unrounded_free_collateral_by_ratio,
    has_order,
    is_margin_liquidatable,
    value_account,
)
from analyzer.protocols.perp_v2.orders import settle_funding
from analyzer.protocols.perp_v2.perp_math import (
    RATIO,
    WAD,
    format_settlement_token,
    mul_div,
    mul_ratio,
    parse_settlement_token,
    to_int256,
    to_uint24,
)
from analyzer.protocols.perp_v2.position import DUST
from analyzer.protocols.perp_v2.state import Account, AccountMarket, attempt, known
from analyzer.reads import Failed
from analyzer.units import sdiv

MIN_PARTIAL_LIQUIDATE_POSITION_VALUE: Final = 100 * WAD
FULLY_CLOSED: Final = WAD
NO_POSITION: Final = AccountMarket(
    taker_position_size=0, taker_open_notional=0, last_tw_premium_growth_global_x96=0
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Liquidator:
    """Who calls ``liquidate`` and who stands behind it.

    Without an ``account`` the liquidator is one who can take anything over. The insurance fund's
    wallet is its balance of the settlement token outside the vault.
    """

    insurance_fund: Account | Failed
    insurance_fund_wallet: int | Failed
    account: Account | None = None


def get_liquidatable_position_size(margin: MarginAccount, base_token: str) -> int:
    """``AccountBalance.getLiquidatablePositionSize`` at the account's own value, 18 decimals."""
    account_value = get_account_value(margin)
    requirement = get_margin_requirement_for_liquidation(margin)
    if account_value >= requirement or base_token not in margin.positions:
        return 0
    position = margin.positions[base_token]
    size = position.total_position_size
    if size == 0:
        return 0
    value = abs(known(position.total_position_value))
    if value <= MIN_PARTIAL_LIQUIDATE_POSITION_VALUE:
        return size
    ratio = RATIO
    if account_value >= sdiv(requirement, 2):
        share = get_total_abs_position_value(margin) * RATIO // (2 * value)
        ratio = min(RATIO, to_uint24(share))
    return mul_ratio(size, ratio)


@dataclass(frozen=True, slots=True)
class Seizure:
    """What ``liquidate`` takes from the trader, and the account value it leaves; 18 decimals."""

    size: int
    notional: int
    liquidator_fee: int
    insurance_fund_fee: int
    value_after: int


def liquidate(margin: MarginAccount, base_token: str, liquidator: Liquidator) -> Seizure:
    """Go through ``ClearingHouse._liquidate`` for the largest size; reverts as it would."""
    system = margin.system
    seized = seize(margin, base_token)
    if seized.value_after < 0:
        capacity = get_insurance_fund_capacity(system, liquidator, seized.insurance_fund_fee)
        decimals = system.config.settlement_decimals
        if parse_settlement_token(capacity, decimals) < -seized.value_after:
            raise Revert("CH_IIC")
    if liquidator.account is not None:
        cost = seized.liquidator_fee - seized.notional
        _take_over(system, liquidator.account, base_token, seized.size, cost)
    return seized


def seize(margin: MarginAccount, base_token: str) -> Seizure:
    """The trader's side of ``liquidate``, up to where the insurance fund has to answer for it."""
    system = margin.system
    if system.config.is_paused:
        raise Revert("Pausable: paused")
    priced = system.market(base_token)
    if priced.market.status != "open":
        raise Revert("CH_MNO")
    if has_order(margin):
        raise Revert("CH_CLWTISO")
    if not is_margin_liquidatable(margin):
        raise Revert("CH_EAV")
    position = margin.positions.get(base_token)
    if position is None or position.taker_position_size == 0:
        raise Revert("CH_PSZ")
    size = get_liquidatable_position_size(margin, base_token)
    notional = mul_div(size, to_int256(known(priced.mark_price)), WAD)
    penalty = mul_ratio(abs(notional), system.config.liquidation_penalty_ratio)
    liquidator_fee = penalty if get_account_value(margin) < 0 else penalty // 2
    fund_fee = 0 if get_account_value(margin) < 0 else penalty - liquidator_fee
    trader = exchange_position(margin, base_token, -size, notional)
    trader = replace(trader, owed_realized_pnl=trader.owed_realized_pnl - penalty)
    value_after = get_account_value(value_account(system, trader))
    return Seizure(size, notional, liquidator_fee, fund_fee, value_after)


def liquidation_outcomes(margin: MarginAccount, liquidator: Liquidator) -> Mapping[str, str]:
    """What ``liquidate`` would say in each of the account's markets: ``OK``, or why not."""
    return {
        base_token: outcome_of(attempt(liquidate, margin, base_token, liquidator))
        for base_token in margin.positions
    }


def outcome_of(seized: Seizure | Failed) -> str:
    """An outcome in the contract's word: ``OK``, the reason of the revert, or what is unknown."""
    if not isinstance(seized, Failed):
        return "OK"
    return seized.reason if seized.reverted else f"unknown: {seized.reason}"


def get_insurance_fund_capacity(system: System, liquidator: Liquidator, fee: int = 0) -> int:
    """``InsuranceFund.getInsuranceFundCapacity`` once a fee is owed to it, settlement decimals."""
    fund = known(liquidator.insurance_fund)
    fund = replace(fund, owed_realized_pnl=fund.owed_realized_pnl + fee)
    value = get_settlement_token_value(value_account(system, fund))
    decimals = system.config.settlement_decimals
    return format_settlement_token(value, decimals) + known(liquidator.insurance_fund_wallet)


def exchange_position(margin: MarginAccount, base_token: str, size: int, notional: int) -> Account:
    """Settle a market's funding and add to the taker's position, realising profit on the way.

    ``ClearingHouse._modifyPositionAndRealizePnl`` after ``_settleFunding``.
    """
    account, priced = margin.account, margin.system.market(base_token)
    state, funding = NO_POSITION, 0
    if base_token in margin.positions:
        state = margin.positions[base_token].state
        funding = known(margin.positions[base_token].pending_funding_payment)
    realized = get_pnl_to_be_realized(state, size, notional)
    growth = known(priced.funding).growth
    after = replace(
        state,
        orders=tuple(settle_funding(priced.market, order, growth) for order in state.orders),
        taker_position_size=state.taker_position_size + size,
        taker_open_notional=state.taker_open_notional + notional - realized,
        last_tw_premium_growth_global_x96=growth.tw_premium_x96,
    )
    positions = {**account.positions, base_token: after}
    if is_deregistered(after):
        del positions[base_token]
    return replace(
        account,
        owed_realized_pnl=account.owed_realized_pnl - funding + realized,
        positions=positions,
    )


def is_deregistered(state: AccountMarket) -> bool:
    """``AccountBalance._deregisterBaseToken``: whether the market is forgotten, dust included."""
    sizes = (state.taker_position_size, state.taker_open_notional)
    return not state.orders and all(abs(size) < DUST for size in sizes)


def get_pnl_to_be_realized(state: AccountMarket, size: int, notional: int) -> int:
    """``Exchange.getPnlToBeRealized``: nothing unless the position shrinks."""
    held = state.taker_position_size
    if size == 0 or held == 0 or (held < 0) == (size < 0):
        return 0
    closed_ratio = abs(size) * FULLY_CLOSED // abs(held)
    if closed_ratio <= FULLY_CLOSED:
        return notional + mul_div(state.taker_open_notional, closed_ratio, FULLY_CLOSED)
    return state.taker_open_notional + mul_div(notional, FULLY_CLOSED, closed_ratio)


def _take_over(system: System, account: Account, base_token: str, size: int, notional: int) -> None:
    """The liquidator's side: room for one more market, and initial margin for what it takes."""
    config = system.config
    markets = {*account.positions, base_token}
    if config.max_markets_per_account is not None and len(markets) > config.max_markets_per_account:
        raise Revert("AB_MNE")
    after = exchange_position(value_account(system, account), base_token, size, notional)
    margin = value_account(system, after)
    if get_unrounded_free_collateral_by_ratio(margin, config.im_ratio) < 0:
        raise Revert("CH_NEFCI")
