"""Which positions there are at a snapshot, and from where: the logs, the chain, or both.

What the logs leave open, and what the chain's own sum of premiums contradicts, is read from the
chain instead.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from analyzer.protocol import SnapshotRequest
from analyzer.protocols.perp_v1.clearing_house import Position
from analyzer.protocols.perp_v1.contracts import position_id
from analyzer.protocols.perp_v1.reading import FRACTION, Market, Readings, Wanted
from analyzer.reads import Failed
from analyzer.rows import At, DataQuality, QualityKind

FIELDS: Final = (
    "size", "margin", "openNotional", "lastUpdatedCumulativePremiumFraction",
    "liquidityHistoryIndex", "blockNumber",
)  # fmt: skip
Key = tuple[str, str]
"""AMM and account."""
Logged = Mapping[Key, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Held:
    """An open position; where it could not be read there is a reason, and the size of the logs."""

    amm: str
    account: str
    size: int
    position: Position | None
    reason: str = ""


def logged(request: SnapshotRequest) -> Logged:
    """What the logs left behind of the positions in the request's scope."""
    found: dict[Key, Mapping[str, Any]] = {}
    for key, held in (request.state or {}).items():
        if "openNotional" in held:
            account = key.partition(":")[0]
            if not request.accounts or account in request.accounts:
                found[held["amm"], account] = held
    return found


def wanted(request: SnapshotRequest, markets: Mapping[str, Market], known: Logged) -> Wanted:
    """What has to be read from the chain."""
    if request.source != "logs":
        return Wanted(request.accounts, frozenset(known))
    return Wanted(
        positions=frozenset(key for key in known if not _is_exact(request, markets, known, key))
    )


def holdings(
    at: At, request: SnapshotRequest, got: Readings, known: Logged
) -> tuple[list[Held], list[DataQuality]]:
    """Every open position of the scope, and what there is to complain about."""
    held: list[Held] = []
    complaints = list(_contradictions(at, request, got))
    for key in sorted({*known, *got.positions}):
        amm, account = key
        answer = got.positions.get(key)
        size = known[key]["size"] if key in known else 0
        if isinstance(answer, Failed):
            if key not in known:
                subject = position_id(account, amm)
                complaints.append(_complaint(at, "positions_not_read", subject, answer.reason))
            elif size != 0:
                held.append(Held(amm, account, size, None, answer.reason))
            continue
        fields = dict(zip(FIELDS, answer, strict=True)) if answer else known[key]
        if request.source == "both" and _is_exact(request, got.markets, known, key):
            complaints += _differences(at, key, fields, known.get(key))
        if fields["size"] != 0:
            held.append(Held(amm, account, fields["size"], position_of(fields)))
    return held, complaints


def position_of(fields: Mapping[str, Any]) -> Position:
    """A position from the contract's field names."""
    return Position(
        size=fields["size"],
        margin=fields["margin"],
        open_notional=fields["openNotional"],
        last_updated_cumulative_premium_fraction=fields["lastUpdatedCumulativePremiumFraction"],
        liquidity_history_index=fields["liquidityHistoryIndex"],
        block_number=fields["blockNumber"],
    )


def _is_exact(
    request: SnapshotRequest, markets: Mapping[str, Market], known: Logged, key: Key
) -> bool:
    """Whether the logs say everything, and the chain nothing else."""
    if key not in known:
        return True
    fields, market = known[key], markets[key[0]]
    curves = market.get("getLiquidityHistoryLength")
    is_on_curve = curves is None or fields["liquidityHistoryIndex"] == curves - 1
    complete = all(fields[name] is not None for name in FIELDS)
    return complete and (fields["size"] == 0 or (is_on_curve and _agrees(request, market)))


def _agrees(request: SnapshotRequest, market: Market) -> bool:
    """Whether the premiums rebuilt from logs sum up to the chain's."""
    history = (request.state or {}).get(market.address)
    if history is None:
        return False
    on_chain = market.get(FRACTION)
    return on_chain is None or history["cumulativePremiumFraction"] == on_chain


def _contradictions(at: At, request: SnapshotRequest, got: Readings) -> Iterator[DataQuality]:
    if request.state is None or request.source == "state":
        return
    for market in got.markets.values():
        if not _agrees(request, market):
            detail = (
                "the funding in the logs does not sum up to the chain's "
                f"{market.get(FRACTION)}: positions are read from the chain; check the options "
                "funding_period, spot_price_twap_interval and amms"
            )
            yield _complaint(at, "funding_not_from_logs", market.address, detail)


def _differences(
    at: At, key: Key, read: Mapping[str, Any], logs: Mapping[str, Any] | None
) -> Iterator[DataQuality]:
    """Where the logs and ``getPosition`` do not say the same of an open position."""
    if logs is None and read["size"] == 0:
        return
    differing = [name for name in FIELDS if logs is None or read[name] != logs[name]]
    if differing and not (logs is not None and logs["size"] == read["size"] == 0):
        said = ", ".join(f"{n} {logs[n] if logs else None} / {read[n]}" for n in differing)
        subject = position_id(key[1], key[0])
        yield _complaint(at, "position_difference", subject, f"logs / getPosition: {said}")


def _complaint(at: At, kind: QualityKind, subject: str, detail: str) -> DataQuality:
    return DataQuality(at=at, kind=kind, subject=subject, detail=detail)
