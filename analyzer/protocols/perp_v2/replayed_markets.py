"""The registries: markets and collateral tokens have no getter that lists them."""

from collections.abc import Mapping
from typing import Any

from analyzer.evm import Log
from analyzer.protocols.perp_v2.ledger import collateral_key, market_key
from analyzer.protocols.perp_v2.replayed import Replayed


def pool_added(replayed: Replayed, log: Log, event: Mapping[str, Any]) -> None:
    """``MarketRegistry.PoolAdded``: a market and its pool."""
    base_token = event["baseToken"].lower()
    after = {"pool": event["pool"].lower()}
    replayed.emit(log, "market_added", market_key(base_token), after, market=base_token)


def collateral_added(replayed: Replayed, log: Log, event: Mapping[str, Any]) -> None:
    """``CollateralManager.CollateralAdded``: a token that counts as margin."""
    token = event["token"].lower()
    after = {"priceFeed": event["priceFeed"].lower()}
    key = collateral_key(token)
    replayed.emit(log, "collateral_added", key, after, collateral_token=token)
