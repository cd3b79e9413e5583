"""Positions to rows: exact integers in ``inputs`` and ``outputs``, amounts in E18 beside them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from analyzer.assets import asset_of
from analyzer.protocols.gmx_v2.assess import Assessed, Assessor, Basis
from analyzer.protocols.gmx_v2.forms import margin_legs
from analyzer.protocols.gmx_v2.liquidation import LiquidationPrices
from analyzer.protocols.gmx_v2.market_rows import price_e18, price_id, usd
from analyzer.protocols.gmx_v2.state import Discounts, Market, Position, Prices
from analyzer.protocols.gmx_v2.words import POSITION_FIELDS
from analyzer.rows import At, MarginAccounts, Positions, Row
from analyzer.units import BASIS_POINTS, to_e18

SAFE: Final = "safe"
LIQUIDATABLE: Final = "liquidatable"
UNKNOWN: Final = "unknown"
MOST_BPS: Final = 2**62


@dataclass(frozen=True, slots=True)
class Held:
    """A position by its key; without a struct there is a reason."""

    key: str
    fields: Mapping[str, Any]
    """What is known of it, under the contract's names."""
    reason: str | None = None

    @property
    def position(self) -> Position | None:
        """The struct, if all of it is known."""
        return None if self.reason is not None else position_of(self.key, self.fields)


def position_of(key: str, fields: Mapping[str, Any]) -> Position:
    """``Position.Props`` of its fields under the contract's names; no pending impact is none."""
    return Position(
        key,
        fields["account"],
        fields["market"],
        fields["collateralToken"],
        bool(fields["isLong"]),
        fields["sizeInUsd"],
        fields["sizeInTokens"],
        fields["collateralAmount"],
        fields.get("pendingImpactAmount", 0),
        fields["borrowingFactor"],
        fields["fundingFeeAmountPerSize"],
        fields["longTokenClaimableFundingAmountPerSize"],
        fields["shortTokenClaimableFundingAmountPerSize"],
        fields["increasedAtTime"],
        fields["decreasedAtTime"],
    )


def position_rows(at: At, assessor: Assessor, held: Held) -> list[Row]:
    """The position, its margin account and its legs; ``unknown`` says why in the account."""
    position = held.position
    if position is None:
        assessed = Assessed(str(held.reason), str(held.reason))
    else:
        assessed = assessor.assess(position)
    inputs = _inputs(assessor, held, assessed)
    outputs = {
        "stored": _verdict(assessed.stored),
        "executable": _verdict(assessed.executable),
        "flips_stored": _flips(assessed.stored),
        "flips_executable": _flips(assessed.executable),
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
        size_usd=usd(fields.get("sizeInUsd")),
        size_tokens=_tokens(fields.get("sizeInTokens"), index_decimals),
        collateral_usd=usd(verdict and verdict.collateral_usd),
        collateral_amount=_tokens(fields.get("collateralAmount"), collateral_decimals),
        entry_price=_entry_price(position, index_decimals),
        price=None if price is None else price_e18(price, index_decimals),
        unrealized_pnl_usd=usd(verdict and verdict.position_pnl_usd),
        funding_owed_usd=_times(verdict and verdict.fees.funding_fee_amount, collateral_price),
        borrowing_owed_usd=_times(verdict and verdict.fees.borrowing_fee_amount, collateral_price),
        leverage_bps=_leverage(position, verdict and verdict.remaining_collateral_usd),
        liquidation_kind=liquidation.kind if liquidation else UNKNOWN,
        liquidation_below=_flip_price(liquidation and liquidation.below, index_decimals),
        liquidation_above=_flip_price(liquidation and liquidation.above, index_decimals),
        distance_bps=_distance(verdict and verdict.is_liquidatable, price, liquidation),
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
        outputs={"executable": _verdict(assessed.executable), "stored": _verdict(assessed.stored)},
    )


def _blocked_by(assessor: Assessor, held: Held) -> str | None:
    """A disabled market refuses every order, liquidations too."""
    disabled = assessor.got.get("market", held.fields.get("market", ""), "IS_MARKET_DISABLED")
    return "DisabledMarket" if disabled else None


def _state(basis: Basis | str) -> str:
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


def _inputs(assessor: Assessor, held: Held, assessed: Assessed) -> dict[str, Any]:
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


def _price_basis(assessor: Assessor, market: Market) -> dict[str, str | None]:
    tokens = {
        "index": market.index_token, "long": market.long_token, "short": market.short_token,
    }  # fmt: skip
    used = {name: assessor.prices[token].used for name, token in tokens.items()}
    return {name: quote.source if quote else None for name, quote in used.items()}


def _discounts(discounts: Discounts) -> dict[str, int | bool]:
    return {
        "proTraderTier": discounts.pro_tier,
        "proDiscountFactor": discounts.pro_discount_factor,
        "hasReferralCode": discounts.has_referral_code,
        "referralTraderDiscountFactor": discounts.trader_discount_factor,
        "referralTotalRebateFactor": discounts.total_rebate_factor,
    }


def _verdict(basis: Basis | str) -> dict[str, Any]:
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


def _flips(basis: Basis | str) -> dict[str, Any]:
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


def _leverage(position: Position | None, left: int | None) -> int | None:
    """Size over what is left of the collateral; none where nothing is left."""
    if position is None or left is None or left <= 0:
        return None
    return min(position.size_in_usd * BASIS_POINTS // left, MOST_BPS)


def _flip_price(price: int | None, decimals: int | None) -> int | None:
    return None if price is None else price_e18(price, decimals)


def _distance(
    is_liquidatable: bool | None, price: int | None, liquidation: LiquidationPrices | None
) -> int | None:
    """How far the price is from the nearer end of the safe region; 0 once it is outside."""
    if liquidation is None or price is None or liquidation.kind != "flip" or price == 0:
        return None
    if is_liquidatable:
        return 0
    ends = [end for end in (liquidation.below, liquidation.above) if end is not None]
    return min(min(abs(price - end) for end in ends) * BASIS_POINTS // price, MOST_BPS)
