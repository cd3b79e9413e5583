"""What a verdict is a function of: a market's DataStore words, a position, discounts and prices.

Words go by the DataStore's own names, with suffixes for what a key is taken with:
``OPEN_INTEREST:longToken:short``, ``POSITION_FEE_FACTOR:positive``. USD values and factors have
30 decimals; token amounts are in the token's smallest unit, prices in USD (30) per such unit.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from analyzer.errors import Revert
from analyzer.protocols.gmx_v2.releases import Release
from analyzer.reads import MissingError


class Words(dict[str, int]):
    """DataStore words by name; asking for one that was not read says why there is none."""

    def __init__(self, words: Mapping[str, int], failed: Mapping[str, str] | None = None) -> None:
        super().__init__(words)
        self.failed = dict(failed or {})

    def __missing__(self, name: str) -> int:
        raise MissingError(self.failed.get(name, f"DataStore word {name} was not read"))


@dataclass(frozen=True, slots=True)
class Price:
    """``Price.Props``: USD with 30 decimals per smallest unit of the token."""

    min: int
    max: int

    @property
    def mid(self) -> int:
        """``Price.midPrice``."""
        return (self.min + self.max) // 2


@dataclass(frozen=True, slots=True)
class Prices:
    """``MarketUtils.MarketPrices``."""

    index: Price
    long: Price
    short: Price


@dataclass(frozen=True, slots=True)
class Market:
    """``Market.Props``: addresses in lower case."""

    market_token: str
    index_token: str
    long_token: str
    short_token: str

    @property
    def divisor(self) -> int:
        """2 in a single-token market, whose words are each halved; else 1."""
        return 2 if self.long_token == self.short_token else 1

    def collateral_price(self, token: str, prices: Prices) -> Price:
        """``MarketUtils.getCachedTokenPrice``: long token first, then short, then index."""
        if token == self.long_token:
            return prices.long
        if token == self.short_token:
            return prices.short
        if token == self.index_token:
            return prices.index
        raise Revert("UnableToGetCachedTokenPrice")

    def at_index_price(self, prices: Prices, price: int) -> Prices:
        """The prices with the index token, and every token that is the same one, at ``price``."""
        moved = Price(price, price)
        return Prices(
            index=moved,
            long=moved if self.long_token == self.index_token else prices.long,
            short=moved if self.short_token == self.index_token else prices.short,
        )


@dataclass(frozen=True, slots=True)
class Position:
    """``Position.Props``."""

    key: str
    account: str
    market: str
    collateral_token: str
    is_long: bool
    size_in_usd: int
    size_in_tokens: int
    collateral_amount: int
    pending_impact_amount: int
    borrowing_factor: int
    funding_fee_amount_per_size: int
    long_token_claimable_funding_amount_per_size: int
    short_token_claimable_funding_amount_per_size: int
    increased_at_time: int
    decreased_at_time: int

    @property
    def side(self) -> str:
        """``long`` or ``short``."""
        return side(self.is_long)


@dataclass(frozen=True, slots=True)
class Discounts:
    """What shrinks an account's closing fee: pro tier and referral code, factors of 30 decimals."""

    pro_tier: int = 0
    pro_discount_factor: int = 0
    has_referral_code: bool = False
    trader_discount_factor: int = 0
    total_rebate_factor: int = 0
    min_affiliate_reward_factor: int = 0


@dataclass(frozen=True, slots=True)
class Accruals:
    """The two accumulators that a verdict rests on, for one side and collateral of a market."""

    cumulative_borrowing_factor: int
    funding_fee_amount_per_size: int


@dataclass(frozen=True)
class MarketState:
    """A market with its words and the global ones; sums over its words are made once."""

    market: Market
    words: Words
    release: Release

    @cached_property
    def in_tokens(self) -> bool:
        """Whether the balance of open interest is measured in tokens instead of USD."""
        return self.release.tokens_mode and bool(
            self.words["USE_OPEN_INTEREST_IN_TOKENS_FOR_BALANCE"]
        )

    def open_interest(self, is_long: bool) -> int:
        """``MarketUtils.getOpenInterest`` of a side in USD."""
        return self._open_interest[is_long]

    def open_interest_in_tokens(self, is_long: bool) -> int:
        """``MarketUtils.getOpenInterestInTokens`` of a side."""
        return self._open_interest_in_tokens[is_long]

    def open_interest_for_balance(self, is_long: bool, index_mid: int) -> int:
        """``MarketUtils.getOpenInterestForBalance`` of a side in USD."""
        if self.in_tokens:
            return self.open_interest_in_tokens(is_long) * index_mid
        return self.open_interest(is_long)

    @cached_property
    def _open_interest(self) -> tuple[int, int]:
        """Short, long."""
        name = "OPEN_INTEREST"
        return self.both_collaterals(name, False), self.both_collaterals(name, True)

    @cached_property
    def _open_interest_in_tokens(self) -> tuple[int, int]:
        """Short, long."""
        name = "OPEN_INTEREST_IN_TOKENS"
        return self.both_collaterals(name, False), self.both_collaterals(name, True)

    def both_collaterals(self, name: str, is_long: bool) -> int:
        """A word summed over a side's collateral tokens, each halved in single-token markets."""
        words, divisor, of = self.words, self.market.divisor, side(is_long)
        return (
            words[f"{name}:longToken:{of}"] // divisor + words[f"{name}:shortToken:{of}"] // divisor
        )

    def pool_amount(self, is_long: bool) -> int:
        """``MarketUtils.getPoolAmount`` of the token that backs a side, in its smallest units."""
        return self.words[f"POOL_AMOUNT:{token(is_long)}"] // self.market.divisor

    def collateral(self, token_address: str) -> str:
        """``longToken`` or ``shortToken``: under which name a collateral token's words are."""
        if token_address == self.market.long_token:
            return "longToken"
        if token_address == self.market.short_token:
            return "shortToken"
        raise Revert("InvalidCollateralTokenForMarket")

    def stored(self, position: Position) -> Accruals:
        """The accumulators as they are stored, which the Reader's verdict uses."""
        of, collateral = position.side, self.collateral(position.collateral_token)
        return Accruals(
            self.words[f"CUMULATIVE_BORROWING_FACTOR:{of}"],
            self.words[f"FUNDING_FEE_AMOUNT_PER_SIZE:{collateral}:{of}"],
        )


def side(is_long: bool) -> Literal["long", "short"]:
    """The side's name."""
    return "long" if is_long else "short"


def token(is_long: bool) -> str:
    """The name of the token that backs a side."""
    return "longToken" if is_long else "shortToken"


def sign(is_positive: bool) -> str:
    """The suffix of words that exist for positive and negative impact."""
    return "positive" if is_positive else "negative"
