"""A position's arithmetic line by line, in the contract's names and integers."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
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

LAST_SECOND: Final = 253_402_300_799
"""The end of the year 9999."""
GROUNDS: Final = {
    "user": "given by the user",
    "executed": "as executed last",
    "feed": "of the on-chain feed, an estimate: keepers liquidate at signed prices",
    "last_observed": "the one that was observed last: none is known to be young enough",
}
"""Why a price is the one that verdicts rest on."""


def explain(account: StoredAccount) -> Sequence[Line]:
    """The lines of a margin account's one position: what went in, and both verdicts."""
    lines = [
        line for position in account.positions for line in _lines(position.inputs, position.outputs)
    ]
    return [*lines, *_alternatives(account.outputs.get("price_alternatives") or ())]


def _lines(inputs: Mapping[str, Any], outputs: Mapping[str, Any]) -> Iterator[Line]:
    for name, value in inputs.items():
        if name == "price_basis":
            yield from _price_basis(value or {})
        else:
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


def _price_basis(prices: Mapping[str, Any]) -> Iterator[Line]:
    for name, facts in prices.items():
        if facts is not None and facts["basis"] is not None:
            ground = GROUNDS[facts["basis"]]
            yield Line(f"{name}TokenPrice", _price(facts), f"{ground}; {_age(facts)}")


def _alternatives(found: Sequence[Mapping[str, Any]]) -> Iterator[Line]:
    """The state at each other price of the market's tokens, or inside the width of the used one."""
    for one in found:
        if one["kind"] == "width":
            inside = f"inside {_price(one['used'])}: on one side of it safe, on the other not"
            yield Line("liquidation price", _price(one["other"]), inside)
            continue
        reason = f" ({one['reason']})" if one["reason"] else ""
        more = len(one["tokens"]) - 1
        others = f" and {more} more of the market" if more else ""
        meaning = f"token {one['tokens'][0]}{others}; {_age(one['other'])}"
        yield Line(f"{one['state']}{reason} at", _price(one["other"]), meaning)


def _price(facts: Mapping[str, Any]) -> str:
    """A price's source and its width, in USD per token where the token's decimals are known."""
    if facts["min"] is None:
        return f"{facts['source']}, which could not be read"
    unit = "USD" if facts["price_min"] is not None else "USD (1e30) per smallest unit"
    low, high = (
        str(facts[f"price_{end}"] if facts["price_min"] is not None else facts[end])
        for end in ("min", "max")
    )
    return f"{facts['source']} {low if low == high else f'{low} to {high}'} {unit}"


def _age(facts: Mapping[str, Any]) -> str:
    if facts["observed_at"] is None or facts["age"] is None:
        return "when it was observed is not known"
    moment = _moment(facts["observed_at"])
    limit = "whose limit is not known"
    if facts["max_age"] is not None:
        limit = f"limit {facts['max_age']:,} s by {facts['max_age_source']}"
    return f"observed {moment}, {facts['age']:,} s old, {limit}"


def _moment(time: int) -> str:
    """A unix time as people read it, unless no calendar has it: whoever names a price names it."""
    if time > LAST_SECOND:
        return f"at unix time {time}"
    return f"{datetime.fromtimestamp(time, UTC):%Y-%m-%d %H:%M:%S} UTC"


def _spread(name: str, value: Any) -> Iterator[Line]:
    if isinstance(value, Mapping):
        for inner, one in value.items():
            yield from _spread(f"{name}.{inner}", one)
    else:
        yield Line(name, str(value), MEANINGS.get(name, ""))
