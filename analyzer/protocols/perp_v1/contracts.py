"""The contracts of a deployment, and the identity of its positions."""

from typing import Any, Final

from analyzer.abi import Contract, load_abi
from analyzer.protocol import Deployment
from analyzer.protocols.perp_v1.deployments import CLEARING_HOUSE, INSURANCE_FUND, NAME
from analyzer.reads import Read

MOST_AMMS: Final = 512
"""An insurance fund that claims more AMMs than this is not taken at its word."""


def contract(name: str, address: str) -> Contract:
    """A contract of the protocol at an address."""
    return load_abi(NAME, name).at(address)


def clearing_house(deployment: Deployment) -> Contract:
    """The deployment's ClearingHouse."""
    return contract("ClearingHouse", deployment.contracts[CLEARING_HOUSE])


def insurance_fund(deployment: Deployment) -> Contract:
    """The deployment's InsuranceFund."""
    return contract("InsuranceFund", deployment.contracts[INSURANCE_FUND])


def position_id(account: str, amm: str) -> str:
    """The id of a position and of its isolated margin."""
    return f"{account}:{amm}"


def plain(value: Any) -> Any:
    """A value without the structs of one field in which the contracts wrap their decimals."""
    if isinstance(value, tuple) and len(value) == 1:
        return plain(value[0])
    return tuple(plain(item) for item in value) if isinstance(value, tuple) else value


def read(
    of: Contract,
    function: str,
    *arguments: Any,
    sender: str | None = None,
    is_optional: bool = False,
) -> Read:
    """A read whose decimals come out as integers; ``is_optional``: see ``Call``."""
    made = of.read(function, *arguments, sender=sender, is_optional=is_optional)
    return Read(made.name, made.request, lambda data: plain(made.decode(data)))
