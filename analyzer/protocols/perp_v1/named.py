"""Which positions may exist besides those that the logs could be read to name."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from analyzer.protocol import Deployment, SnapshotRequest
from analyzer.protocols.evidence import UnreadableLog, unreadable_logs
from analyzer.protocols.perp_v1.reading import Key, Market

TELLING: Final = frozenset(
    {"PositionChanged", "MarginChanged", "PositionAdjusted", "PositionSettled"}
)
"""What the ClearingHouse emits with every change of a position: where one of these cannot be read,
the position that it names may be another. ``PositionLiquidated`` comes beside one of them."""


def amms_in_doubt(request: SnapshotRequest) -> set[str]:
    """The AMMs that logs which could not be read name, known as such by their own logs."""
    state = request.state or {}
    return {
        address
        for log in _unreadable(request)
        for address in log.addresses
        if "fundings" in state.get(address, {})
    }


def positions_in_doubt(
    deployment: Deployment, request: SnapshotRequest, markets: Mapping[str, Market]
) -> Iterator[Key]:
    """The positions that logs which could not be read may have been about.

    A log that names no AMM may have been about any; its other addresses may be the trader's, but
    for those of the deployment's contracts and of its AMMs' tokens and price feeds.
    """
    others = {address.lower() for address in deployment.contracts.values()}
    for market in markets.values():
        others |= {market.address, market.get("quoteAsset"), market.get("priceFeed")}
    for log in _unreadable(request):
        amms = markets.keys() & set(log.addresses) or markets.keys()
        traders = (address for address in log.addresses if address not in others)
        yield from (
            (amm, trader)
            for trader in traders
            for amm in amms
            if not request.accounts or trader in request.accounts
        )


def positions_of(accounts: Iterable[str], markets: Iterable[str]) -> set[Key]:
    """Every position that accounts can have."""
    return {(amm, account) for amm in markets for account in accounts}


def _unreadable(request: SnapshotRequest) -> Iterator[UnreadableLog]:
    return (log for log in unreadable_logs(request.state) if log.event in TELLING)
