"""Which positions there are at a snapshot: the logs name them, the chain says what they hold.

``ClearingHouse.getPosition`` is right wherever it was read. The logs are compared with it, and a
position that they know but that was not read is unknown.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from analyzer.protocol import SnapshotRequest
from analyzer.protocols.evidence import not_read, readable
from analyzer.protocols.perp_v1.clearing_house import Position
from analyzer.protocols.perp_v1.contracts import position_id
from analyzer.protocols.perp_v1.reading import FRACTION, Key, Market, Readings
from analyzer.protocols.perp_v1.replay import NOTHING
from analyzer.reads import Failed
from analyzer.rows import At, DataQuality

FIELDS: Final = (
    "size", "margin", "openNotional", "lastUpdatedCumulativePremiumFraction",
    "liquidityHistoryIndex", "blockNumber",
)  # fmt: skip
Logged = Mapping[Key, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Held:
    """An open position; where it could not be read there is a reason.

    Of its ``size``, which is then that of the logs, no more is to be believed than the side.
    """

    amm: str
    account: str
    size: int
    position: Position | None
    reason: str = ""


def logged(request: SnapshotRequest) -> Logged:
    """What the logs left behind of the positions in the request's scope, settled ones included."""
    found: dict[Key, Mapping[str, Any]] = {}
    for key, held in readable(request.state):
        if "openNotional" in held:
            account = key.partition(":")[0]
            if not request.accounts or account in request.accounts:
                found[held["amm"], account] = held
    return found


def holdings(
    at: At, request: SnapshotRequest, got: Readings, known: Logged, doubtful: Iterable[Key]
) -> tuple[list[Held], list[DataQuality]]:
    """Every open position of the scope, and what there is to complain about.

    ``doubtful`` are those of which the logs do not say whether they exist: one that was not read
    may be missing.
    """
    held: list[Held] = []
    complaints = list(_contradictions(at, request, got))
    in_doubt = set(doubtful)
    for key, answer in sorted(got.positions.items()):
        amm, account = key
        logs = known.get(key)
        if not isinstance(answer, Failed):
            stored = dict(zip(FIELDS, answer, strict=True))
            if stored["size"] != 0:
                held.append(Held(amm, account, stored["size"], position_of(stored)))
            if request.state is not None:
                complaints += _difference(at, request, key, got.markets[amm], stored, logs)
        elif logs is not None and logs["size"] != 0:
            held.append(Held(amm, account, logs["size"], None, answer.reason))
        elif key in in_doubt:
            complaints.append(not_read(at, position_id(account, amm), answer.reason))
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


def _contradictions(at: At, request: SnapshotRequest, got: Readings) -> Iterator[DataQuality]:
    """AMMs whose funding in the logs is not the chain's: no position rests on it, its rows do."""
    for market in got.markets.values() if request.state is not None else ():
        if not _agrees(request, market):
            detail = (
                f"the funding in the logs does not sum up to the chain's {market.get(FRACTION)}: "
                "positions rest on the chain's, but the premiums in position_events and funding "
                "are not right; check the options funding_period, spot_price_twap_interval and amms"
            )
            yield DataQuality(
                at=at, kind="funding_not_from_logs", subject=market.address, detail=detail
            )


def _agrees(request: SnapshotRequest, market: Market) -> bool:
    """Whether the premiums rebuilt from logs sum up to the chain's."""
    history = (request.state or {}).get(market.address)
    if history is None:
        return False
    on_chain = market.get(FRACTION)
    return on_chain is None or history["cumulativePremiumFraction"] == on_chain


def _difference(
    at: At,
    request: SnapshotRequest,
    key: Key,
    market: Market,
    stored: Mapping[str, Any],
    logs: Mapping[str, Any] | None,
) -> Iterator[DataQuality]:
    """Where the logs and ``getPosition`` do not say the same of a position.

    What the logs leave open is not compared, nor what they cannot say of a position: a premium
    where those of its AMM do not sum up, its size while it has not been moved to the newest curve,
    as ``getPosition`` already has it, and the block in which one that is gone came to its end.
    """
    ours = NOTHING if logs is None else logs
    left_out = {name for name in FIELDS if ours[name] is None}
    if not _agrees(request, market):
        left_out.add("lastUpdatedCumulativePremiumFraction")
    curves = market.get("getLiquidityHistoryLength")
    if curves is not None and ours["liquidityHistoryIndex"] != curves - 1:
        left_out |= {"size", "liquidityHistoryIndex"} if ours["size"] else {"liquidityHistoryIndex"}
    if stored["size"] == 0:
        left_out.add("blockNumber")
    differing = [n for n in FIELDS if n not in left_out and ours[n] != stored[n]]
    if differing:
        detail = "; ".join(f"{n}: logs {ours[n]}, getPosition {stored[n]}" for n in differing)
        subject = position_id(key[1], key[0])
        yield DataQuality(at=at, kind="position_difference", subject=subject, detail=detail)
