"""Positions to rows: exact integers in ``inputs`` and ``outputs``, amounts in E18 beside them."""

from typing import Any

from analyzer.errors import Revert
from analyzer.protocols.perp_v1.amm import Amm
from analyzer.protocols.perp_v1.assess import Assessed, assess
from analyzer.protocols.perp_v1.clearing_house import Config, Position
from analyzer.protocols.perp_v1.contracts import position_id
from analyzer.protocols.perp_v1.decimals import ONE
from analyzer.protocols.perp_v1.deployments import asset_of
from analyzer.protocols.perp_v1.forms import margin_legs
from analyzer.protocols.perp_v1.holdings import FIELDS, Held
from analyzer.protocols.perp_v1.reading import Readings
from analyzer.ratios import distance_bps, leverage_bps
from analyzer.reads import MissingError
from analyzer.rows import (
    LIQUIDATABLE,
    SAFE,
    UNKNOWN,
    At,
    MarginAccounts,
    MarginLegs,
    MarginState,
    Positions,
    Row,
    price_id,
)
from analyzer.units import mul_div


def position_rows(
    at: At, got: Readings, held: Held, liquidator: str | None, *, is_listed: bool
) -> list[Row]:
    """The position, its isolated margin account and its leg; ``unknown`` says why in the account.

    ``is_listed``: whether the insurance fund still names the AMM. ``liquidator`` is whom ``verify``
    simulates.
    """
    amm, config, known, reason = None, None, None, held.reason
    try:
        amm, config = got.markets[held.amm].amm(got.block), got.config()
        if held.position is not None:
            known = assess(amm, held.position, config, is_listed=is_listed)
    except MissingError as error:
        reason = held.reason or str(error)
    except Revert as revert:
        reason = f"reverted: {revert.reason}"
    inputs = {**_inputs(held, amm, config), "liquidator": liquidator}
    rows: list[Row] = [
        _position_row(at, got, held, known, inputs),
        _account_row(at, held, known, reason, inputs),
    ]
    if known is not None and amm is not None and config is not None:
        rows += _legs(at, held, amm, config, known)
    return rows


def _legs(at: At, held: Held, amm: Amm, config: Config, known: Assessed) -> list[MarginLegs]:
    if held.position is None:
        return []
    margin_id, price = position_id(held.account, held.amm), price_id(at, held.amm)
    return margin_legs(at, margin_id, price, amm, held.position, config, known.buffer)


def _position_row(
    at: At, got: Readings, held: Held, known: Assessed | None, inputs: dict[str, Any]
) -> Positions:
    identity, position = position_id(held.account, held.amm), held.position
    edge = known.found.edge if known else None
    below = edge.price if edge and held.size > 0 else None
    above = edge.price if edge and held.size < 0 else None
    price = known.spot_price if known else None
    spot = known.outputs["spot"].get("positionNotional") if known else None
    return Positions(
        at=at,
        position_id=identity,
        margin_id=identity,
        account=held.account,
        market=held.amm,
        asset=asset_of(at.chain_id, held.amm),
        side="long" if held.size > 0 else "short",
        collateral_token=got.markets[held.amm].get("quoteAsset"),
        size_usd=spot,
        size_tokens=abs(position.size) if position else None,
        collateral_usd=position.margin if position else None,
        collateral_amount=position.margin if position else None,
        entry_price=_entry_price(position),
        price=price,
        unrealized_pnl_usd=known.verdict.valuation.unrealized_pnl if known else None,
        funding_owed_usd=known.funding_payment if known else None,
        borrowing_owed_usd=0 if known else None,
        leverage_bps=leverage_bps(spot, known.verdict.valuation.equity if known else None),
        liquidation_kind=known.found.kind if known else UNKNOWN,
        liquidation_below=below,
        liquidation_above=above,
        distance_bps=distance_bps(price, below, above),
        inputs=inputs,
        outputs=known.outputs if known else {},
    )


def _account_row(
    at: At, held: Held, known: Assessed | None, reason: str, inputs: dict[str, Any]
) -> MarginAccounts:
    """Funding is discrete: what the contract's view uses now is what an execution would use."""
    state: MarginState = UNKNOWN if known is None else SAFE
    if known is not None and known.verdict.is_liquidatable:
        state = LIQUIDATABLE
    outputs = (
        {
            name: known.outputs[name]
            for name in ("marginRatio", "pnlCalcOption", "isOverSpreadLimit", "liquidate")
        }
        if known
        else {}
    )
    return MarginAccounts(
        at=at,
        margin_id=position_id(held.account, held.amm),
        account=held.account,
        kind="isolated",
        equity_usd=known.verdict.valuation.equity if known else None,
        requirement_usd=known.requirement if known else None,
        buffer_usd=known.buffer if known else None,
        state=state,
        state_stored=state,
        reason=reason if known is None else _reason(known),
        blocked_by=known.blocked_by if known else None,
        inputs=inputs,
        outputs=outputs,
    )


def _reason(known: Assessed) -> str | None:
    """What the verdict rests on, where that is not the mark alone."""
    if known.outputs["settlePosition"] is not None:
        return "amm was closed: settlePosition pays the position out"
    if known.verdict.is_over_spread_limit:
        return "mark and oracle are over the spread limit: the better of their ratios counts"
    return None


def _inputs(held: Held, amm: Amm | None, config: Config | None) -> dict[str, Any]:
    position = held.position
    inputs: dict[str, Any] = dict.fromkeys(FIELDS)
    if position is not None:
        inputs = {
            "size": position.size,
            "margin": position.margin,
            "openNotional": position.open_notional,
            "lastUpdatedCumulativePremiumFraction": (
                position.last_updated_cumulative_premium_fraction
            ),
            "liquidityHistoryIndex": position.liquidity_history_index,
            "blockNumber": position.block_number,
        }
    if amm is not None:
        inputs |= {
            "quoteAssetReserve": amm.quote_asset_reserve,
            "baseAssetReserve": amm.base_asset_reserve,
            "getUnderlyingPrice": amm.underlying_price,
            "getLatestCumulativePremiumFraction": amm.latest_cumulative_premium_fraction,
            "open": amm.is_open,
            "getSettlementPrice": amm.settlement_price,
            "MAX_ORACLE_SPREAD_RATIO": amm.max_oracle_spread_ratio,
        }
    if config is not None:
        inputs |= {
            "maintenanceMarginRatio": config.maintenance_margin_ratio,
            "liquidationFeeRatio": config.liquidation_fee_ratio,
            "partialLiquidationRatio": config.partial_liquidation_ratio,
        }
    return inputs


def _entry_price(position: Position | None) -> int | None:
    if position is None or position.size == 0:
        return None
    return mul_div(position.open_notional, ONE, abs(position.size))
