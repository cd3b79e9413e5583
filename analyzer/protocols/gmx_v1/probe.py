"""First contact: whether it is a Vault at all, and which liquidation arithmetic it has."""

from analyzer.errors import AnalyzerError
from analyzer.protocol import Deployment, Probe
from analyzer.protocols.gmx_v1.contracts import MOST_TOKENS, vault_of
from analyzer.reads import Failed, Reads

EVERY_VAULT = (
    "allWhitelistedTokensLength", "fundingInterval", "gov", "includeAmmPrice",
    "inPrivateLiquidationMode", "liquidationFeeUsd", "marginFeeBasisPoints", "maxLeverage",
    "minProfitTime", "priceFeed",
)  # fmt: skip
UNRESOLVED = "B or C"


def probe(deployment: Deployment) -> Reads[Probe]:
    """The release ``A``, ``B``, ``C``, or ``B or C``: a VaultUtils does not tell which it is."""
    vault = vault_of(deployment)
    where = f"{deployment.name} has no GMX v1 Vault at {vault.address}"
    values = yield {name: vault.read(name) for name in (*EVERY_VAULT, "vaultUtils")}
    for name in EVERY_VAULT:
        if isinstance(values[name], Failed):
            raise AnalyzerError(f"{where}: {values[name].reason}; check the address and the chain")
    length = values["allWhitelistedTokensLength"]
    if not 0 < length <= MOST_TOKENS:
        raise AnalyzerError(f"{where}: it names {length} whitelisted tokens; check the address")
    claimed = deployment.options.get("variant")
    utils = values["vaultUtils"]
    if isinstance(utils, Failed):
        if not utils.reverted:
            raise AnalyzerError(f"{where}: {utils.reason}; check the address and the chain")
        if claimed not in (None, "A"):
            raise AnalyzerError(
                f"{deployment.name} is said to be variant {claimed}, but its Vault has no "
                'vaultUtils(): set variant = "A" or leave it out'
            )
        return Probe("A")
    if claimed == "A":
        raise AnalyzerError(
            f"{deployment.name} is said to be variant A, but its Vault answers vaultUtils() with "
            f'{utils}: set variant = "B" or "C" or leave it out'
        )
    return Probe(str(claimed or UNRESOLVED), {"vaultUtils": utils})


def variants(found: Probe) -> tuple[str, ...]:
    """The variants that the vault may be."""
    return ("B", "C") if found.release == UNRESOLVED else (found.release,)
