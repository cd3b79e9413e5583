"""The Vault's liquidation arithmetic in Python integers, function by function.

USD amounts, sizes, prices: 1e30. Rates: 1e6. Every product and sum is a checked uint256 as in the
contract's SafeMath, so an absurd input raises ``Revert`` with the reason that the contract gives.
"""

from dataclasses import dataclass
from typing import Final

from analyzer.errors import Revert
from analyzer.units import (
    BASIS_POINTS,
    UINT256_MAX,
    checked_add,
    checked_div,
    checked_mul,
    checked_sub,
)

FUNDING_RATE_PRECISION: Final = 10**6
PRICE_PRECISION: Final = 10**30

SAFE: Final = 0
LIQUIDATABLE: Final = 1
OVER_LEVERAGED: Final = 2


@dataclass(frozen=True, slots=True)
class Position:
    """The struct that ``Vault.positions`` stores under a position's key."""

    size: int
    collateral: int
    average_price: int
    entry_funding_rate: int
    reserve_amount: int
    realised_pnl: int
    last_increased_time: int


@dataclass(frozen=True, slots=True)
class TokenFunding:
    """What ``Vault.getNextFundingRate`` knows of a token; the factor is the one for its kind."""

    pool_amount: int
    reserved_amount: int
    cumulative_funding_rate: int
    last_funding_time: int
    funding_interval: int
    funding_rate_factor: int


@dataclass(frozen=True, slots=True)
class Terms:
    """What a verdict depends on besides the position and the price.

    ``profit_counts`` is true for a VaultUtils of February 2025 asked with ``_raise`` = false.
    """

    max_leverage: int
    liquidation_fee_usd: int
    margin_fee_basis_points: int
    min_profit_time: int
    min_profit_basis_points: int
    cumulative_funding_rate: int
    now: int
    profit_counts: bool


@dataclass(frozen=True, slots=True)
class Verdict:
    """What ``Vault.validateLiquidation`` returns, and what it would say when told to raise.

    ``remaining_collateral`` is negative where losses exceed the collateral.
    """

    state: int
    margin_fees: int
    reason: str | None
    remaining_collateral: int


def get_delta(position: Position, is_long: bool, price: int, terms: Terms) -> tuple[bool, int]:
    """``Vault.getDelta``: whether there is a profit, and its or the loss's size (1e30 USD).

    ``price`` is the minimum price for a long, the maximum for a short. A profit below
    ``minProfitBasisPoints`` within ``minProfitTime`` of the last increase is zero.
    """
    average = position.average_price
    if average == 0:
        raise Revert("Vault: invalid averagePrice")
    difference = average - price if average > price else price - average
    delta = checked_mul(position.size, difference) // average
    has_profit = price > average if is_long else average > price
    min_bps = min_profit_in_force(position, terms)
    if has_profit and checked_mul(delta, BASIS_POINTS) <= checked_mul(position.size, min_bps):
        delta = 0
    return has_profit, delta


def min_profit_in_force(position: Position, terms: Terms) -> int:
    """``minProfitBasisPoints`` while its window lasts, else 0."""
    window_ends = checked_add(position.last_increased_time, terms.min_profit_time)
    return 0 if terms.now > window_ends else terms.min_profit_basis_points


def get_position_fee(size_delta: int, margin_fee_basis_points: int) -> int:
    """``Vault.getPositionFee``: the margin fee on a size (1e30 USD), rounded up."""
    if size_delta == 0:
        return 0
    after_fee = checked_mul(size_delta, checked_sub(BASIS_POINTS, margin_fee_basis_points))
    return size_delta - after_fee // BASIS_POINTS


def get_funding_fee(size: int, entry_funding_rate: int, cumulative_funding_rate: int) -> int:
    """``Vault.getFundingFee``: funding since the entry rate of the collateral token (1e30 USD)."""
    if size == 0:
        return 0
    rate = checked_sub(cumulative_funding_rate, entry_funding_rate)
    return checked_mul(size, rate) // FUNDING_RATE_PRECISION


def get_next_funding_rate(token: TokenFunding, now: int) -> int:
    """``Vault.getNextFundingRate``: what the next update adds to the cumulative rate (1e6)."""
    if checked_add(token.last_funding_time, token.funding_interval) > now:
        return 0
    intervals = checked_div(checked_sub(now, token.last_funding_time), token.funding_interval)
    if token.pool_amount == 0:
        return 0
    reserved = checked_mul(token.funding_rate_factor, token.reserved_amount)
    return checked_mul(reserved, intervals) // token.pool_amount


def update_cumulative_funding_rate(token: TokenFunding, now: int) -> int:
    """``Vault.updateCumulativeFundingRate``: the cumulative rate that a transaction would meet.

    A token that was never updated only gets its time set: its rate stays.
    """
    if token.last_funding_time == 0:
        return token.cumulative_funding_rate
    return checked_add(token.cumulative_funding_rate, get_next_funding_rate(token, now))


def get_position_leverage(size: int, collateral: int) -> int:
    """``Vault.getPositionLeverage`` in basis points; it ignores profit, loss and fees."""
    if collateral == 0:
        raise Revert("Vault: invalid position")
    return checked_mul(size, BASIS_POINTS) // collateral


def get_margin_fees(position: Position, terms: Terms) -> int:
    """Funding owed plus the fee for closing the whole position (1e30 USD)."""
    funding = get_funding_fee(
        position.size, position.entry_funding_rate, terms.cumulative_funding_rate
    )
    return checked_add(funding, get_position_fee(position.size, terms.margin_fee_basis_points))


def validate_liquidation(position: Position, is_long: bool, price: int, terms: Terms) -> Verdict:
    """``Vault.validateLiquidation``: the verdict, and the reason it raises if told to.

    A position that pays its fees out of the last collateral is charged no more than what is left;
    the leverage test ignores fees.
    """
    has_profit, delta = get_delta(position, is_long, price, terms)
    fees = get_margin_fees(position, terms)
    collateral = position.collateral
    if not has_profit and collateral < delta:
        return Verdict(LIQUIDATABLE, fees, "losses exceed collateral", collateral - delta)
    remaining = collateral
    if not has_profit:
        remaining = collateral - delta
    elif terms.profit_counts:
        remaining = checked_add(collateral, delta)
    if remaining < fees:
        return Verdict(LIQUIDATABLE, remaining, "fees exceed collateral", remaining)
    if remaining < checked_add(fees, terms.liquidation_fee_usd):
        return Verdict(LIQUIDATABLE, fees, "liquidation fees exceed collateral", remaining)
    backed = checked_mul(remaining, terms.max_leverage)
    if backed < checked_mul(position.size, BASIS_POINTS):
        return Verdict(OVER_LEVERAGED, fees, "maxLeverage exceeded", remaining)
    return Verdict(SAFE, fees, None, remaining)


def raised(verdict: Verdict) -> str | None:
    """The revert reason with ``_raise`` = true, of a verdict in which profit does not count."""
    return None if verdict.reason is None else f"Vault: {verdict.reason}"


def power_of_ten(decimals: int) -> int:
    """``10 ** decimals`` as a uint256 has it, which nobody checks for overflow."""
    return pow(10, decimals, UINT256_MAX + 1)
