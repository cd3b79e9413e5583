"""Which rows are a deployment's: the condition, by place or by name, and its values."""

from typing import Any, Final

from analyzer.protocol import Deployment

MINE: Final = "chain_id = ? and protocol = ? and deployment = ?"
NAMED: Final = "chain_id = $chain_id and protocol = $protocol and deployment = $deployment"


def key(deployment: Deployment) -> list[Any]:
    """The values of ``MINE``."""
    return [deployment.chain_id, deployment.protocol, deployment.name]


def named(deployment: Deployment) -> dict[str, Any]:
    """The values of ``NAMED``."""
    return {
        "chain_id": deployment.chain_id,
        "protocol": deployment.protocol,
        "deployment": deployment.name,
    }
