"""The contracts of a GMX v1 deployment and the identity of its positions."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from eth_hash.auto import keccak

from analyzer.abi import Contract, load_abi
from analyzer.protocol import Deployment
from analyzer.protocols.gmx_v1.deployments import NAME, VAULT
from analyzer.reads import Failed, Read

MOST_TOKENS: Final = 512
"""A vault that claims more tokens than this is not taken at its word."""


@dataclass(frozen=True, slots=True, order=True)
class Identity:
    """Whose position it is, in what, on what: the four arguments of ``Vault.getPositionKey``."""

    account: str
    collateral_token: str
    index_token: str
    is_long: bool

    def key(self) -> str:
        """``Vault.getPositionKey``."""
        packed = bytes.fromhex(
            self.account[2:] + self.collateral_token[2:] + self.index_token[2:]
        ) + bytes([self.is_long])
        return "0x" + keccak(packed).hex()

    def arguments(self) -> tuple[str, str, str, bool]:
        """The arguments of the Vault's functions on a position."""
        return (self.account, self.collateral_token, self.index_token, self.is_long)


def fields_of(identity: Identity) -> dict[str, Any]:
    """An identity under the contract's names, as rows and state hold it."""
    return {
        "account": identity.account,
        "collateralToken": identity.collateral_token,
        "indexToken": identity.index_token,
        "isLong": identity.is_long,
    }


def identity_of(held: Mapping[str, Any]) -> Identity:
    """The identity that rows or state hold."""
    return Identity(
        held["account"], held["collateralToken"], held["indexToken"], bool(held["isLong"])
    )


def vault_of(deployment: Deployment) -> Contract:
    """The deployment's Vault."""
    return contract("Vault", deployment.contracts[VAULT])


def contract(name: str, address: str) -> Contract:
    """A contract of the protocol at an address."""
    return load_abi(NAME, name).at(address)


def optional_read(of: Contract, function: str) -> Read:
    """A read of a function that may not be there: no data at all is ``None``, not malformed."""
    read = of.read(function)
    return Read(read.name, read.request, lambda data: read.decode(data) if data else None)


def reverted(value: Any) -> bool:
    """Whether a read was answered with a revert."""
    return isinstance(value, Failed) and value.reverted
