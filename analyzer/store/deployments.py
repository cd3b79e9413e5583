"""The resolved configuration of every deployment that was ever indexed: raw, and so kept."""

import json
from typing import Any

from duckdb import DuckDBPyConnection

from analyzer.protocol import Deployment
from analyzer.store.keys import MINE, key


def remember(connection: DuckDBPyConnection, deployment: Deployment) -> None:
    """Keep a deployment's configuration, in place of an earlier one of the same name."""
    connection.execute(f"delete from raw_deployments where {MINE}", key(deployment))
    config = {
        "start_block": deployment.start_block,
        "contracts": dict(deployment.contracts),
        "options": dict(deployment.options),
        "official": deployment.official,
        "verified": deployment.verified,
    }
    connection.execute(
        "insert into raw_deployments values (?, ?, ?, ?)", [*key(deployment), json.dumps(config)]
    )


def remembered(connection: DuckDBPyConnection) -> list[Deployment]:
    """Every deployment in the database, in a stable order."""
    rows = connection.execute(
        "select chain_id, protocol, deployment, config from raw_deployments"
        " order by chain_id, protocol, deployment"
    ).fetchall()
    return [_deployment(*row) for row in rows]


def _deployment(chain_id: int, protocol: str, name: str, config: str) -> Deployment:
    stored: dict[str, Any] = json.loads(config)
    return Deployment(protocol=protocol, name=name, chain_id=chain_id, **stored)
