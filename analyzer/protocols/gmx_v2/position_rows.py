"""Positions to rows: exact integers in ``inputs`` and ``outputs``, amounts in E18 beside them."""

from collections.abc import Mapping
from typing import Any

from analyzer.assets import asset_of
from analyzer.protocols.gmx_v2.assess import Assessed, Assessor, Basis
from analyzer.protocols.gmx_v2.candidates import alternatives
from analyzer.protocols.gmx_v2.forms import margin_legs
from analyzer.protocols.gmx_v2.market_rows import price_e18, usd
from analyzer.protocols.gmx_v2.position import Held
from analyzer.protocols.gmx_v2.position_json import flips_of, inputs_of, verdict_of
from analyzer.protocols.gmx_v2.state import Position, Prices
from analyzer.ratios import distance_bps, leverage_bps
from analyzer.rows import (
    LIQUIDATABLE,
    SAFE,
    UNKNOWN,
    At,
    MarginAccounts,
    MarginState,
    Positions,
    Row,
    price_id,
)
from analyzer.units import to_e18


def position_rows(at: At, assessor: Assessor, held: Held) -> list[Row]:
    """The position, its margin account and its legs; ``unknown`` says why in the account."""
    position = held.position
    if position is None:
        assessed = Assessed(str(held.reason), str(held.reason))
    else:
        assessed = assessor.assess(position)
    inputs = inputs_of(assessor, held, assessed)
    outputs = {
        "stored": verdict_of(assessed.stored),
        "executable": verdict_of(assessed.executable),
        "flips_stored": flips_of(assessed.stored),
        "flips_executable": flips_of(assessed.executable),
    }
    rows: list[Row] = [
        _position_row(at, assessor, held, assessed, inputs, outputs),
        _account_row(at, assessor, held, assessed),
    ]
    if isinstance(assessed.executable, Basis) and assessed.prices is not None:
        tokens = assessor.prices
        rows += margin_legs(
            at,
            assessed.executable,
            assessed.prices,
            {token: known.decimals for token, known in tokens.items()},
            {token: price_id(at, token) for token in tokens},
        )
    return rows


def _position_row(
    at: At,
    assessor: Assessor,
    held: Held,
    assessed: Assessed,
    inputs: Mapping[str, Any],
    outputs: Mapping[str, Any],
) -> Positions:
    fields, position = held.fields, held.position
    basis = assessed.executable if isinstance(assessed.executable, Basis) else None
    verdict = basis.verdict if basis else None
    market = assessor.got.markets.get(fields.get("market", ""))
    index = assessor.prices.get(market.index_token) if market else None
    collateral = assessor.prices.get(fields.get("collateralToken", ""))
    index_decimals = index.decimals if index else None
    collateral_decimals = collateral.decimals if collateral else None
    price = _pnl_price(assessed.prices, position)
    liquidation = basis.liquidation if basis else None
    below, above = (liquidation.below, liquidation.above) if liquidation else (None, None)
    size_usd = usd(fields.get("sizeInUsd"))
    collateral_price = (
        market.collateral_price(position.collateral_token, assessed.prices).min
        if market and position and verdict and assessed.prices
        else None
    )
    return Positions(
        at=at,
        position_id=held.key,
        margin_id=held.key,
        account=fields.get("account", ""),
        market=fields.get("market", ""),
        asset=asset_of(at.chain_id, market.index_token) if market else None,
        side=UNKNOWN if "isLong" not in fields else "long" if fields["isLong"] else "short",
        collateral_token=fields.get("collateralToken"),
        size_usd=size_usd,
        size_tokens=_tokens(fields.get("sizeInTokens"), index_decimals),
        collateral_usd=usd(verdict.collateral_usd if verdict else None),
        collateral_amount=_tokens(fields.get("collateralAmount"), collateral_decimals),
        entry_price=_entry_price(position, index_decimals),
        price=None if price is None else price_e18(price, index_decimals),
        unrealized_pnl_usd=usd(verdict.position_pnl_usd if verdict else None),
        funding_owed_usd=_times(
            verdict.fees.funding_fee_amount if verdict else None, collateral_price
        ),
        borrowing_owed_usd=_times(
            verdict.fees.borrowing_fee_amount if verdict else None, collateral_price
        ),
        leverage_bps=leverage_bps(
            size_usd, usd(verdict.remaining_collateral_usd if verdict else None)
        ),
        liquidation_kind=liquidation.kind if liquidation else UNKNOWN,
        liquidation_below=_flip_price(below, index_decimals),
        liquidation_above=_flip_price(above, index_decimals),
        distance_bps=distance_bps(price, below, above),
        inputs=inputs,
        outputs=outputs,
    )


def _account_row(at: At, assessor: Assessor, held: Held, assessed: Assessed) -> MarginAccounts:
    basis = assessed.executable if isinstance(assessed.executable, Basis) else None
    verdict = basis.verdict if basis else None
    required = (
        max(verdict.min_collateral_usd, verdict.min_collateral_usd_for_leverage)
        if verdict
        else None
    )
    left = verdict.remaining_collateral_usd if verdict else None
    buffer = None if left is None or required is None else left - required
    return MarginAccounts(
        at=at,
        margin_id=held.key,
        account=held.fields.get("account", ""),
        kind="isolated",
        equity_usd=usd(left),
        requirement_usd=usd(required),
        buffer_usd=usd(buffer),
        state=_state(assessed.executable),
        state_stored=_state(assessed.stored),
        reason=_reason(assessed),
        blocked_by=_blocked_by(assessor, held),
        inputs={"release": assessor.got.release.name, "timestamp": assessor.got.block.time},
        outputs={
            "executable": verdict_of(assessed.executable),
            "stored": verdict_of(assessed.stored),
            "price_alternatives": alternatives(assessor, assessed),
        },
    )


def _blocked_by(assessor: Assessor, held: Held) -> str | None:
    """A disabled market refuses every order, liquidations too."""
    disabled = assessor.got.get("market", held.fields.get("market", ""), "IS_MARKET_DISABLED")
    return "DisabledMarket" if disabled else None


def _state(basis: Basis | str) -> MarginState:
    if isinstance(basis, str):
        return UNKNOWN
    return LIQUIDATABLE if basis.verdict.is_liquidatable else SAFE


def _reason(assessed: Assessed) -> str | None:
    """Why it is liquidatable or unknown when executed, else why unknown on what is stored."""
    if isinstance(assessed.executable, str):
        return assessed.executable
    if isinstance(assessed.stored, str):
        return assessed.stored
    return assessed.executable.verdict.reason or None


def _pnl_price(prices: Prices | None, position: Position | None) -> int | None:
    if prices is None or position is None:
        return None
    return prices.index.min if position.is_long else prices.index.max


def _entry_price(position: Position | None, decimals: int | None) -> int | None:
    if position is None or decimals is None or position.size_in_tokens == 0:
        return None
    return to_e18(position.size_in_usd * 10**decimals // position.size_in_tokens, 30)


def _tokens(amount: int | None, decimals: int | None) -> int | None:
    return None if amount is None or decimals is None else to_e18(amount, decimals)


def _times(amount: int | None, price: int | None) -> int | None:
    return None if amount is None or price is None else usd(amount * price)


def _flip_price(price: int | None, decimals: int | None) -> int | None:
    return None if price is None else price_e18(price, decimals)
