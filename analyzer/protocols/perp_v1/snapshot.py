"""A deployment's rows at one block."""

from typing import Final

from analyzer.protocol import Deployment, Probe, Snapshot, SnapshotRequest
from analyzer.protocols.evidence import NOT_READ, not_read
from analyzer.protocols.perp_v1.deployments import NAME
from analyzer.protocols.perp_v1.holdings import holdings, logged
from analyzer.protocols.perp_v1.market_rows import market_rows
from analyzer.protocols.perp_v1.named import amms_in_doubt, positions_in_doubt, positions_of
from analyzer.protocols.perp_v1.position_rows import position_rows
from analyzer.protocols.perp_v1.reading import read_config, read_markets, read_rest
from analyzer.protocols.perp_v1.replay import LIQUIDATOR
from analyzer.protocols.perp_v1.totals import amm_totals
from analyzer.reads import Failed, Reads
from analyzer.rows import At, Row

PRICE_BASIS: Final = "vAMM reserves and 15-minute TWAP, oracle over the spread limit, at the block"


def snapshot(deployment: Deployment, _: Probe, request: SnapshotRequest) -> Reads[Snapshot]:
    """Tokens, AMMs, prices, funding, and every position of the request's scope.

    Logs say which positions there may be, the ClearingHouse what is stored of them, and the AMMs'
    own totals whether that is all.
    """
    at = At(deployment.chain_id, NAME, deployment.name, request.block.number)
    known = logged(request)
    amms_of_logs = {amm for amm, _ in known} | amms_in_doubt(request)
    config_values, amms = yield from read_config(deployment, amms_of_logs)
    markets = yield from read_markets(deployment, amms)
    asked = positions_of(request.accounts, markets)
    doubtful = set(positions_in_doubt(deployment, request, markets))
    doubtful |= asked if request.source != "logs" else set()
    wanted = {*known, *asked, *doubtful}
    got = yield from read_rest(deployment, request.block, config_values, markets, wanted)
    held, complaints = holdings(at, request, got, known, doubtful)
    listed = config_values["getAllAmms"]
    if isinstance(listed, Failed):
        complaints.append(not_read(at, "amms", listed.reason))
    if request.state is None and not request.accounts:
        reason = "positions are found through logs: read those, or name accounts"
        complaints.append(not_read(at, "all", reason))
    complete = not any(complaint.kind == NOT_READ for complaint in complaints)
    totals = [] if request.accounts else amm_totals(at, got, held, known)
    whole = {one.subject for one in totals if one.is_balanced} if complete else set()
    rows: list[Row] = [*market_rows(at, got, held, whole), *complaints, *totals]
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
