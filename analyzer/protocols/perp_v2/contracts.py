"""The contracts of a deployment, and the storage slots that have no getter."""

from collections.abc import Callable
from typing import Any, Final

from eth_hash.auto import keccak

from analyzer.abi import Contract, load_abi
from analyzer.evm import Slot
from analyzer.protocol import Deployment
from analyzer.reads import MalformedError, Read

PROTOCOL_NAME: Final = "perp_v2"
ROLES: Final = (
    "ClearingHouse",
    "AccountBalance",
    "Exchange",
    "OrderBook",
    "MarketRegistry",
    "Vault",
    "CollateralManager",
    "ClearingHouseConfig",
    "InsuranceFund",
)
WORD: Final = 32

FIRST_TRADED_TIMESTAMP: Final = 209
LAST_SETTLED_TIMESTAMP: Final = 210
FUNDING_GROWTH: Final = 211
GROWTH_OUTSIDE_TICK: Final = 208
FEE_GROWTH_GLOBAL: Final = 209


def contract(name: str, address: str) -> Contract:
    """A contract of this protocol at an address."""
    return load_abi(PROTOCOL_NAME, name).at(address)


def role(deployment: Deployment, name: str) -> Contract:
    """The contract that a deployment names for a role."""
    return contract(name, deployment.contracts[name])


def mapping_slot(key: str | int, slot: int) -> int:
    """Where a Solidity mapping at ``slot`` keeps the value of an address or a signed integer."""
    number = int(key, 16) if isinstance(key, str) else key % 2**256
    packed = number.to_bytes(WORD, "big") + slot.to_bytes(WORD, "big")
    return int.from_bytes(keccak(packed), "big")


def slot_read(name: str, address: str, slot: int, *, signed: bool = False) -> Read:
    """One storage word as an integer."""
    return Read(name, Slot(address.lower(), slot), _word(name, signed=signed))


def order_id(trader: str, base_token: str, lower_tick: int, upper_tick: int) -> bytes:
    """``OpenOrder.calcOrderKey``."""
    return keccak(
        bytes.fromhex(trader[2:])
        + bytes.fromhex(base_token[2:])
        + lower_tick.to_bytes(3, "big", signed=True)
        + upper_tick.to_bytes(3, "big", signed=True)
    )


def _word(name: str, *, signed: bool) -> Callable[[bytes], Any]:
    def decode(data: bytes) -> int:
        if not 0 < len(data) <= WORD:
            raise MalformedError(f"{name} answered {len(data)} bytes instead of a word")
        return int.from_bytes(data.rjust(WORD, b"\0"), "big", signed=signed)

    return decode
