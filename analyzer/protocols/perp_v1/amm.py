"""The vAMM's arithmetic in exact integers, named as in the contract ``Amm``.

Reserves, amounts and prices have 18 decimals; times are unix seconds. A long is closed by adding
its base asset to the AMM, a short by removing it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final

from analyzer.errors import Revert
from analyzer.protocols.perp_v1.decimals import (
    ONE,
    SECONDS_PER_DAY,
    div_d,
    from_decimal,
    mul_d,
    signed_div_d,
    signed_mul_scalar,
    signed_sub,
)
from analyzer.reads import MissingError
from analyzer.units import checked_add, checked_div, checked_mul, checked_sub, sdiv

OUTPUT_TWAP_INTERVAL: Final = 15 * 60
"""``Amm.getOutputTwap``: the window is a constant of the contract."""
MAX_ORACLE_SPREAD_RATIO: Final = ONE // 10
"""``Amm.MAX_ORACLE_SPREAD_RATIO``: a constant of the contract, for files that do not name it."""


class Dir(Enum):
    """``IAmm.Dir``: the direction of an amount, seen from the AMM."""

    ADD_TO_AMM = 0
    REMOVE_FROM_AMM = 1


@dataclass(frozen=True, slots=True)
class ReserveSnapshot:
    """``Amm.ReserveSnapshot``: the reserves that a block left behind."""

    quote_asset_reserve: int
    base_asset_reserve: int
    timestamp: int
    block_number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Amm:
    """What a verdict needs of one AMM at one block.

    ``reserve_snapshots`` are the newest ones, oldest first; ``first_snapshot`` is the index of the
    first of them in the contract's own list. ``underlying_price`` is the oracle's answer, or the
    reason with which asking it reverts.
    """

    quote_asset_reserve: int
    base_asset_reserve: int
    reserve_snapshots: tuple[ReserveSnapshot, ...]
    first_snapshot: int
    underlying_price: int | str
    latest_cumulative_premium_fraction: int
    is_open: bool
    settlement_price: int
    block_timestamp: int
    block_number: int
    max_oracle_spread_ratio: int = MAX_ORACLE_SPREAD_RATIO
    trade_limit_ratio: int | None = None
    fluctuation_limit_ratio: int | None = None


def get_output_price_with_reserves(
    direction: Dir, base_asset_amount: int, quote_pool: int, base_pool: int
) -> int:
    """``Amm.getOutputPriceWithReserves``: quote for a base amount.

    One wei worse for the trader where the division has a remainder.
    """
    if base_asset_amount == 0:
        return 0
    add = direction is Dir.ADD_TO_AMM
    invariant = from_decimal(mul_d(quote_pool, base_pool))
    base_after = (checked_add if add else checked_sub)(base_pool, base_asset_amount)
    if base_after == 0:
        raise Revert("base asset after is 0")
    quote_after = signed_div_d(invariant, from_decimal(base_after))
    quote_sold = abs(signed_sub(quote_after, from_decimal(quote_pool)))
    return _one_wei_less(add, quote_sold, invariant, base_after)


def get_input_price_with_reserves(
    direction: Dir, quote_asset_amount: int, quote_pool: int, base_pool: int
) -> int:
    """``Amm.getInputPriceWithReserves``: base for a quote amount.

    One wei worse for the trader where the division has a remainder.
    """
    if quote_asset_amount == 0:
        return 0
    add = direction is Dir.ADD_TO_AMM
    invariant = from_decimal(mul_d(quote_pool, base_pool))
    quote_after = (checked_add if add else checked_sub)(quote_pool, quote_asset_amount)
    if quote_after == 0:
        raise Revert("quote asset after is 0")
    base_after = signed_div_d(invariant, from_decimal(quote_after))
    base_bought = abs(signed_sub(base_after, from_decimal(base_pool)))
    return _one_wei_less(add, base_bought, invariant, quote_after)


def get_output_price(amm: Amm, direction: Dir, base_asset_amount: int) -> int:
    """``Amm.getOutputPrice``: on the current reserves."""
    return get_output_price_with_reserves(
        direction, base_asset_amount, amm.quote_asset_reserve, amm.base_asset_reserve
    )


def get_output_twap(amm: Amm, direction: Dir, base_asset_amount: int) -> int:
    """``Amm.getOutputTwap``: the time-weighted mean of the output over 15 minutes."""

    def output(snapshot: ReserveSnapshot) -> int:
        return get_output_price_with_reserves(
            direction,
            base_asset_amount,
            snapshot.quote_asset_reserve,
            snapshot.base_asset_reserve,
        )

    return _twap(amm, output, OUTPUT_TWAP_INTERVAL)


def get_underlying_price(amm: Amm) -> int:
    """``Amm.getUnderlyingPrice``: the oracle's price, or its revert."""
    if isinstance(amm.underlying_price, str):
        raise Revert(amm.underlying_price)
    return amm.underlying_price


def get_spot_price(amm: Amm) -> int:
    """``Amm.getSpotPrice``: quote per base."""
    return div_d(amm.quote_asset_reserve, amm.base_asset_reserve)


def get_twap_price(amm: Amm, interval: int) -> int:
    """``Amm.getTwapPrice``: the time-weighted mean of the spot price over ``interval`` seconds."""
    return _twap(amm, spot_price, interval)


def calc_twap(
    snapshots: Sequence[ReserveSnapshot],
    first: int,
    now: int,
    price: Callable[[ReserveSnapshot], int],
    interval: int,
) -> int:
    """``Amm.calcTwap``: walks the snapshots back from the newest; ``first`` is the oldest's index.

    Raises ``MissingError`` where the snapshots at hand do not reach back far enough.
    """
    newest = snapshots[-1]
    current_price = price(newest)
    if interval == 0:
        return current_price
    base_timestamp = checked_sub(now, interval)
    if first + len(snapshots) == 1 or newest.timestamp <= base_timestamp:
        return current_price
    previous_timestamp = newest.timestamp
    period = checked_sub(now, previous_timestamp)
    weighted_price = checked_mul(current_price, period)
    for snapshot in reversed(snapshots[:-1]):
        current_price = price(snapshot)
        reach = max(snapshot.timestamp, base_timestamp)
        time_fraction = checked_sub(previous_timestamp, reach)
        weighted_price = checked_add(weighted_price, checked_mul(current_price, time_fraction))
        if snapshot.timestamp <= base_timestamp:
            return checked_div(weighted_price, interval)
        period += time_fraction
        previous_timestamp = snapshot.timestamp
    if first > 0:
        raise MissingError("the reserve snapshots do not reach back over the TWAP's window")
    return checked_div(weighted_price, period)


def spot_price(snapshot: ReserveSnapshot) -> int:
    """Quote per base of a snapshot, as ``Amm.getPriceWithSpecificSnapshot`` takes it."""
    return div_d(snapshot.quote_asset_reserve, snapshot.base_asset_reserve)


def is_over_spread_limit(amm: Amm) -> bool:
    """``Amm.isOverSpreadLimit``: whether spot and oracle are as far apart as the limit, or more."""
    oracle_price = get_underlying_price(amm)
    if oracle_price == 0:
        raise Revert("underlying price is 0")
    difference = signed_sub(from_decimal(get_spot_price(amm)), from_decimal(oracle_price))
    return abs(signed_div_d(difference, oracle_price)) >= amm.max_oracle_spread_ratio


def move_reserves(amm: Amm, quote_asset_reserve: int) -> Amm:
    """The AMM after trades along its curve that leave this quote reserve; snapshots stay."""
    invariant = mul_d(amm.quote_asset_reserve, amm.base_asset_reserve)
    return replace(
        amm,
        quote_asset_reserve=quote_asset_reserve,
        base_asset_reserve=div_d(invariant, quote_asset_reserve),
    )


def premium_fraction(twap_price: int, underlying_twap_price: int, funding_period: int) -> int:
    """What ``Amm.settleFunding`` returns: the premium for one funding period, in 18 decimals."""
    premium = signed_sub(from_decimal(twap_price), from_decimal(underlying_twap_price))
    return sdiv(signed_mul_scalar(premium, funding_period), SECONDS_PER_DAY)


def _one_wei_less(add: bool, amount: int, invariant: int, pool_after: int) -> int:
    if checked_mul(invariant, ONE) % pool_after == 0:
        return amount
    return checked_sub(amount, 1) if add else checked_add(amount, 1)


def _twap(amm: Amm, price: Callable[[ReserveSnapshot], int], interval: int) -> int:
    return calc_twap(
        amm.reserve_snapshots, amm.first_snapshot, amm.block_timestamp, price, interval
    )
