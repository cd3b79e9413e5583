"""Canonical assets: what a token stands for, by chain and address, never by its own claim."""

from typing import Final

ARBITRUM: Final = 42161
AVALANCHE: Final = 43114
OPTIMISM: Final = 10

ASSETS: Final[dict[int, dict[str, str]]] = {
    ARBITRUM: {
        "0x17fc002b466eec40dae837fc4be5c67993ddbd6f": "FRAX",
        "0x2f2a2543b76a4166549f7aab2e75bef0aefc5b0f": "BTC",
        "0x82af49447d8a07e3bd95bd0d56f35241523fbab1": "ETH",
        "0xaf88d065e77c8cc2239327c5edb3a432268e5831": "USDC",
        "0xda10009cbd5d07dd0cecc66161fc93d7c9000da1": "DAI",
        "0xf97f4df75117a78c1a5a0dbb814af92458539fb4": "LINK",
        "0xfa7f8980b0f1e64a2062791cc3b0871572f1f7f0": "UNI",
        "0xfd086bc7cd5c481dcc9c85ebe478a1c0b69fcbb9": "USDT",
        "0xfea7a6a0b346362bf88a9e4a88416b77a57d6c2a": "MIM",
        "0xff970a61a04b1ca14834a43f5de4533ebddb5cc8": "USDC",
    },
    AVALANCHE: {
        "0x130966628846bfd36ff31a822705796e8cb8c18d": "MIM",
        "0x152b9d0fdc40c096757f570a51e494bd4b943e50": "BTC",
        "0x49d5c2bdffac6ce2bfdb6640f4f80f226bc10bab": "ETH",
        "0x50b7545627a5162f82a992c33b87adc75187b218": "BTC",
        "0xa7d7079b0fead91f3e65f86e8915cb59c1a4c664": "USDC",
        "0xb31f66aa3c1e785363f0875a1b74e27b85fd66c7": "AVAX",
        "0xb97ef9ef8734c71904d8002f8b6bc66dd9c48a6e": "USDC",
    },
    OPTIMISM: {
        "0x151bb01c79f4516c233948d69dae39869bccb737": "SOL",
        "0x2db8d2db86ca3a4c7040e778244451776570359b": "FTM",
        "0x2e3d870790dc77a83dd1d18184acc7439a53f475": "FRAX",
        "0x2f198182ec54469195a4a06262a9431a42462373": "LINK",
        "0x333b1ea429a88d0dd48ce7c06c16609cd76f43a8": "SAND",
        "0x34235c8489b06482a99bb7fcab6d7c467b92d248": "AAVE",
        "0x3fb3282e3ba34a0bff94845f1800eb93cc6850d4": "NEAR",
        "0x4200000000000000000000000000000000000006": "ETH",
        "0x4200000000000000000000000000000000000042": "OP",
        "0x5a7ed3ce6096228a9fe1b673830e6a78c9cfb71b": "OP",
        "0x5f714b5347f0b5de9f9598e39840e176ce889b9c": "ATOM",
        "0x5faa136fc58b6136ffdaeaac320076c4865c070f": "AVAX",
        "0x7161c3416e08abaa5cd38e68d9a28e43a694e037": "CRV",
        "0x77d0cc9568605bfff32f918c8ffaa53f72901416": "ONE",
        "0x7eada83e15acd08d22ad85a1dce92e5a257acb92": "FLOW",
        "0x7f5c764cbc14f9669b88837ca1490cca17c31607": "USDC",
        "0x86f1e0420c26a858fc203a3645dd1a36868f18e5": "BTC",
        "0x8711ac690984badc42e7abe71f351b5ac2a2ad0d": "DOGE",
        "0x8c835dfaa34e2ae61775e80ee29e2c724c6ae2bb": "ETH",
        "0x9482aafdced6b899626f465e1fa0cf1b1418d797": "PERP",
        "0x94b008aa00579c1307b0ef2c499ad98a8ce58e58": "USDT",
        "0x9d34f1d15c22e4c0924804e2a38cbe93dfb84bc2": "APE",
        "0xb24f50dd9918934ab2228be7a097411ca28f6c14": "LUNA",
        "0xb6599bd362120dc70d48409b8a08888807050700": "BNB",
        "0xbe5de48197fc974600929196239e264ecb703ee8": "MATIC",
    },
}


def asset_of(chain_id: int, token: str) -> str | None:
    """The asset that a token stands for, bridged and native alike; ``None`` if it is not known."""
    return ASSETS.get(chain_id, {}).get(token.lower())
