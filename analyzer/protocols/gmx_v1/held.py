"""A position as the logs or the contract have it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from analyzer.protocols.gmx_v1.contracts import Identity, identity_of
from analyzer.protocols.gmx_v1.risk import Position

STRUCT: Final = (
    "size", "collateral", "averagePrice", "entryFundingRate", "reserveAmount", "realisedPnl",
    "lastIncreasedTime",
)  # fmt: skip
"""The contract's names of what ``Vault.positions`` stores, in its order."""


@dataclass(frozen=True, slots=True)
class Held:
    """Whose position it is and what is known of it; without a struct there is a reason."""

    identity: Identity
    struct: Position | None
    reason: str = ""


def logged_position(after: Mapping[str, Any]) -> Held:
    """A position of the state that the logs left behind."""
    identity = identity_of(after)
    if any(after[name] is None for name in STRUCT):
        return Held(identity, None, "the logs do not say what its last change left behind")
    return Held(identity, Position(*(after[name] for name in STRUCT)))


def stored_position(answer: tuple[int, int, int, int, int, int, bool, int]) -> Position | None:
    """The struct in the eight values of ``Vault.getPosition``; ``None`` where there is none."""
    size, collateral, average_price, entry_funding_rate, reserve_amount, pnl, gained, last = answer
    if size == 0:
        return None
    return Position(
        size=size,
        collateral=collateral,
        average_price=average_price,
        entry_funding_rate=entry_funding_rate,
        reserve_amount=reserve_amount,
        realised_pnl=pnl if gained else -pnl,
        last_increased_time=last,
    )


def struct_fields(position: Position | None) -> dict[str, int | None]:
    """A struct under the contract's names."""
    if position is None:
        return dict.fromkeys(STRUCT)
    return {
        "size": position.size,
        "collateral": position.collateral,
        "averagePrice": position.average_price,
        "entryFundingRate": position.entry_funding_rate,
        "reserveAmount": position.reserve_amount,
        "realisedPnl": position.realised_pnl,
        "lastIncreasedTime": position.last_increased_time,
    }
