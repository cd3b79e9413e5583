"""Where GMX v1 and its forks live: the Vault is all that has to be known of one.

A fork is one line of ``forks.json``, or a ``[[deployment]]`` of the user's. ``variant`` says which
liquidation arithmetic a vault has (``A``: no VaultUtils; ``B``, ``C``: profit is left out of, or
counted in, the remaining collateral); unset, what the chain can tell is used. A deployment that
names ``FastPriceEvents`` also gets the history of its fast prices, one log per token and update:
GMX's are 0x4530b7DE1958270A2376be192a24175D795e1b07 on Arbitrum and
0x02b7023D43bc52bFf8a0C54A9F2ecec053523Bf6 on Avalanche.
"""

import json
from functools import cache
from importlib.resources import files
from typing import Final

from analyzer.protocol import Deployment

NAME: Final = "gmx_v1"
VAULT: Final = "Vault"
FAST_PRICE_EVENTS: Final = "FastPriceEvents"

OPTIONS: Final[dict[str, tuple[str, ...]]] = {"variant": ("A", "B", "C"), "primary_max_age": ()}
"""``primary_max_age``: seconds after which the user takes a primary price feed as stale."""

OFFICIAL: Final = (
    Deployment(
        protocol=NAME,
        name="gmx-arbitrum",
        chain_id=42161,
        start_block=227_000,
        contracts={VAULT: "0x489ee077994B6658eAfA855C308275EAd8097C4A"},
        options={"variant": "A"},
        official=True,
    ),
    Deployment(
        protocol=NAME,
        name="gmx-avalanche",
        chain_id=43114,
        start_block=8_351_228,
        contracts={VAULT: "0x9ab2De34A33fB459b538c43f251eB825645e8595"},
        official=True,
    ),
)


@cache
def deployments() -> tuple[Deployment, ...]:
    """GMX itself and the forks whose vaults are public; none of the forks has been verified."""
    chains = json.loads((files(__package__) / "forks.json").read_text(encoding="utf-8"))
    forks = tuple(
        Deployment(
            protocol=NAME,
            name=f"{fork}-{chain}",
            chain_id=listed["chain_id"],
            start_block=0,
            contracts={VAULT: vault},
        )
        for chain, listed in chains.items()
        for fork, vault in listed["vaults"].items()
    )
    return OFFICIAL + forks
