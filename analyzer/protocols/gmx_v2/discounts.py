"""``ReferralUtils.getReferralInfo`` and the pro tier: what shrinks an account's closing fee."""

from typing import Final

from analyzer.protocols.gmx_v2.precision import FLOAT_PRECISION
from analyzer.protocols.gmx_v2.readings import Readings
from analyzer.protocols.gmx_v2.state import Discounts

BASIS_POINTS_DIVISOR: Final = 10_000


def discounts_of(got: Readings, account: str) -> Discounts:
    """An account's discounts; ``MissingError`` if any of what decides them was not read.

    A code that nobody owns still has a tier: that of the zero address.
    """
    tier = got.need("account", account, "PRO_TRADER_TIER")
    pro = got.need("tier", tier, "PRO_DISCOUNT_FACTOR") if tier else 0
    code = got.need("account", account, "traderReferralCodes")
    if not any(code):
        return Discounts(pro_tier=tier, pro_discount_factor=pro)
    owner = got.need("code", code, "codeOwners")
    total_rebate, share = got.need("rebate", got.need("referrer", owner, "referrerTiers"), "tiers")
    own_share = got.need("referrer", owner, "referrerDiscountShares")
    discount = total_rebate * (own_share or share) // BASIS_POINTS_DIVISOR
    return Discounts(
        pro_tier=tier,
        pro_discount_factor=pro,
        has_referral_code=True,
        trader_discount_factor=discount * FLOAT_PRECISION // BASIS_POINTS_DIVISOR,
        total_rebate_factor=total_rebate * FLOAT_PRECISION // BASIS_POINTS_DIVISOR,
    )
