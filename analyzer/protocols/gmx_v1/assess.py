"""A position's verdicts and liquidation prices on the contract's two bases.

``stored`` is what ``validateLiquidation`` answers at the block. ``executable`` is what a
liquidation in the same block meets: funding brought up to date, no AMM price, and the margin fee
that a private vault's Timelock puts in force while it executes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Final

from analyzer.errors import Revert
from analyzer.protocols.gmx_v1.blocked import Liquidation, Pool, blocked_by
from analyzer.protocols.gmx_v1.contracts import Identity, reverted
from analyzer.protocols.gmx_v1.liquidation import Flip, liquidation_price, requirement
from analyzer.protocols.gmx_v1.pipeline import token_feed
from analyzer.protocols.gmx_v1.prices import get_price, native_flip
from analyzer.protocols.gmx_v1.reading import TIMELOCK, Readings
from analyzer.protocols.gmx_v1.risk import (
    Position,
    Terms,
    TokenFunding,
    Verdict,
    get_delta,
    get_funding_fee,
    get_next_funding_rate,
    get_position_fee,
    get_position_leverage,
    raised,
    update_cumulative_funding_rate,
    validate_liquidation,
)
from analyzer.reads import Failed, MissingError

STORED: Final = "stored"
EXECUTABLE: Final = "executable"


@dataclass(frozen=True, slots=True)
class Assessed:
    """One basis: amounts in 1e30 USD, verdicts and flips by variant."""

    price: int
    terms: Terms
    has_profit: bool
    delta: int
    funding_fee: int
    position_fee: int
    required: int | None
    verdicts: Mapping[str, Verdict]
    raised: str | None
    flips: Mapping[str, Flip]


@dataclass(frozen=True, slots=True)
class Unknown:
    """Why a basis has no verdict; ``revert`` is the contract's reason where it would revert."""

    reason: str
    revert: str | None = None


class Assessor:
    """Assesses the positions of one snapshot; what positions share is worked out once."""

    def __init__(self, got: Readings) -> None:
        self.got = got
        self.variants = got.variants
        self.terms = cache(self._terms)
        self.price = cache(self._price)
        self.feed = cache(self._feed)

    def assess(self, position: Position, identity: Identity, basis: str) -> Assessed | Unknown:
        """Verdict, amounts and flips; ``Unknown`` where a read is missing or a call reverts."""
        try:
            price = self.price(identity.index_token, identity.is_long, basis)
            if isinstance(price, Unknown):
                return price
            terms = self.terms(identity.collateral_token, identity.index_token, basis)
            return assess(position, identity.is_long, price, terms, self.variants)
        except MissingError as error:
            return Unknown(str(error))
        except Revert as error:
            return Unknown(f"validateLiquidation reverts: {error.reason}", error.reason)

    def native_flip(self, identity: Identity, exact: Flip) -> Flip | Unknown:
        """A flip in answers of the index token's primary feed, if the pipeline explains its price.

        The flip is where both prices of the feed would lie if only its answer moved.
        """
        feed = self.feed(identity.index_token, identity.is_long)
        if isinstance(feed, Unknown):
            return feed
        try:
            return native_flip(feed, exact, identity.is_long, self.got.block.time)
        except Revert as error:
            return Unknown(f"VaultPriceFeed.getPrice reverts: {error.reason}", error.reason)

    def blocked_by(
        self, position: Position | None, identity: Identity, known: Assessed | Unknown
    ) -> str | None:
        """What would make the liquidating call fail; ``None`` also where that cannot be told."""
        if position is None or isinstance(known, Unknown):
            return None
        token = identity.collateral_token
        try:
            pool = Pool(
                amount=self.got.need("Vault", "poolAmounts", token),
                reserved=self.got.need("Vault", "reservedAmounts", token),
                token_decimals=self.got.need("Vault", "tokenDecimals", token),
                max_price=self.got.need("VaultPriceFeed", "getPrice", token, True, False, False),
            )
        except MissingError:
            return None
        verdict = next(iter(known.verdicts.values()))
        fee = known.terms.liquidation_fee_usd
        due = (position, identity.is_long, verdict, known.has_profit, known.delta, fee)
        return blocked_by(Liquidation(*due), pool)

    def next_funding_rate(self, token: str) -> int | Unknown:
        """``Vault.getNextFundingRate`` of a token."""
        try:
            return get_next_funding_rate(token_funding(self.got, token), self.got.block.time)
        except MissingError as error:
            return Unknown(str(error))
        except Revert as error:
            return Unknown(f"getNextFundingRate reverts: {error.reason}", error.reason)

    def _terms(self, collateral_token: str, index_token: str, basis: str) -> Terms:
        need = self.got.need
        funding = token_funding(self.got, collateral_token)
        now = self.got.block.time
        executable = basis == EXECUTABLE
        return Terms(
            max_leverage=need("Vault", "maxLeverage"),
            liquidation_fee_usd=need("Vault", "liquidationFeeUsd"),
            margin_fee_basis_points=margin_fee(self.got, executable=executable),
            min_profit_time=need("Vault", "minProfitTime"),
            min_profit_basis_points=need("Vault", "minProfitBasisPoints", index_token),
            cumulative_funding_rate=(
                update_cumulative_funding_rate(funding, now)
                if executable
                else funding.cumulative_funding_rate
            ),
            now=now,
            profit_counts=False,
        )

    def _price(self, token: str, is_long: bool, basis: str) -> int | Unknown:
        if basis == STORED:
            key: tuple[Any, ...] = ("Vault", "getMinPrice" if is_long else "getMaxPrice", token)
        else:
            key = ("VaultPriceFeed", "getPrice", token, not is_long, False, False)
        value = self.got.values.get(key, Failed(f"{'.'.join(key[:2])} was not asked for"))
        if isinstance(value, Failed):
            revert = value.reason.partition("reverted: ")[2] if value.reverted else None
            return Unknown(value.reason, revert)
        price: int = value
        return price

    def _feed(self, token: str, is_long: bool) -> Any:
        feed = token_feed(self.got, token)
        price = self.price(token, is_long, EXECUTABLE)
        if isinstance(feed, Failed):
            return Unknown(feed.reason)
        if isinstance(price, Unknown):
            return price
        try:
            explained = get_price(feed, not is_long, False, self.got.block.time)
        except Revert as error:
            return Unknown(f"the price pipeline reverts: {error.reason}")
        if explained != price:
            return Unknown(f"the price pipeline gives {explained} instead of {price}")
        return feed


def assess(
    position: Position, is_long: bool, price: int, terms: Terms, variants: tuple[str, ...]
) -> Assessed:
    """One basis of a position; raises ``Revert`` where the contract's own arithmetic does.

    ``price`` is the minimum price for a long, the maximum for a short (1e30).
    """
    has_profit, delta = get_delta(position, is_long, price, terms)
    by_variant = {variant: _with_profit(terms, variant) for variant in variants}
    verdicts = {
        variant: validate_liquidation(position, is_long, price, its)
        for variant, its in by_variant.items()
    }
    plain = verdicts.get("B") or verdicts.get("A")
    return Assessed(
        price=price,
        terms=terms,
        has_profit=has_profit,
        delta=delta,
        funding_fee=get_funding_fee(
            position.size, position.entry_funding_rate, terms.cumulative_funding_rate
        ),
        position_fee=get_position_fee(position.size, terms.margin_fee_basis_points),
        required=requirement(position, terms),
        verdicts=verdicts,
        raised=raised(plain or validate_liquidation(position, is_long, price, terms)),
        flips={
            variant: liquidation_price(position, is_long, its)
            for variant, its in by_variant.items()
        },
    )


def leverage(position: Position) -> int | Unknown:
    """``Vault.getPositionLeverage`` in basis points."""
    try:
        return get_position_leverage(position.size, position.collateral)
    except Revert as error:
        return Unknown(f"getPositionLeverage reverts: {error.reason}", error.reason)


def token_funding(got: Readings, token: str) -> TokenFunding:
    """What the vault knows of a token's funding; ``MissingError`` if any of it is missing."""
    is_stable = got.need("Vault", "stableTokens", token)
    return TokenFunding(
        pool_amount=got.need("Vault", "poolAmounts", token),
        reserved_amount=got.need("Vault", "reservedAmounts", token),
        cumulative_funding_rate=got.need("Vault", "cumulativeFundingRates", token),
        last_funding_time=got.need("Vault", "lastFundingTimes", token),
        funding_interval=got.need("Vault", "fundingInterval"),
        funding_rate_factor=got.need(
            "Vault", "stableFundingRateFactor" if is_stable else "fundingRateFactor"
        ),
    )


def margin_fee(got: Readings, *, executable: bool) -> int:
    """``Vault.marginFeeBasisPoints`` at rest, or as the Timelock sets it for an execution.

    Where anyone may liquidate, or gov is no such Timelock, the fee at rest is the fee in force.
    """
    at_rest: int = got.need("Vault", "marginFeeBasisPoints")
    if not executable or not got.need("Vault", "inPrivateLiquidationMode"):
        return at_rest
    got.need("Vault", "gov")
    answers = [got.values["Timelock", name] for name in TIMELOCK]
    if any(answer is None or reverted(answer) for answer in answers):
        return at_rest
    in_force: int = got.need("Timelock", "marginFeeBasisPoints")
    return in_force


def _with_profit(terms: Terms, variant: str) -> Terms:
    return replace(terms, profit_counts=True) if variant == "C" else terms
