"""A vectors file's inputs: DataStore words, positions, prices, as they are written there."""

from collections.abc import Mapping
from typing import Any

from analyzer.protocols.gmx_v2.position import position_of
from analyzer.protocols.gmx_v2.state import Discounts, Market, Position, Price, Prices, Words


def words_from(words: Mapping[str, Any]) -> Words:
    """DataStore words as they are written in a file: decimals, hex and booleans."""
    booleans = {"true": 1, "false": 0, True: 1, False: 0}
    return Words(
        {name: booleans[word] if word in booleans else int(word, 0) for name, word in words.items()}
    )


def market_from(market: Mapping[str, str]) -> Market:
    """``Market.Props`` of a file."""
    return Market(
        *(market[name].lower() for name in ("marketToken", "indexToken", "longToken", "shortToken"))
    )


def prices_from(prices: Mapping[str, Any]) -> Prices:
    """``MarketPrices`` of a file."""
    return Prices(
        *(
            Price(int(prices[f"{name}TokenPrice"]["min"]), int(prices[f"{name}TokenPrice"]["max"]))
            for name in ("index", "long", "short")
        )
    )


def position_from(key: str, position: Mapping[str, Any]) -> Position:
    """``Position.Props`` of a file."""
    addresses, numbers = position["addresses"], position["numbers"]
    return position_of(
        key.lower(),
        {
            **{name: address.lower() for name, address in addresses.items()},
            **{name: int(number) for name, number in numbers.items()},
            "isLong": position["flags"]["isLong"],
        },
    )


def discounts_from(discounts: Mapping[str, str]) -> Discounts:
    """The discounts of a file."""
    return Discounts(
        pro_tier=int(discounts["proTraderTier"]),
        pro_discount_factor=int(discounts["proDiscountFactor"]),
        has_referral_code=int(discounts["referralCode"], 16) != 0,
        trader_discount_factor=int(discounts["referralTraderDiscountFactor"]),
        total_rebate_factor=int(discounts["referralTotalRebateFactor"]),
    )
