"""A state snapshot: readings to rows."""

from typing import Final

from analyzer.protocol import Deployment, Probe, Snapshot, SnapshotRequest
from analyzer.protocols.evidence import NOT_READ, not_read
from analyzer.protocols.perp_v2.account_rows import account_rows, insurance_fund_row
from analyzer.protocols.perp_v2.contracts import PROTOCOL_NAME
from analyzer.protocols.perp_v2.market_rows import collateral_rows, market_rows
from analyzer.protocols.perp_v2.reading import read_snapshot
from analyzer.protocols.perp_v2.totals import ledger_totals
from analyzer.reads import Reads
from analyzer.rows import At, DataQuality, Positions, Row

PRICE_BASIS: Final = "contract reference price (mark, or the price of a paused or closed market)"


def snapshot(deployment: Deployment, found: Probe, request: SnapshotRequest) -> Reads[Snapshot]:
    """All rows at a block. Never asks a contract for an account's value or verdict."""
    got = yield from read_snapshot(deployment, found, request)
    at = At(deployment.chain_id, PROTOCOL_NAME, deployment.name, request.block.number)
    rows: list[Row] = []
    for trader in sorted(got.accounts):
        rows += account_rows(at, got, trader)
    if request.state is not None:
        rows.append(insurance_fund_row(at, got, deployment.contracts["InsuranceFund"]))
    positions = [row for row in rows if isinstance(row, Positions)]
    is_whole = not request.accounts
    for base_token in sorted(got.system.markets):
        interest = _open_interest(base_token, positions) if is_whole else None
        rows += market_rows(at, got, base_token, interest, request.block.time)
    rows += collateral_rows(at, got, request.block.time)
    complaints = [
        DataQuality(at=at, kind=kind, subject=trader, detail=detail)
        for kind, trader, detail in got.complaints
    ]
    if is_whole:
        rows += ledger_totals(at, got)
        if not got.system.markets:
            complaints.append(not_read(at, "markets", "no log names a market: read all logs"))
    is_complete = not any(one.kind == NOT_READ for one in complaints)
    return Snapshot([*rows, *complaints], PRICE_BASIS, is_complete)


def _open_interest(base_token: str, positions: list[Positions]) -> dict[str, int] | None:
    """The value of all longs and of all shorts; none where any of them is not known."""
    interest = {"long": 0, "short": 0, "flat": 0}
    for position in positions:
        if position.market == base_token:
            if position.size_usd is None or position.side not in interest:
                return None
            interest[position.side] += position.size_usd
    return interest
