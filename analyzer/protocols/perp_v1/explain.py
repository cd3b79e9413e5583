"""A position's arithmetic line by line, in the contract's names and integers."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from analyzer.protocol import Line, StoredAccount, StoredPosition
from analyzer.protocols.perp_v1.assess import OPTIONS

MEANINGS: Final = {
    "size": "base asset, 18 decimals; negative for a short",
    "margin": "quote asset, before funding",
    "openNotional": "what the position cost",
    "lastUpdatedCumulativePremiumFraction": "funding is settled up to here",
    "getLatestCumulativePremiumFraction": "funding has come to here",
    "quoteAssetReserve": "the vAMM's virtual quote",
    "baseAssetReserve": "the vAMM's virtual base",
    "getUnderlyingPrice": "the oracle",
    "MAX_ORACLE_SPREAD_RATIO": "from this spread between mark and oracle on, the oracle counts too",
    "maintenanceMarginRatio": "liquidatable below this margin ratio",
    "liquidationFeeRatio": "above this margin ratio, a liquidation is partial",
    "partialLiquidationRatio": "of the position, what a partial liquidation takes",
}


def explain(account: StoredAccount) -> Sequence[Line]:
    """From the position and the reserves to the margin ratio, the verdict and where it flips."""
    return [
        *(line for position in account.positions for line in _lines(position)),
        Line("state", account.state, account.reason or ""),
    ]


def _lines(position: StoredPosition) -> list[Line]:
    inputs, outputs = position.inputs, position.outputs
    lines = [
        Line(name, str(inputs[name]), meaning)
        for name, meaning in MEANINGS.items()
        if inputs.get(name) is not None
    ]
    if not outputs:
        return lines
    lines.append(
        Line("fundingPayment", str(outputs["fundingPayment"]), "positive: the trader owes it")
    )
    for name in OPTIONS:
        for field, value in outputs[name].items():
            lines.append(Line(f"{field} ({name})", str(value)))
    lines += [
        Line("getMarginRatio", str(outputs["getMarginRatio"]), "spot or TWAP, the better for it"),
        Line("isOverSpreadLimit", str(outputs["isOverSpreadLimit"])),
        Line(
            "marginRatio",
            str(outputs["marginRatio"]),
            f"(margin - fundingPayment + unrealizedPnl) / positionNotional at "
            f"{outputs['pnlCalcOption']}: what liquidate() compares",
        ),
        Line("liquidate()", str(outputs["liquidate"]), "simulated, without token balances"),
        *_effects(outputs["liquidation"]),
        *_flip(outputs["liquidationPrice"]),
    ]
    if outputs["settlePosition"] is not None:
        lines.append(Line("settlePosition()", str(outputs["settlePosition"]), "what it pays out"))
    return lines


def _effects(effects: Mapping[str, Any] | None) -> list[Line]:
    return [Line(name, str(value)) for name, value in (effects or {}).items()]


def _flip(found: Mapping[str, Any]) -> list[Line]:
    if found["kind"] != "flip":
        return [Line("liquidationPrice", str(found["kind"]), str(found["reason"]))]
    lines = [
        Line("liquidationPrice", str(found["price"]), f"mark price; {found['binding']} is binding"),
        Line("quoteAssetReserve", str(found["liquidatableQuoteAssetReserve"]), "liquidatable here"),
        Line("quoteAssetReserve", str(found["safeQuoteAssetReserve"]), "and safe here"),
    ]
    if found["oraclePrice"] is not None:
        lines.append(
            Line("getUnderlyingPrice", str(found["oraclePrice"]), "the oracle that it also takes")
        )
    if found["shieldedPrice"] is not None:
        lines.append(
            Line("shieldedPrice", str(found["shieldedPrice"]), "mark beyond which the oracle helps")
        )
    return lines
