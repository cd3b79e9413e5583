"""Both verdicts of a position with their liquidation prices, or why there is no verdict."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from analyzer.errors import Revert
from analyzer.protocols.gmx_v2.discounts import discounts_of
from analyzer.protocols.gmx_v2.liquidation import LiquidationPrices, liquidation_prices
from analyzer.protocols.gmx_v2.prices import TokenPrices, market_prices
from analyzer.protocols.gmx_v2.readings import Readings
from analyzer.protocols.gmx_v2.risk import (
    Closing,
    Verdict,
    accrued_to,
    closing_of,
    is_position_liquidatable,
    next_accruals,
)
from analyzer.protocols.gmx_v2.state import Accruals, Discounts, MarketState, Position, Prices
from analyzer.reads import MissingError


@dataclass(frozen=True, slots=True)
class Basis:
    """A verdict on one basis: accumulators as stored, or accrued to the block's time."""

    closing: Closing
    accruals: Accruals
    verdict: Verdict
    liquidation: LiquidationPrices


@dataclass(frozen=True, slots=True)
class Assessed:
    """A position's verdicts; an unknown one is the reason why."""

    stored: Basis | str
    executable: Basis | str
    prices: Prices | None = None
    discounts: Discounts | None = None
    closing: Closing | None = None
    """On the stored accumulators."""


@dataclass(slots=True)
class Assessor:
    """Assesses positions of one snapshot; what they share is made once."""

    got: Readings
    prices: Mapping[str, TokenPrices]
    _markets: dict[str, tuple[MarketState, Prices] | str] = field(default_factory=dict)
    _accruals: dict[tuple[str, str, bool, Prices], Accruals | str] = field(default_factory=dict)
    _discounts: dict[str, Discounts | str] = field(default_factory=dict)

    def assess(self, position: Position) -> Assessed:
        """Both verdicts."""
        market = self.market(position.market)
        if isinstance(market, str):
            return Assessed(market, market)
        state, prices = market
        discounts = self._discounts_of(position.account)
        if isinstance(discounts, str):
            return Assessed(discounts, discounts, prices)
        try:
            accruals = state.stored(position)
            closing = closing_of(state, position, discounts, accruals)
        except (Revert, MissingError) as error:
            return Assessed(_why(error), _why(error), prices, discounts)
        stored = _basis(closing, accruals, prices)
        accrued = self._accrued(state, position, prices)
        if isinstance(accrued, str):
            return Assessed(stored, accrued, prices, discounts, closing)
        try:
            executable = _basis(accrued_to(closing, accrued), accrued, prices)
        except Revert as revert:
            executable = _why(revert)
        return Assessed(stored, executable, prices, discounts, closing)

    def verdict_at(self, closing: Closing, prices: Prices) -> Verdict | str:
        """What an execution at other prices would find, or why it would find nothing."""
        accrued = self._accrued(closing.state, closing.position, prices)
        if isinstance(accrued, str):
            return accrued
        try:
            return is_position_liquidatable(accrued_to(closing, accrued), prices)
        except (Revert, MissingError) as error:
            return _why(error)

    def market(self, market: str) -> tuple[MarketState, Prices] | str:
        """A market with its prices, or why there is no verdict in it."""
        if market not in self._markets:
            try:
                state = self.got.market_state(market)
                self._markets[market] = (state, market_prices(state.market, self.prices))
            except MissingError as error:
                self._markets[market] = _why(error)
        return self._markets[market]

    def _discounts_of(self, account: str) -> Discounts | str:
        if account not in self._discounts:
            try:
                self._discounts[account] = discounts_of(self.got, account)
            except MissingError as error:
                self._discounts[account] = _why(error)
        return self._discounts[account]

    def _accrued(self, state: MarketState, position: Position, prices: Prices) -> Accruals | str:
        shared = (position.market, position.collateral_token, position.is_long, prices)
        if shared not in self._accruals:
            try:
                time = self.got.block.time
                self._accruals[shared] = next_accruals(state, position, prices, time)
            except (Revert, MissingError) as error:
                self._accruals[shared] = _why(error)
        return self._accruals[shared]


def _basis(closing: Closing, accruals: Accruals, prices: Prices) -> Basis | str:
    try:
        verdict = is_position_liquidatable(closing, prices)
        return Basis(closing, accruals, verdict, liquidation_prices(closing, prices))
    except (Revert, MissingError) as error:
        return _why(error)


def _why(error: Revert | MissingError) -> str:
    return f"the contract would revert: {error}" if isinstance(error, Revert) else str(error)
