"""What the Vault keeps of all positions together, beside what the positions add up to.

Each total moves by exactly what the struct of a position moves by: ``Vault.increasePosition``,
``_decreasePosition`` and ``liquidatePosition``. So there is no rounding between them.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Final

from analyzer.protocols.evidence import total
from analyzer.protocols.gmx_v1.held import Held
from analyzer.protocols.gmx_v1.reading import Readings
from analyzer.protocols.gmx_v1.risk import Position
from analyzer.reads import Failed
from analyzer.rows import At, Totals
from analyzer.units import sdiv, to_e18

USD_DECIMALS: Final = 30
MOST_DECIMALS: Final = 77
"""More than these are no decimals: ten to their power does not fit a uint256."""


def vault_totals(at: At, readings: Readings, held: Iterable[Held]) -> list[Totals]:
    """``reservedAmounts`` of both sides, ``guaranteedUsd`` of longs, ``globalShortSizes``.

    A position without a struct is in no sum: its share is the difference.
    """
    reserved: Counter[str] = Counter()
    guaranteed: Counter[str] = Counter()
    short_sizes: Counter[str] = Counter()
    for one in held:
        if one.struct is not None:
            identity, position = one.identity, one.struct
            reserved[identity.collateral_token] += position.reserve_amount
            if identity.is_long:
                guaranteed[identity.collateral_token] += _guaranteed(position)
            else:
                short_sizes[identity.index_token] += position.size
    rows: list[Totals] = []
    for token in readings.tokens:
        stated = readings.values
        rows += [
            total(
                at, "reservedAmounts", token, "both", "collateral",
                stated["Vault", "reservedAmounts", token], reserved[token],
                usd=_value_of(readings, token),
            ),
            total(
                at, "guaranteedUsd", token, "long", "size",
                stated["Vault", "guaranteedUsd", token], guaranteed[token], usd=_usd,
            ),
            total(
                at, "globalShortSizes", token, "short", "size",
                stated["Vault", "globalShortSizes", token], short_sizes[token], usd=_usd,
            ),
        ]  # fmt: skip
    return rows


def _guaranteed(position: Position) -> int:
    """A long's share of ``guaranteedUsd``: what of its size its collateral does not cover."""
    return position.size - position.collateral


def _value_of(readings: Readings, token: str) -> Callable[[int], int | None]:
    """From an amount of a token to USD at the price that the Vault takes for its minimum."""
    price = readings.values["Vault", "getMinPrice", token]
    decimals = readings.values["Vault", "tokenDecimals", token]
    if isinstance(price, Failed) or isinstance(decimals, Failed) or decimals > MOST_DECIMALS:
        return lambda _: None
    return lambda amount: _usd(sdiv(amount * price, 10**decimals))


def _usd(amount: int) -> int:
    return to_e18(amount, USD_DECIMALS)
