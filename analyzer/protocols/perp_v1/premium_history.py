"""The cumulative premium fraction from logs: what no event tells, but all of them together do.

``Amm.settleFunding`` emits a rounded rate and the index TWAP. The market TWAP follows exactly from
the reserve snapshots in the logs; the rate then confirms the fraction that was computed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from analyzer.protocols.perp_v1.amm import ReserveSnapshot, calc_twap, premium_fraction, spot_price
from analyzer.protocols.perp_v1.decimals import signed_add, signed_div_d

RESERVE = ":reserve:"


@dataclass(slots=True)
class PremiumHistory:
    """One AMM's reserve snapshots of the last funding window, and its premium so far.

    ``fraction`` is None from the first funding that the logs do not explain.
    """

    fraction: int | None = 0
    fundings: int = 0
    liquidity_history_index: int = 0
    trail: dict[int, ReserveSnapshot] = field(default_factory=dict)

    def snapshot(self, taken: ReserveSnapshot, window: int) -> tuple[int, list[int]]:
        """``Amm.addReserveSnapshot``: the index that it has, and those that the window has left."""
        newest = max(self.trail, default=-1)
        is_same_block = newest >= 0 and self.trail[newest].block_number == taken.block_number
        index = newest if is_same_block else newest + 1
        self.trail[index] = taken
        outside = [i for i, s in self.trail.items() if s.timestamp <= taken.timestamp - window]
        gone = sorted(outside)[:-1]
        for old in gone:
            del self.trail[old]
        return index, gone

    def settle_funding(
        self, rate: int, underlying_price: int, now: int, window: int, period: int
    ) -> bool:
        """``ClearingHouse.payFunding``: whether the computed fraction is the one of the event."""
        self.fundings += 1
        if self.fraction is None or not self.trail:
            self.fraction = None
            return False
        order = sorted(self.trail)
        snapshots = tuple(self.trail[index] for index in order)
        twap = calc_twap(snapshots, order[0], now, spot_price, window)
        premium = premium_fraction(twap, underlying_price, period)
        if signed_div_d(premium, underlying_price) != rate:
            self.fraction = None
            return False
        self.fraction = signed_add(self.fraction, premium)
        return True

    def after(self) -> dict[str, Any]:
        """The state to go on from, apart from the snapshots."""
        return {
            "cumulativePremiumFraction": self.fraction,
            "fundings": self.fundings,
            "liquidityHistoryIndex": self.liquidity_history_index,
        }


def reserve_key(amm: str, index: int) -> str:
    """The state key of a reserve snapshot."""
    return f"{amm}{RESERVE}{index}"


def reserve_fields(taken: ReserveSnapshot) -> dict[str, int]:
    """The state of a reserve snapshot."""
    return {
        "quoteAssetReserve": taken.quote_asset_reserve,
        "baseAssetReserve": taken.base_asset_reserve,
        "timestamp": taken.timestamp,
        "blockNumber": taken.block_number,
    }


def histories(state: Mapping[str, Mapping[str, Any]]) -> dict[str, PremiumHistory]:
    """Every AMM's history from the state that earlier logs left."""
    found = {
        key: PremiumHistory(
            held["cumulativePremiumFraction"], held["fundings"], held["liquidityHistoryIndex"]
        )
        for key, held in state.items()
        if "fundings" in held
    }
    for key, held in state.items():
        amm, separator, index = key.partition(RESERVE)
        if separator:
            found[amm].trail[int(index)] = ReserveSnapshot(
                held["quoteAssetReserve"],
                held["baseAssetReserve"],
                held["timestamp"],
                held["blockNumber"],
            )
    return found
