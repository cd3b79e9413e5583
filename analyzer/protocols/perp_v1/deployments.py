"""Where Perpetual Protocol v1 lives: a ClearingHouse and an InsuranceFund, which lists the AMMs.

A fork is one entry here or a ``[[deployment]]`` of the user's. Its options:

``amms``
    The AMMs' addresses, comma-separated. With them, logs are asked for by address; without, the
    AMMs' few events are asked for by topic alone, and those of foreign AMMs come along.
``release``
    ``backstop`` for the releases with backstop liquidity providers: only these may cause bad debt
    in a liquidation, and the ratio at spot decides whether it is partial. Unset: npm 2.2.0.
``funding_period``, ``spot_price_twap_interval``
    What the AMMs are set to, in seconds (unset: an hour, as they are deployed). They are needed to
    rebuild funding from logs and are checked there against every event and the chain's own sum. No
    position rests on them: what it has settled is read from the chain.
``liquidator``
    The account from which ``verify`` simulates ``liquidate()`` (unset: the last one seen in logs).
"""

from typing import Final

from analyzer.protocol import Deployment

NAME: Final = "perp_v1"
CLEARING_HOUSE: Final = "ClearingHouse"
INSURANCE_FUND: Final = "InsuranceFund"
VIEWER: Final = "ClearingHouseViewer"
BACKSTOP: Final = "backstop"

OPTIONS: Final[dict[str, tuple[str, ...]]] = {
    "amms": (),
    "release": ("2.2.0", BACKSTOP),
    "funding_period": (),
    "spot_price_twap_interval": (),
    "liquidator": (),
}

GNOSIS: Final = 100

AMM_ASSETS: Final[dict[int, dict[str, str]]] = {
    GNOSIS: {
        "0x0f346e19f01471c02485df1758cfd3d624e399b4": "BTC",
        "0x16a7ecf2c27cb367df36d39e389e66b42000e0df": "AAVE",
        "0x33fbaefb2dcc3b7e0b80afbb4377c2eb64af0a3a": "COMP",
        "0x6de775aabeeede8efdb1a257198d56a3ac18c2fd": "DOT",
        "0x7b479a0a816ca33f8eb5a3312d1705a34d2d4c82": "CREAM",
        "0x80daf8abd5a6ba182033b6464e3e39a0155dcc10": "LINK",
        "0x8d22f1a9dce724d8c1b4c688d75f17a2fe2d32df": "ETH",
        "0x922f28072babe6ea0c0c25ccd367fda0748a5ec7": "REN",
        "0xab08ff2c726f2f333802630ee19f4146385cc343": "CRV",
        "0xb397389b61cbf3920d297b4ea1847996eb2ac8e8": "SNX",
        "0xd41025350582674144102b74b8248550580bb869": "YFI",
        "0xeac6cee594edd353351babc145c624849bb70b11": "UNI",
        "0xf559668108ff57745d5e3077b0a7dd92ffc6300c": "SUSHI",
        "0xfcae57db10356fcf76b6476b21ac14c504a45128": "PERP",
    },
}
"""What the AMMs of known deployments trade, from the protocol's published metadata."""

DEPLOYMENTS: Final = (
    Deployment(
        protocol=NAME,
        name="perp-v1-gnosis",
        chain_id=GNOSIS,
        start_block=12_000_000,
        contracts={
            CLEARING_HOUSE: "0x5d9593586b4B5edBd23E7Eba8d88FD8F09D83EBd",
            INSURANCE_FUND: "0x8C29F6F7fc1999aB84b476952E986F974Acb3824",
        },
        options={"amms": ",".join(AMM_ASSETS[GNOSIS]), "release": BACKSTOP},
        official=True,
    ),
)


def deployments() -> tuple[Deployment, ...]:
    """The official deployment on Gnosis chain, where all markets were shut down in 2022.

    Its start block lies before the contracts', which the metadata does not name.
    """
    return DEPLOYMENTS


def asset_of(chain_id: int, amm: str) -> str | None:
    """The asset that an AMM trades, by its address; ``None`` if it is not known."""
    return AMM_ASSETS.get(chain_id, {}).get(amm)


def seconds(deployment: Deployment, option: str) -> int:
    """An option in seconds; an hour where it is unset, as the AMMs are deployed."""
    return int(deployment.options.get(option, 3600))
