"""Known deployments, and which asset a token of theirs stands for."""

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
ASSETS: Final = {
    OPTIMISM: {
        "0x7f5c764cbc14f9669b88837ca1490cca17c31607": "USDC",
        "0x4200000000000000000000000000000000000006": "ETH",
        "0x2e3d870790dc77a83dd1d18184acc7439a53f475": "FRAX",
        "0x4200000000000000000000000000000000000042": "OP",
        "0x94b008aa00579c1307b0ef2c499ad98a8ce58e58": "USDT",
        "0x34235c8489b06482a99bb7fcab6d7c467b92d248": "AAVE",
        "0x9d34f1d15c22e4c0924804e2a38cbe93dfb84bc2": "APE",
        "0x5f714b5347f0b5de9f9598e39840e176ce889b9c": "ATOM",
        "0x5faa136fc58b6136ffdaeaac320076c4865c070f": "AVAX",
        "0xb6599bd362120dc70d48409b8a08888807050700": "BNB",
        "0x86f1e0420c26a858fc203a3645dd1a36868f18e5": "BTC",
        "0x7161c3416e08abaa5cd38e68d9a28e43a694e037": "CRV",
        "0x8711ac690984badc42e7abe71f351b5ac2a2ad0d": "DOGE",
        "0x8c835dfaa34e2ae61775e80ee29e2c724c6ae2bb": "ETH",
        "0x7eada83e15acd08d22ad85a1dce92e5a257acb92": "FLOW",
        "0x2db8d2db86ca3a4c7040e778244451776570359b": "FTM",
        "0x2f198182ec54469195a4a06262a9431a42462373": "LINK",
        "0xb24f50dd9918934ab2228be7a097411ca28f6c14": "LUNA",
        "0xbe5de48197fc974600929196239e264ecb703ee8": "MATIC",
        "0x3fb3282e3ba34a0bff94845f1800eb93cc6850d4": "NEAR",
        "0x77d0cc9568605bfff32f918c8ffaa53f72901416": "ONE",
        "0x5a7ed3ce6096228a9fe1b673830e6a78c9cfb71b": "OP",
        "0x9482aafdced6b899626f465e1fa0cf1b1418d797": "PERP",
        "0x333b1ea429a88d0dd48ce7c06c16609cd76f43a8": "SAND",
        "0x151bb01c79f4516c233948d69dae39869bccb737": "SOL",
    },
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


def asset_of(chain_id: int, token: str) -> str | None:
    """The canonical asset of a token, by its address: what it calls itself proves nothing."""
    return ASSETS.get(chain_id, {}).get(token)
