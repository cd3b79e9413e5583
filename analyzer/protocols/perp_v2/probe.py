"""First contact: whether the contracts are what a deployment's entry says."""

from typing import Final

from analyzer.errors import AnalyzerError
from analyzer.protocol import Deployment, Probe
from analyzer.protocols.perp_v2.contracts import role
from analyzer.protocols.perp_v2.deployment_options import release, settlement_decimals
from analyzer.protocols.perp_v2.state import CURRENT_RELEASE
from analyzer.reads import Failed, Reads

LINKS: Final = {
    "AccountBalance": ("ClearingHouse", "getAccountBalance"),
    "Exchange": ("ClearingHouse", "getExchange"),
    "OrderBook": ("ClearingHouse", "getOrderBook"),
    "Vault": ("ClearingHouse", "getVault"),
    "ClearingHouseConfig": ("ClearingHouse", "getClearingHouseConfig"),
    "InsuranceFund": ("ClearingHouse", "getInsuranceFund"),
    "MarketRegistry": ("OrderBook", "getMarketRegistry"),
    "CollateralManager": ("Vault", "getCollateralManager"),
}
RELEASE_WITHOUT_MARK: Final = "2.4"


def probe(deployment: Deployment) -> Reads[Probe]:
    """The contracts name each other; the settlement token is the vault's. Reads only once."""
    vault = role(deployment, "Vault")
    values = yield {
        **{name: role(deployment, by).read(getter) for name, (by, getter) in LINKS.items()},
        "settlementToken": vault.read("getSettlementToken"),
        "decimals": vault.read("decimals"),
        "markPriceConfig": role(deployment, "ClearingHouseConfig").read("getMarkPriceConfig"),
    }
    for name, (by, getter) in LINKS.items():
        found, named = values[name], deployment.contracts[name]
        if isinstance(found, Failed):
            raise AnalyzerError(
                f"{deployment.name} is not Perpetual Protocol v2 at {deployment.contracts[by]}: "
                f"{found.reason}; check the addresses of the deployment"
            )
        if found.lower() != named:
            raise AnalyzerError(
                f"{deployment.name}: {by}.{getter} is {found.lower()}, but the entry names {named} "
                f"as {name}; correct the deployment"
            )
    for name in ("settlementToken", "decimals"):
        if isinstance(values[name], Failed):
            raise AnalyzerError(f"{deployment.name} has no settlement token: {values[name].reason}")
    if values["decimals"] != settlement_decimals(deployment):
        raise AnalyzerError(
            f"{deployment.name} settles in a token of {values['decimals']} decimals, not "
            f"{settlement_decimals(deployment)}: set the option settlement_decimals"
        )
    has_mark = not isinstance(values["markPriceConfig"], Failed)
    found_release = CURRENT_RELEASE if has_mark else RELEASE_WITHOUT_MARK
    return Probe(
        release=release(deployment) or found_release,
        facts={"settlementToken": values["settlementToken"].lower()},
    )
