"""First contact: whether it is a v1 ClearingHouse, and whether its insurance fund has AMMs."""

from analyzer.errors import AnalyzerError
from analyzer.protocol import Deployment, Probe
from analyzer.protocols.perp_v1.contracts import MOST_AMMS, clearing_house, insurance_fund, read
from analyzer.reads import Failed, Questions, Reads

RATIOS = (
    "initMarginRatio", "liquidationFeeRatio", "maintenanceMarginRatio", "partialLiquidationRatio",
)  # fmt: skip


def config_reads(deployment: Deployment) -> Questions:
    """The ClearingHouse's ratios (18 decimals) and the list of AMMs."""
    house = clearing_house(deployment)
    ratios = {name: read(house, name) for name in RATIOS}
    return {**ratios, "getAllAmms": read(insurance_fund(deployment), "getAllAmms")}


def probe(deployment: Deployment) -> Reads[Probe]:
    """The release is the option's: on chain, the releases differ in code alone."""
    where = f"{deployment.name} is not a Perpetual Protocol v1 at its addresses"
    values = yield config_reads(deployment)
    for value in values.values():
        if isinstance(value, Failed):
            raise AnalyzerError(f"{where}: {value.reason}; check the addresses and the chain")
    count = len(values["getAllAmms"])
    if not 0 < count <= MOST_AMMS:
        raise AnalyzerError(f"{where}: its insurance fund names {count} AMMs; check the addresses")
    return Probe(str(deployment.options.get("release", "2.2.0")), {"amms": count})
