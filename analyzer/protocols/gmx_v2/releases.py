"""The releases of gmx-synthetics that differ in words, keys or arithmetic: one entry each."""

from dataclasses import dataclass
from typing import Final

from analyzer.errors import AnalyzerError


@dataclass(frozen=True, slots=True)
class Release:
    """What a release does differently; every branch on a release is a field here."""

    name: str
    has_pending_impact: bool
    """Positions carry ``pendingImpactAmount``, liquidations their own collateral factor."""
    fee_tier_by_balance: bool
    """The fee tier follows ``balanceWasImproved``; before, the sign of the raw impact."""
    split_impact_exponents: bool
    """Impact exponents are kept for positive and negative impact; before, one for both."""
    tokens_mode: bool
    """Balance may be measured in tokens instead of USD."""
    funding_by_paying_side: bool
    """Funding is taken on the paying side's open interest; before, on the larger side's."""
    funding_limits_by_side: bool
    """Minimum and maximum funding rates are kept per side; a one-sided market keeps its rate."""


V2_1: Final = Release("2.1", False, False, False, False, False, False)
V2_2B: Final = Release("2.2b", True, True, True, True, True, False)
V2_2C: Final = Release("2.2c", True, True, True, True, True, True)

RELEASES: Final = {release.name: release for release in (V2_1, V2_2B, V2_2C)}


def release_named(name: str) -> Release:
    """The release ``2.1``, ``2.2b`` or ``2.2c``, also as ``v2.2b`` or ``2b``."""
    plain = name.lower().removeprefix("v")
    for known in (plain, f"2.{plain}"):
        if known in RELEASES:
            return RELEASES[known]
    raise AnalyzerError(f"GMX v2 release {name!r} is not known: use one of {', '.join(RELEASES)}")
