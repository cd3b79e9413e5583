"""A position at a snapshot: its verdict, what each price makes of it, and where it flips."""

from dataclasses import dataclass
from typing import Any

from analyzer.errors import Revert
from analyzer.protocols.perp_v1.amm import Amm, get_spot_price
from analyzer.protocols.perp_v1.clearing_house import (
    Config,
    PnlCalcOption,
    Position,
    Verdict,
    get_funding_payment,
    get_margin_ratio,
    get_position_notional_and_unrealized_pnl,
    judge,
    settle_position,
)
from analyzer.protocols.perp_v1.decimals import ONE
from analyzer.protocols.perp_v1.liquidate import Liquidation, liquidate
from analyzer.protocols.perp_v1.liquidation import LiquidationPrice, liquidation_price
from analyzer.units import ceil_div

OPTIONS = {
    "spot": PnlCalcOption.SPOT_PRICE,
    "twap": PnlCalcOption.TWAP,
    "oracle": PnlCalcOption.ORACLE,
}
SUCCESS = "OK"


@dataclass(frozen=True, slots=True)
class Assessed:
    """What is known of a position whose AMM could be read; amounts in quote, 18 decimals.

    ``requirement`` is the smallest equity that is safe at the price that counts. ``blocked_by`` is
    the revert of ``liquidate`` if the position is liquidatable.
    """

    verdict: Verdict
    spot_price: int
    funding_payment: int
    requirement: int
    found: LiquidationPrice
    blocked_by: str | None
    outputs: dict[str, Any]

    @property
    def buffer(self) -> int:
        """Equity less requirement: negative where liquidatable."""
        return self.verdict.valuation.equity - self.requirement


def assess(amm: Amm, position: Position, config: Config, *, is_listed: bool) -> Assessed:
    """The verdict and everything around it; reverts where the contract's own check does.

    Raises ``MissingError`` where the TWAP's window was not read.
    """
    verdict = judge(amm, position, config)
    valuation = verdict.valuation
    found = liquidation_price(amm, position, config)
    outcome = _liquidation(amm, position, config, is_listed=is_listed)
    funding = get_funding_payment(amm, position)
    outputs = {
        **{name: _valuation(amm, position, option) for name, option in OPTIONS.items()},
        "getMarginRatio": get_margin_ratio(amm, position).margin_ratio,
        "isOverSpreadLimit": verdict.is_over_spread_limit,
        "marginRatio": valuation.margin_ratio,
        "pnlCalcOption": valuation.option.name,
        "fundingPayment": funding,
        "marginWithFundingPayment": max(0, position.margin - funding),
        "liquidate": outcome if isinstance(outcome, str) else SUCCESS,
        "liquidation": None if isinstance(outcome, str) else _effects(outcome),
        "liquidationPrice": _flip(found),
        "settlePosition": None if amm.is_open else settle_position(amm, position),
    }
    is_blocked = verdict.is_liquidatable and isinstance(outcome, str)
    return Assessed(
        verdict=verdict,
        spot_price=get_spot_price(amm),
        funding_payment=funding,
        requirement=ceil_div(valuation.position_notional * config.maintenance_margin_ratio, ONE),
        found=found,
        blocked_by=str(outcome) if is_blocked else None,
        outputs=outputs,
    )


def _liquidation(
    amm: Amm, position: Position, config: Config, *, is_listed: bool
) -> Liquidation | str:
    """What ``liquidate`` would do, or the reason with which it would revert."""
    if not is_listed:
        return "amm not found"
    try:
        return liquidate(amm, position, config)
    except Revert as revert:
        return revert.reason


def _valuation(amm: Amm, position: Position, option: PnlCalcOption) -> dict[str, Any]:
    """``getPositionNotionalAndUnrealizedPnl``, or the reason of its revert."""
    try:
        notional, pnl = get_position_notional_and_unrealized_pnl(amm, position, option)
    except Revert as revert:
        return {"revert": revert.reason}
    return {"positionNotional": notional, "unrealizedPnl": pnl}


def _effects(done: Liquidation) -> dict[str, Any]:
    return {
        "isPartial": done.is_partial,
        "exchangedQuoteAssetAmount": done.exchanged_quote_asset_amount,
        "exchangedPositionSize": done.exchanged_position_size,
        "liquidationPenalty": done.liquidation_penalty,
        "feeToLiquidator": done.fee_to_liquidator,
        "feeToInsuranceFund": done.fee_to_insurance_fund,
        "badDebt": done.bad_debt,
    }


def _flip(found: LiquidationPrice) -> dict[str, Any]:
    """The edge with both its neighbours: what a reader needs to check it."""
    edge = found.edge
    if edge is None:
        return {"kind": found.kind, "reason": found.reason}
    return {
        "kind": found.kind,
        "binding": edge.binding,
        "price": edge.price,
        "liquidatableQuoteAssetReserve": edge.liquidatable_reserve,
        "safeQuoteAssetReserve": edge.safe_reserve,
        "band": list(edge.band),
        "oraclePrice": edge.oracle_price,
        "shieldedPrice": edge.shielded_price,
    }
