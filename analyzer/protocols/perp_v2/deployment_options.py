"""What a deployment's entry may say about itself; first contact checks it against the chain."""

from typing import Final

from analyzer.errors import AnalyzerError
from analyzer.protocol import Deployment
from analyzer.protocols.perp_v2.state import CURRENT_RELEASE

RELEASES: Final = ("2.4", "2.5", "2.8.0", CURRENT_RELEASE)
"""The rules of the reference price: each name stands for its release and those up to the next."""
OPTIONS: Final = {
    "settlement_decimals": (),
    "release": RELEASES,
    "liquidator": (),
}
USDC_DECIMALS: Final = 6


def settlement_decimals(deployment: Deployment) -> int:
    """Decimals of the settlement token: logs do not tell them, and a replay rounds to them."""
    decimals = deployment.options.get("settlement_decimals", USDC_DECIMALS)
    if isinstance(decimals, bool) or not isinstance(decimals, int) or not 0 <= decimals <= 18:
        raise AnalyzerError(
            f"settlement_decimals of {deployment.name} is {decimals!r}: it takes 0 to 18"
        )
    return decimals


def release(deployment: Deployment) -> str | None:
    """The release that the entry names, if it names one."""
    named = deployment.options.get("release")
    return None if named is None else str(named)


def liquidator(deployment: Deployment) -> str | None:
    """The account whose liquidations ``verify`` simulates, if the entry names one."""
    named = deployment.options.get("liquidator")
    return None if named is None else str(named).lower()
