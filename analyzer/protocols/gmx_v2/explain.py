"""A position's arithmetic line by line, in the contract's names and integers."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from analyzer.protocol import Line, StoredAccount

MEANINGS: Final = {
    "sizeInUsd": "size, USD with 30 decimals",
    "sizeInTokens": "size in smallest units of the index token",
    "collateralAmount": "smallest units of the collateral token",
    "pendingImpactAmount": "price impact still owed, in index tokens",
    "collateralUsd": "collateralAmount at the collateral token's min price",
    "positionPnlUsd": "value less size (short: size less value), capped by what the pool may pay",
    "priceImpactUsd": "of closing all, with what is pending; never counted in favour",
    "collateralCostUsd": "totalCostAmount at the collateral token's min price",
    "remainingCollateralUsd": (
        "collateralUsd + positionPnlUsd + priceImpactUsd - collateralCostUsd"
    ),
    "minCollateralUsd": "liquidatable below this",
    "minCollateralUsdForLeverage": "liquidatable below this: a fraction of size",
    "totalCostAmount": "fees in collateral token: position + borrowing + funding - discount",
    "balanceWasImproved": "whether closing improves the balance; selects the fee tier",
    "isLiquidatable": "the verdict",
}


def explain(account: StoredAccount) -> Sequence[Line]:
    """The lines of a margin account's one position: what went in, and both verdicts."""
    return [
        line for position in account.positions for line in _lines(position.inputs, position.outputs)
    ]


def _lines(inputs: Mapping[str, Any], outputs: Mapping[str, Any]) -> Iterator[Line]:
    for name, value in inputs.items():
        yield from _spread(name, value)
    for basis, meaning in (
        ("stored", "on the stored accumulators, as Reader.isPositionLiquidatable says"),
        ("executable", "after updateFundingAndBorrowingState, as a liquidation does"),
    ):
        yield Line(basis, "", meaning)
        for name, value in outputs[basis].items():
            yield from _spread(name, value)
        for flip in outputs[f"flips_{basis}"]["flips"]:
            yield Line(
                "liquidation price",
                str(flip["liquidatable_price"]),
                f"index price; safe at {flip['safe_price']}",
            )


def _spread(name: str, value: Any) -> Iterator[Line]:
    if isinstance(value, Mapping):
        for inner, one in value.items():
            yield from _spread(f"{name}.{inner}", one)
    else:
        yield Line(name, str(value), MEANINGS.get(name, ""))
