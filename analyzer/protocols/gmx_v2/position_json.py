"""The exact integers of a position's rows: what went in and what came out, in contract names."""

from typing import Any

from analyzer.protocols.gmx_v2.assess import Assessed, Assessor, Basis
from analyzer.protocols.gmx_v2.position import Held
from analyzer.protocols.gmx_v2.price_facts import price_facts
from analyzer.protocols.gmx_v2.state import Discounts, Market, Prices
from analyzer.protocols.gmx_v2.words import POSITION_FIELDS
from analyzer.rows import UNKNOWN


def inputs_of(assessor: Assessor, held: Held, assessed: Assessed) -> dict[str, Any]:
    """The position, and all that its verdicts rest on but the market's words."""
    got, prices = assessor.got, assessed.prices
    market = got.markets.get(held.fields.get("market", ""))
    return {
        "positionKey": held.key,
        **{name: held.fields[name] for name in POSITION_FIELDS if name in held.fields},
        "release": got.release.name,
        "timestamp": got.block.time,
        "marketProps": market and _market(market),
        "prices": prices and _prices(prices),
        "price_basis": market and _price_basis(assessor, market),
        "discounts": assessed.discounts and _discounts(assessed.discounts),
        "accumulators": {
            name: {
                "cumulativeBorrowingFactor": basis.accruals.cumulative_borrowing_factor,
                "fundingFeeAmountPerSize": basis.accruals.funding_fee_amount_per_size,
            }
            for name, basis in (
                ("stored", assessed.stored), ("executable", assessed.executable),
            )
            if isinstance(basis, Basis)
        },
    }  # fmt: skip


def _market(market: Market) -> dict[str, str]:
    return {
        "marketToken": market.market_token,
        "indexToken": market.index_token,
        "longToken": market.long_token,
        "shortToken": market.short_token,
    }


def _prices(prices: Prices) -> dict[str, dict[str, int]]:
    named = (("index", prices.index), ("long", prices.long), ("short", prices.short))
    return {f"{name}TokenPrice": {"min": price.min, "max": price.max} for name, price in named}


def _price_basis(assessor: Assessor, market: Market) -> dict[str, dict[str, Any] | None]:
    """The price of each token that the verdicts rest on, and why it is that one."""
    tokens = {
        "index": market.index_token, "long": market.long_token, "short": market.short_token,
    }  # fmt: skip
    found: dict[str, dict[str, Any] | None] = {}
    for name, token in tokens.items():
        known = assessor.prices[token]
        found[name] = None
        if known.used is not None:
            facts = price_facts(known, known.used, assessor.got.block.time)
            found[name] = {"basis": known.ground, **facts}
    return found


def _discounts(discounts: Discounts) -> dict[str, int | bool]:
    return {
        "proTraderTier": discounts.pro_tier,
        "proDiscountFactor": discounts.pro_discount_factor,
        "hasReferralCode": discounts.has_referral_code,
        "referralTraderDiscountFactor": discounts.trader_discount_factor,
        "referralTotalRebateFactor": discounts.total_rebate_factor,
    }


def verdict_of(basis: Basis | str) -> dict[str, Any]:
    """A verdict with what it is made of."""
    if isinstance(basis, str):
        return {"unknown": basis}
    verdict, fees = basis.verdict, basis.verdict.fees
    return {
        "isLiquidatable": verdict.is_liquidatable,
        "reason": verdict.reason,
        "remainingCollateralUsd": verdict.remaining_collateral_usd,
        "minCollateralUsd": verdict.min_collateral_usd,
        "minCollateralUsdForLeverage": verdict.min_collateral_usd_for_leverage,
        "collateralUsd": verdict.collateral_usd,
        "positionPnlUsd": verdict.position_pnl_usd,
        "priceImpactUsd": verdict.price_impact_usd,
        "collateralCostUsd": verdict.collateral_cost_usd,
        "balanceWasImproved": verdict.balance_was_improved,
        "positionFeeAmount": fees.position_fee_amount,
        "totalDiscountAmount": fees.total_discount_amount,
        "borrowingFeeAmount": fees.borrowing_fee_amount,
        "fundingFeeAmount": fees.funding_fee_amount,
        "totalCostAmount": fees.total_cost_amount,
    }


def flips_of(basis: Basis | str) -> dict[str, Any]:
    """Liquidation prices: each with the neighbouring price at which the position is safe."""
    if isinstance(basis, str):
        return {"kind": UNKNOWN, "flips": []}
    return {
        "kind": basis.liquidation.kind,
        "flips": [
            {
                "liquidatable_price": flip.liquidatable_price,
                "safe_price": flip.safe_price,
                "liquidatable_side": flip.liquidatable_side,
            }
            for flip in basis.liquidation.flips
        ],
        "below": basis.liquidation.below,
        "above": basis.liquidation.above,
    }
