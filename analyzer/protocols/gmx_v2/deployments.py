"""The deployments of GMX v2; another one is an entry here or in a user's config file."""

from collections.abc import Sequence
from typing import Final

from analyzer.protocol import Deployment
from analyzer.protocols.gmx_v2.datastore import NAME
from analyzer.protocols.gmx_v2.releases import RELEASES

EVENT_EMITTER: Final = "EventEmitter"
DATA_STORE: Final = "DataStore"
REFERRAL_STORAGE: Final = "ReferralStorage"
READER: Final = "Reader"

OPTIONS: Final = {"release": tuple(RELEASES)}

OFFICIAL: Final = (
    Deployment(
        protocol=NAME,
        name="gmx-v2-arbitrum",
        chain_id=42161,
        start_block=107_737_251,
        contracts={
            EVENT_EMITTER: "0xc8ee91a54287db53897056e12d9819156d3822fb",
            DATA_STORE: "0xfd70de6b91282d8017aa4e741e9ae325cab992d8",
            REFERRAL_STORAGE: "0xe6fab3f0c7199b0d34d7fbe83394fc0e0d06e99d",
            READER: "0xfa26cbb46e2614609406de08ca1dc7f70a684184",
        },
        official=True,
    ),
    Deployment(
        protocol=NAME,
        name="gmx-v2-avalanche",
        chain_id=43114,
        start_block=32_162_367,
        contracts={
            EVENT_EMITTER: "0xdb17b211c34240b014ab6d61d4a31fa0c0e20c26",
            DATA_STORE: "0x2f0b22339414aded7d5f06f9d604c7ff5b2fe3f6",
            REFERRAL_STORAGE: "0x827ed045002ecdabeb6e2b0d1604cf5fc3d322f8",
            READER: "0xa34320a507493c71fe35e982e496f7c5d1a7fa02",
        },
        official=True,
    ),
)


def deployments() -> Sequence[Deployment]:
    """The official deployments."""
    return OFFICIAL
