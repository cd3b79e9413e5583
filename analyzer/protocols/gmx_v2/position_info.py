"""``Reader.getPositionInfo`` for a whole position: accrued fees, execution price and pnl.

A verdict does not rest on it; it is what the Reader reports, and it can revert where the verdict
does not. Field names are the contract's.
"""

from typing import Any, Final

from analyzer.errors import Revert
from analyzer.protocols.gmx_v2.fees import get_funding_amount
from analyzer.protocols.gmx_v2.funding import NextFunding, get_next_funding_amount_per_size
from analyzer.protocols.gmx_v2.impact import get_price_impact_usd
from analyzer.protocols.gmx_v2.pnl import get_position_pnl_usd
from analyzer.protocols.gmx_v2.precision import apply_factor, div
from analyzer.protocols.gmx_v2.risk import Closing, accrued_to, next_accruals
from analyzer.protocols.gmx_v2.state import Discounts, MarketState, Position, Prices, sign
from analyzer.units import sdiv

IMPACT_POOL: Final = "POSITION_IMPACT_POOL_AMOUNT"


def get_position_info(stored: Closing, prices: Prices, time: int) -> dict[str, Any]:
    """The answer for closing all of the position at a unix time; raises ``Revert`` as it would."""
    state, position = stored.state, stored.position
    if int(position.account, 16) == 0:
        raise Revert("EmptyPosition()")
    execution = get_execution_price(state, position, prices)
    funding = get_next_funding_amount_per_size(state, prices, time)
    accrued = accrued_to(stored, next_accruals(state, position, prices, time))
    fees = _fees(stored, accrued, funding, prices, bool(execution["balanceWasImproved"]))
    base, uncapped = get_position_pnl_usd(
        stored.pool, position.is_long, position.size_in_usd, position.size_in_tokens, prices
    )
    info = {
        "fees": fees,
        "executionPriceResult": execution,
        "basePnlUsd": base,
        "uncappedBasePnlUsd": uncapped,
        "pnlAfterPriceImpactUsd": execution["priceImpactUsd"] + base,
    }
    if "totalImpactUsd" in execution:
        info["positionValueInUsd"] = (
            position.collateral_amount * fees["collateralTokenPrice"]["min"]
            + base
            + execution["totalImpactUsd"]
            + fees["funding"]["claimableLongTokenAmount"] * prices.long.min
            + fees["funding"]["claimableShortTokenAmount"] * prices.short.min
            - fees["totalCostAmount"] * fees["collateralTokenPrice"]["max"]
        )
    return info


def get_execution_price(state: MarketState, position: Position, prices: Prices) -> dict[str, Any]:
    """``ReaderPricingUtils.getExecutionPrice`` of closing the whole position.

    A positive ``totalImpactUsd`` is capped by the impact pool: it is left out where the words do
    not hold that pool.
    """
    size, is_long, words = position.size_in_usd, position.is_long, state.words
    price = prices.index.min if is_long else prices.index.max
    impact, improved = get_price_impact_usd(
        state, size, position.size_in_tokens, is_long, prices.index.mid
    )
    most, most_negative = (words[f"MAX_POSITION_IMPACT_FACTOR:{sign(of)}"] for of in (True, False))
    if impact > 0:
        impact = min(impact, apply_factor(size, min(most, most_negative)))
    pending = position.pending_impact_amount
    proportional = pending * (prices.index.min if pending > 0 else prices.index.max)
    total = proportional + impact
    floor = -apply_factor(size, most_negative)
    result: dict[str, Any] = {
        "priceImpactUsd": impact,
        "executionPrice": _execution_price(position, price, impact),
        "balanceWasImproved": improved,
        "proportionalPendingImpactUsd": proportional,
        "priceImpactDiffUsd": max(0, floor - total),
    }
    if total <= 0:
        result["totalImpactUsd"] = max(total, floor)
    elif IMPACT_POOL in words:
        result["totalImpactUsd"] = min(total, words[IMPACT_POOL] * prices.index.min)
    return result


def _execution_price(position: Position, price: int, impact: int) -> int:
    """``BaseOrderUtils.getExecutionPriceForDecrease``."""
    size = position.size_in_usd
    adjusted = impact if position.is_long else -impact
    if size == 0 or position.size_in_tokens == 0:
        return price
    if adjusted < 0 and -adjusted > size:
        raise Revert(f"PriceImpactLargerThanOrderSize({adjusted},{size})")
    executed = price + sdiv(sdiv(size * adjusted, position.size_in_tokens), size)
    if executed < 0:
        raise Revert(f"NegativeExecutionPrice({executed},{price},{size},{adjusted},{size})")
    return executed


def _fees(
    stored: Closing, accrued: Closing, funding: NextFunding, prices: Prices, improved: bool
) -> dict[str, Any]:
    """``PositionFees``: the fee receivers' shares come from the stored accumulators."""
    words, position = stored.state.words, stored.position
    price = stored.state.market.collateral_price(position.collateral_token, prices)
    fee = div(stored.position_fee_usd[improved], price.min)
    referral, pro = _referral(stored.discounts, fee), _pro(stored.discounts, fee)
    discount = max(pro["traderDiscountAmount"], referral["traderDiscountAmount"])
    protocol = fee - referral["affiliateRewardAmount"] - discount
    receiver_factor = words["POSITION_FEE_RECEIVER_FACTOR"]
    for_receiver = apply_factor(protocol, receiver_factor)
    stored_borrowing = _borrowing(stored, price.min)
    borrowing = _borrowing(accrued, price.min)
    excluding_funding = fee + borrowing["borrowingFeeAmount"] - discount
    return {
        "referral": referral,
        "pro": pro,
        "funding": _funding(accrued, funding),
        "borrowing": borrowing,
        "collateralTokenPrice": {"min": price.min, "max": price.max},
        "positionFeeFactor": words[f"POSITION_FEE_FACTOR:{sign(improved)}"],
        "protocolFeeAmount": protocol,
        "positionFeeReceiverFactor": receiver_factor,
        "feeReceiverAmount": for_receiver + stored_borrowing["borrowingFeeAmountForFeeReceiver"],
        "feeAmountForPool": protocol
        - for_receiver
        + stored_borrowing["borrowingFeeAmount"]
        - stored_borrowing["borrowingFeeAmountForFeeReceiver"],
        "positionFeeAmountForPool": protocol - for_receiver,
        "positionFeeAmount": fee,
        "totalCostAmountExcludingFunding": excluding_funding,
        "totalCostAmount": excluding_funding + accrued.funding_fee_amount,
        "totalDiscountAmount": discount,
    }


def _pro(discounts: Discounts, fee: int) -> dict[str, int]:
    factor = discounts.pro_discount_factor if discounts.pro_tier else 0
    return {
        "traderTier": discounts.pro_tier,
        "traderDiscountFactor": factor,
        "traderDiscountAmount": apply_factor(fee, factor),
    }


def _referral(discounts: Discounts, fee: int) -> dict[str, int]:
    if not discounts.has_referral_code:
        names = ("totalRebateFactor", "affiliateRewardFactor", "adjustedAffiliateRewardFactor",
                 "traderDiscountFactor", "totalRebateAmount", "traderDiscountAmount",
                 "affiliateRewardAmount")  # fmt: skip
        return dict.fromkeys(names, 0)
    total, trader = discounts.total_rebate_factor, discounts.trader_discount_factor
    pro = discounts.pro_discount_factor if discounts.pro_tier else 0
    adjusted = affiliate = total - trader
    if pro > trader:
        adjusted = max(total - pro, discounts.min_affiliate_reward_factor)
    discount, reward = apply_factor(fee, trader), apply_factor(fee, adjusted)
    return {
        "totalRebateFactor": total,
        "affiliateRewardFactor": affiliate,
        "adjustedAffiliateRewardFactor": adjusted,
        "traderDiscountFactor": trader,
        "totalRebateAmount": reward + discount,
        "traderDiscountAmount": discount,
        "affiliateRewardAmount": reward,
    }


def _borrowing(closing: Closing, collateral_price_min: int) -> dict[str, int]:
    factor = closing.state.words["BORROWING_FEE_RECEIVER_FACTOR"]
    amount = div(closing.borrowing_fee_usd, collateral_price_min)
    return {
        "borrowingFeeUsd": closing.borrowing_fee_usd,
        "borrowingFeeAmount": amount,
        "borrowingFeeReceiverFactor": factor,
        "borrowingFeeAmountForFeeReceiver": apply_factor(amount, factor),
    }


def _funding(accrued: Closing, funding: NextFunding) -> dict[str, int]:
    state, position = accrued.state, accrued.position
    of, words, twice = position.side, state.words, state.market.divisor
    collateral = state.collateral(position.collateral_token)
    long, short = (
        words[f"CLAIMABLE_FUNDING_AMOUNT_PER_SIZE:{token}:{of}"]
        + funding.claimable_deltas[of][token] * twice
        for token in ("longToken", "shortToken")
    )
    size = position.size_in_usd
    return {
        "fundingFeeAmount": accrued.funding_fee_amount,
        "claimableLongTokenAmount": get_funding_amount(
            long, position.long_token_claimable_funding_amount_per_size, size, round_up=False
        ),
        "claimableShortTokenAmount": get_funding_amount(
            short, position.short_token_claimable_funding_amount_per_size, size, round_up=False
        ),
        "latestFundingFeeAmountPerSize": words[f"FUNDING_FEE_AMOUNT_PER_SIZE:{collateral}:{of}"]
        + funding.fee_deltas[of][collateral] * twice,
        "latestLongTokenClaimableFundingAmountPerSize": long,
        "latestShortTokenClaimableFundingAmountPerSize": short,
    }
