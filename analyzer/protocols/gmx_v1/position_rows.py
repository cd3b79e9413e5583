"""Positions to rows: amounts in E18 beside the exact integers of ``inputs`` and ``outputs``."""

from collections.abc import Mapping
from typing import Any, Final

from analyzer.assets import asset_of
from analyzer.protocols.gmx_v1.assess import EXECUTABLE, STORED, Assessed, Assessor, Unknown
from analyzer.protocols.gmx_v1.exact import inputs_of, outputs_of
from analyzer.protocols.gmx_v1.forms import margin_legs
from analyzer.protocols.gmx_v1.held import Held
from analyzer.protocols.gmx_v1.liquidation import Flip
from analyzer.protocols.gmx_v1.risk import Position
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

USD_DECIMALS: Final = 30


def position_rows(at: At, assessor: Assessor, held: Held) -> list[Row]:
    """The position, its margin account and its legs; ``unknown`` says why in the account."""
    identity, position = held.identity, held.struct
    if position is None:
        stored: Assessed | Unknown = Unknown(held.reason)
        executable = stored
    else:
        stored = assessor.assess(position, identity, STORED)
        executable = assessor.assess(position, identity, EXECUTABLE)
    key = identity.key()
    inputs = inputs_of(assessor.got, held)
    outputs = outputs_of(assessor, held, stored, executable)
    rows: list[Row] = [
        _position_row(at, key, held, executable, inputs, outputs),
        _account_row(at, assessor, key, held, stored, executable),
    ]
    if position is not None and isinstance(executable, Assessed):
        its_price = price_id(at, identity.index_token)
        rows += margin_legs(at, key, its_price, position, identity.is_long, executable)
    return rows


def state_of(assessed: Assessed | Unknown) -> MarginState:
    """The verdict in words; ``unknown`` as well where the variants in question disagree."""
    if isinstance(assessed, Unknown):
        return UNKNOWN
    states = {verdict.state != 0 for verdict in assessed.verdicts.values()}
    if len(states) > 1:
        return UNKNOWN
    return LIQUIDATABLE if True in states else SAFE


def _position_row(
    at: At,
    key: str,
    held: Held,
    executable: Assessed | Unknown,
    inputs: Mapping[str, Any],
    outputs: Mapping[str, Any],
) -> Positions:
    identity, position = held.identity, held.struct
    known = executable if isinstance(executable, Assessed) else None
    flip = _one_flip(known)
    last = flip.last_liquidatable if flip else None
    below, above = (last, None) if identity.is_long else (None, last)
    size_usd = _e18(position.size if position else None)
    return Positions(
        at=at,
        position_id=key,
        margin_id=key,
        account=identity.account,
        market=identity.index_token,
        asset=asset_of(at.chain_id, identity.index_token),
        side="long" if identity.is_long else "short",
        collateral_token=identity.collateral_token,
        size_usd=size_usd,
        size_tokens=_size_tokens(position),
        collateral_usd=_e18(position.collateral if position else None),
        collateral_amount=None,
        entry_price=_e18(position.average_price if position else None),
        price=_e18(known.price if known else None),
        unrealized_pnl_usd=_e18(_signed_delta(known)),
        funding_owed_usd=_e18(known.funding_fee if known else None),
        borrowing_owed_usd=0 if known else None,
        leverage_bps=leverage_bps(size_usd, _e18(_equity(known))),
        liquidation_kind=flip.kind if flip else UNKNOWN,
        liquidation_below=_e18(below),
        liquidation_above=_e18(above),
        distance_bps=distance_bps(known.price if known else None, below, above),
        inputs=inputs,
        outputs=outputs,
    )


def _account_row(
    at: At,
    assessor: Assessor,
    key: str,
    held: Held,
    stored: Assessed | Unknown,
    executable: Assessed | Unknown,
) -> MarginAccounts:
    state = state_of(executable)
    known = executable if isinstance(executable, Assessed) else None
    equity = _equity(known)
    required = known.required if known else None
    buffer = None if equity is None or required is None else equity - required
    return MarginAccounts(
        at=at,
        margin_id=key,
        account=held.identity.account,
        kind="isolated",
        equity_usd=_e18(equity),
        requirement_usd=_e18(required),
        buffer_usd=_e18(buffer),
        state=state,
        state_stored=state_of(stored),
        reason=_reason(stored, executable),
        blocked_by=assessor.blocked_by(held.struct, held.identity, executable),
        inputs={"variants": list(assessor.variants)},
        outputs={"remainingCollateral": equity, "requirement": required, "buffer": buffer},
    )


def _reason(stored: Assessed | Unknown, executable: Assessed | Unknown) -> str | None:
    """Why it is liquidatable or unknown on the executable basis, else why unknown on the stored."""
    for assessed in (executable, stored):
        if isinstance(assessed, Unknown):
            return assessed.reason
        if state_of(assessed) == UNKNOWN:
            said = {name: verdict.state for name, verdict in assessed.verdicts.items()}
            return f"variants B and C disagree: validateLiquidation {said['B']} and {said['C']}"
        reasons = [v.reason for v in assessed.verdicts.values() if v.reason]
        if reasons and assessed is executable:
            return reasons[0]
    return None


def _one_flip(known: Assessed | None) -> Flip | None:
    """The flip, if the variants in question have the same one."""
    flips = set(known.flips.values()) if known else set()
    return flips.pop() if len(flips) == 1 else None


def _equity(known: Assessed | None) -> int | None:
    """What is left of the collateral, if the variants in question leave the same."""
    left = {verdict.remaining_collateral for verdict in known.verdicts.values()} if known else set()
    return left.pop() if len(left) == 1 else None


def _signed_delta(known: Assessed | None) -> int | None:
    if known is None:
        return None
    return known.delta if known.has_profit else -known.delta


def _size_tokens(position: Position | None) -> int | None:
    if position is None or position.average_price == 0:
        return None
    return position.size * 10**18 // position.average_price


def _e18(amount: int | None) -> int | None:
    return None if amount is None else to_e18(amount, USD_DECIMALS)
