"""Positions by the contract's field names, as the DataStore, the logs and the rows have them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from analyzer.protocols.gmx_v2.state import Position


@dataclass(frozen=True, slots=True)
class Held:
    """A position by its key; without a struct there is a reason."""

    key: str
    fields: Mapping[str, Any]
    """What is known of it, under the contract's names."""
    reason: str | None = None

    @property
    def position(self) -> Position | None:
        """The struct, if all of it is known."""
        return None if self.reason is not None else position_of(self.key, self.fields)


def position_of(key: str, fields: Mapping[str, Any]) -> Position:
    """``Position.Props`` of its fields under the contract's names; no pending impact is none."""
    return Position(
        key,
        fields["account"],
        fields["market"],
        fields["collateralToken"],
        bool(fields["isLong"]),
        fields["sizeInUsd"],
        fields["sizeInTokens"],
        fields["collateralAmount"],
        fields.get("pendingImpactAmount", 0),
        fields["borrowingFactor"],
        fields["fundingFeeAmountPerSize"],
        fields["longTokenClaimableFundingAmountPerSize"],
        fields["shortTokenClaimableFundingAmountPerSize"],
        fields["increasedAtTime"],
        fields["decreasedAtTime"],
    )
