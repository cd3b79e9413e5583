"""Known deployments."""

from collections.abc import Sequence
from typing import Final

from analyzer.protocol import Deployment
from analyzer.protocols.perp_v2.contracts import PROTOCOL_NAME

OPTIMISM: Final = 10
OPTIMISM_CONTRACTS: Final = {
    "ClearingHouse": "0x82ac2ce43e33683c58be4cdc40975e73aa50f459",
    "AccountBalance": "0xa7f3fc32043757039d5e13d790ee43edbcba8b7c",
    "Exchange": "0xbd7a3b7dbeb096f0b832cf467b94b091f30c34ec",
    "OrderBook": "0xdfcaebe8f6ea5e022befafae8c6cdae8d4e1094b",
    "MarketRegistry": "0xd5820ee0f55205f6cde8bb0647072143b3060067",
    "Vault": "0xad7b4c162707e0b2b5f6fddbd3f8538a5fba0d60",
    "CollateralManager": "0x8ac835c05530f10595c8015467339523154b4d85",
    "ClearingHouseConfig": "0xa4c817a425d3443baf610ca614c8b11688a288fb",
    "InsuranceFund": "0x1c9a192df3936cbf093d8afdc352718bcf834eb6",
}


def deployments() -> Sequence[Deployment]:
    """The official deployment; its first contract was created at the start block."""
    return (
        Deployment(
            protocol=PROTOCOL_NAME,
            name="optimism",
            chain_id=OPTIMISM,
            start_block=513_473,
            contracts=OPTIMISM_CONTRACTS,
            official=True,
        ),
    )
