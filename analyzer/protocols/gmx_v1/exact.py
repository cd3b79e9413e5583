"""The exact contract integers of a position: what its verdicts rest on, and what they are."""

from typing import Any, Final

from analyzer.protocols.gmx_v1.assess import (
    EXECUTABLE,
    STORED,
    Assessed,
    Assessor,
    Unknown,
    leverage,
)
from analyzer.protocols.gmx_v1.contracts import fields_of
from analyzer.protocols.gmx_v1.held import Held, struct_fields
from analyzer.protocols.gmx_v1.liquidation import Flip
from analyzer.protocols.gmx_v1.reading import Readings

PARAMETERS: Final = (
    "maxLeverage", "liquidationFeeUsd", "marginFeeBasisPoints", "minProfitTime",
    "inPrivateLiquidationMode",
)  # fmt: skip
FUNDING_WORDS: Final = (
    "cumulativeFundingRates", "lastFundingTimes", "poolAmounts", "reservedAmounts",
)  # fmt: skip


def inputs_of(got: Readings, held: Held) -> dict[str, Any]:
    """What the verdicts rest on, under the contract's names."""
    identity = held.identity
    return {
        **fields_of(identity),
        **struct_fields(held.struct),
        "timestamp": got.block.time,
        **{name: got.get("Vault", name) for name in PARAMETERS},
        "minProfitBasisPoints": got.get("Vault", "minProfitBasisPoints", identity.index_token),
        **{name: got.get("Vault", name, identity.collateral_token) for name in FUNDING_WORDS},
    }


def outputs_of(
    assessor: Assessor, held: Held, stored: Assessed | Unknown, executable: Assessed | Unknown
) -> dict[str, Any]:
    """Both bases, and what does not depend on them; a call that reverts says with what reason."""
    outputs: dict[str, Any] = {
        STORED: _basis(stored),
        EXECUTABLE: _basis(executable),
        "getPositionLeverage": None if held.struct is None else _amount(leverage(held.struct)),
        "getNextFundingRate": _amount(assessor.next_funding_rate(held.identity.collateral_token)),
    }
    if isinstance(executable, Assessed):
        outputs["native"] = {
            variant: _flip_or_unknown(assessor.native_flip(held.identity, flip))
            for variant, flip in executable.flips.items()
        }
    return outputs


def _basis(assessed: Assessed | Unknown) -> dict[str, Any]:
    if isinstance(assessed, Unknown):
        return _said(assessed)
    return {
        "price": assessed.price,
        "cumulativeFundingRate": assessed.terms.cumulative_funding_rate,
        "marginFeeBasisPoints": assessed.terms.margin_fee_basis_points,
        "hasProfit": assessed.has_profit,
        "delta": assessed.delta,
        "fundingFee": assessed.funding_fee,
        "positionFee": assessed.position_fee,
        "requirement": assessed.required,
        "validateLiquidation": {
            variant: {
                "liquidationState": verdict.state,
                "marginFees": verdict.margin_fees,
                "remainingCollateral": verdict.remaining_collateral,
                "reason": verdict.reason,
            }
            for variant, verdict in assessed.verdicts.items()
        },
        "raise": assessed.raised,
        "flip": {variant: _flip_or_unknown(flip) for variant, flip in assessed.flips.items()},
    }


def _amount(answer: int | Unknown) -> Any:
    return _said(answer) if isinstance(answer, Unknown) else answer


def _flip_or_unknown(flip: Flip | Unknown) -> dict[str, Any]:
    if isinstance(flip, Unknown):
        return _said(flip)
    return {
        "kind": flip.kind,
        "last_liquidatable": flip.last_liquidatable,
        "first_safe": flip.first_safe,
    }


def _said(unknown: Unknown) -> dict[str, Any]:
    if unknown.revert is None:
        return {"unknown": unknown.reason}
    return {"unknown": unknown.reason, "revert": unknown.revert}
