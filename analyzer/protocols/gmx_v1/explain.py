"""A position's arithmetic line by line, in the contract's names and integers."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from analyzer.protocol import Line, StoredAccount, StoredPosition
from analyzer.protocols.gmx_v1.assess import EXECUTABLE, STORED

POSITION: Final = {
    "size": "1e30 USD",
    "collateral": "1e30 USD, as valued when it was deposited",
    "averagePrice": "1e30 USD, moved by increases only",
    "entryFundingRate": "cumulative funding rate of the collateral token at the last increase",
    "lastIncreasedTime": "unix seconds",
    "maxLeverage": "basis points",
    "liquidationFeeUsd": "1e30 USD",
    "minProfitTime": "seconds after an increase in which a small profit is taken as none",
    "minProfitBasisPoints": "what is small",
}
BASES: Final = {
    EXECUTABLE: "what a liquidation in this block meets",
    STORED: "what validateLiquidation answers",
}
AMOUNTS: Final = {
    "marginFeeBasisPoints": "the margin fee in force",
    "cumulativeFundingRate": "of the collateral token",
    "hasProfit": "price above averagePrice for a long, below it for a short",
    "delta": "size * |averagePrice - price| / averagePrice",
    "fundingFee": "size * (cumulativeFundingRate - entryFundingRate) / 1e6",
    "positionFee": "size - size * (10000 - marginFeeBasisPoints) / 10000",
    "requirement": "the larger of both fees + liquidationFeeUsd and size * 10000 / maxLeverage",
}
VERDICTS: Final = {
    0: "safe",
    1: "liquidatable, nothing is left",
    2: "liquidatable, the rest is paid",
}
FLIPS: Final = {
    "flip": "1e30 USD, where nothing else moves",
    "native": "answers of the primary feed, where nothing else moves",
}


def explain(account: StoredAccount) -> Sequence[Line]:
    """The lines of a margin account: its one position, on both bases."""
    return [line for position in account.positions for line in _position(position)]


def _position(position: StoredPosition) -> Iterator[Line]:
    yield Line("key", position.position_id, f"{position.side} of {position.market}")
    for name, meaning in POSITION.items():
        yield Line(name, str(position.inputs[name]), meaning)
    for basis, meaning in BASES.items():
        yield Line(basis, "", meaning)
        yield from _basis(position, position.outputs[basis])
    yield from _flips("native", position.outputs.get("native", {}))
    for name in ("getPositionLeverage", "getNextFundingRate"):
        yield Line(name, _shown(position.outputs[name]))


def _basis(position: StoredPosition, basis: Mapping[str, Any]) -> Iterator[Line]:
    if "unknown" in basis:
        yield Line("unknown", basis["unknown"], "no verdict without it")
        return
    which = "minimum" if position.side == "long" else "maximum"
    yield Line("price", str(basis["price"]), f"{which} price of the index token, 1e30 USD")
    for name, meaning in AMOUNTS.items():
        yield Line(name, str(basis[name]), meaning)
    for variant, verdict in basis["validateLiquidation"].items():
        name = f"variant {variant}"
        left = "collateral less losses" + (", profit counted" if variant == "C" else "")
        yield Line(f"{name}: remainingCollateral", str(verdict["remainingCollateral"]), left)
        yield Line(f"{name}: marginFees", str(verdict["marginFees"]), "fundingFee + positionFee")
        state = verdict["liquidationState"]
        yield Line(f"{name}: liquidationState", str(state), verdict["reason"] or VERDICTS[state])
    yield from _flips("flip", basis["flip"])


def _flips(name: str, flips: Mapping[str, Mapping[str, Any]]) -> Iterator[Line]:
    for variant, flip in flips.items():
        label = f"variant {variant}: {name}"
        if flip.get("kind") != "flip":
            yield Line(label, _shown(flip), FLIPS[name])
            continue
        for which in ("last_liquidatable", "first_safe"):
            yield Line(f"{label}.{which}", str(flip[which]), FLIPS[name])


def _shown(value: Any) -> str:
    if isinstance(value, Mapping):
        return str(value.get("unknown") or value["kind"])
    return str(value)
