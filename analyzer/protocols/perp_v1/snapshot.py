"""A deployment's rows at one block."""

from typing import Final

from analyzer.protocol import Deployment, Probe, Snapshot, SnapshotRequest
from analyzer.protocols.perp_v1.deployments import NAME
from analyzer.protocols.perp_v1.holdings import holdings, logged, wanted
from analyzer.protocols.perp_v1.market_rows import market_rows
from analyzer.protocols.perp_v1.position_rows import position_rows
from analyzer.protocols.perp_v1.reading import read_config, read_markets, read_rest
from analyzer.protocols.perp_v1.replay import LIQUIDATOR
from analyzer.reads import Failed, Reads
from analyzer.rows import At, DataQuality, Row

PRICE_BASIS: Final = "vAMM reserves and 15-minute TWAP, oracle over the spread limit, at the block"
NOT_READ: Final = "positions are found through logs: read those, or name accounts"


def snapshot(deployment: Deployment, _: Probe, request: SnapshotRequest) -> Reads[Snapshot]:
    """Tokens, AMMs, prices, funding, and every position of the request's scope."""
    at = At(deployment.chain_id, NAME, deployment.name, request.block.number)
    known = logged(request)
    config_values, amms = yield from read_config(deployment, {amm for amm, _ in known})
    markets = yield from read_markets(deployment, amms)
    want = wanted(request, markets, known)
    got = yield from read_rest(deployment, request.block, config_values, markets, want)
    held, complaints = holdings(at, request, got, known)
    listed = config_values["getAllAmms"]
    if isinstance(listed, Failed):
        complaints.append(_not_read(at, "amms", listed.reason))
    if request.state is None and not request.accounts:
        complaints.append(_not_read(at, "", NOT_READ))
    complete = not any(complaint.kind == "positions_not_read" for complaint in complaints)
    is_everything = complete and request.state is not None and not request.accounts
    of_markets = market_rows(at, got, held, is_everything=is_everything)
    rows: list[Row] = [*of_markets, *complaints]
    liquidator = _liquidator(deployment, request)
    for one in held:
        is_listed = isinstance(listed, Failed) or one.amm in listed
        rows += position_rows(at, got, one, liquidator, is_listed=is_listed)
    return Snapshot(rows, PRICE_BASIS, complete)


def _liquidator(deployment: Deployment, request: SnapshotRequest) -> str | None:
    """Whom ``verify`` lets liquidate: the option's account, or the last one seen in logs."""
    if "liquidator" in deployment.options:
        return str(deployment.options["liquidator"]).lower()
    seen = (request.state or {}).get(LIQUIDATOR)
    return None if seen is None else str(seen["liquidator"])


def _not_read(at: At, subject: str, reason: str) -> DataQuality:
    return DataQuality(at=at, kind="positions_not_read", subject=subject, detail=reason)
