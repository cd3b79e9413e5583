"""What the DataStore keeps of all positions together, beside what the positions add up to.

``PositionUtils.updateOpenInterest`` and ``MarketUtils.applyDeltaToCollateralSum`` move a total by
exactly what the position's own fields move by. So there is no rounding between them.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping

from analyzer.evm import ZERO_ADDRESS
from analyzer.protocols.evidence import total
from analyzer.protocols.gmx_v2.position import Held
from analyzer.protocols.gmx_v2.prices import TokenPrices
from analyzer.protocols.gmx_v2.readings import Readings
from analyzer.protocols.gmx_v2.state import Market, Price
from analyzer.reads import Failed
from analyzer.rows import At, Totals
from analyzer.units import to_e18

USD_DECIMALS = 30
FIELDS: Mapping[str, str] = {
    "OPEN_INTEREST": "sizeInUsd",
    "OPEN_INTEREST_IN_TOKENS": "sizeInTokens",
    "COLLATERAL_SUM": "collateralAmount",
}
"""Each total, and the field of a position that it adds up."""


def position_totals(
    at: At, got: Readings, held: Iterable[Held], prices: Mapping[str, TokenPrices]
) -> list[Totals]:
    """The size of POSITION_LIST, and each market's sums by collateral token and side.

    A position that could not be read is in no sum: its share is the difference.
    """
    held = list(held)
    sums: Counter[tuple[str, str, str, bool]] = Counter()
    for one in held:
        if one.reason is None:
            for name, field in FIELDS.items():
                place = one.fields["market"], one.fields["collateralToken"], one.fields["isLong"]
                sums[name, *place] += one.fields[field]
    stated = got.values.get(("count", "POSITION_LIST", ""), Failed("POSITION_LIST was not read"))
    rows = [total(at, "POSITION_LIST", "", "both", "collateral", stated, len(held))]
    rows += [
        total(at, "OPEN_INTEREST", key, "both", "size", Failed("its tokens were not read"), 0)
        for key in got.market_keys
        if key not in got.markets
    ]
    for key, market in got.markets.items():
        if market.index_token == ZERO_ADDRESS:
            continue
        rows += [
            _total(at, got, prices, market, name, token, is_long, sums[name, key, token, is_long])
            for token in dict.fromkeys((market.long_token, market.short_token))
            for is_long in (True, False)
            for name in FIELDS
        ]
    return rows


def _total(
    at: At,
    got: Readings,
    prices: Mapping[str, TokenPrices],
    market: Market,
    name: str,
    token: str,
    is_long: bool,
    summed: int,
) -> Totals:
    side = "long" if is_long else "short"
    if name == "COLLATERAL_SUM":
        stated = got.values["sum", market.market_token, f"{name}:{token}:{side}"]
    else:
        role = "longToken" if token == market.long_token else "shortToken"
        stated = got.values["market", market.market_token, f"{name}:{role}:{side}"]
    priced = {"OPEN_INTEREST_IN_TOKENS": market.index_token, "COLLATERAL_SUM": token}.get(name)
    return total(
        at,
        f"{name}:{token}",
        market.market_token,
        side,
        "size" if name == "OPEN_INTEREST" else "collateral",
        stated,
        summed,
        usd=_usd if priced is None else _worth(prices[priced]),
    )


def _worth(prices: TokenPrices) -> Callable[[int], int | None]:
    """From an amount in a token's smallest unit to units of 1e-18 USD, at the lower price."""
    price = prices.used.price if prices.used else None
    return lambda amount: _usd(amount * price.min) if isinstance(price, Price) else None


def _usd(amount: int) -> int:
    return to_e18(amount, USD_DECIMALS)
