"""A deployment's rows at one block."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final

from analyzer.protocol import Deployment, Probe, Snapshot, SnapshotRequest
from analyzer.protocols.gmx_v1.assess import Assessor
from analyzer.protocols.gmx_v1.contracts import Identity
from analyzer.protocols.gmx_v1.deployments import NAME
from analyzer.protocols.gmx_v1.held import Held, logged_position, stored_position, struct_fields
from analyzer.protocols.gmx_v1.market_rows import (
    funding_rows,
    market_row,
    price_rows,
    token_row,
)
from analyzer.protocols.gmx_v1.position_rows import position_rows
from analyzer.protocols.gmx_v1.probe import variants
from analyzer.protocols.gmx_v1.reading import Readings, read_state
from analyzer.reads import Failed, Reads
from analyzer.rows import At, DataQuality, Row

PRICE_BASIS: Final = "VaultPriceFeed.getPrice without AMM price, at the block"


NOT_READ: Final = "positions_not_read"


def snapshot(deployment: Deployment, found: Probe, request: SnapshotRequest) -> Reads[Snapshot]:
    """Tokens, markets, prices, funding, and every position of the request's scope."""
    at = At(deployment.chain_id, NAME, deployment.name, request.block.number)
    logged = _logged(request)
    got = yield from read_state(
        deployment,
        variants(found),
        request.block,
        logged,
        request.accounts,
        positions=request.source != "logs",
    )
    held, complaints = list(logged.values()), list[DataQuality]()
    if request.source != "logs":
        held, complaints = _answered(at, got, logged)
    if request.source == "both":
        complaints += _differences(at, got, logged)
    complaints += _missing(at, got, request)
    rows: list[Row] = [*complaints, *_market_rows(at, got, request, held)]
    assessor = Assessor(got)
    for one in held:
        rows += position_rows(at, assessor, one)
    complete = not any(complaint.kind == NOT_READ for complaint in complaints)
    return Snapshot(rows, PRICE_BASIS, complete)


def _logged(request: SnapshotRequest) -> dict[Identity, Held]:
    """What the logs left behind, of the accounts that are asked for."""
    held = (logged_position(after) for after in (request.state or {}).values())
    return {
        one.identity: one
        for one in held
        if not request.accounts or one.identity.account in request.accounts
    }


def _missing(at: At, got: Readings, request: SnapshotRequest) -> list[DataQuality]:
    """Why positions of the scope may not have been found."""
    if request.state is None and (request.source != "state" or not request.accounts):
        how = "positions are found through logs: read those, or name accounts"
        return [DataQuality(at=at, kind=NOT_READ, subject="all", detail=how)]
    if not request.accounts or request.source == "logs":
        return []
    return [
        DataQuality(at=at, kind=NOT_READ, subject=f"{name} {argument}", detail=answer.reason)
        for name in ("allWhitelistedTokensLength", "allWhitelistedTokens", "stableTokens")
        for argument, answer in got.answers("Vault", name)
        if isinstance(answer, Failed)
    ]


def _answered(
    at: At, got: Readings, logged: Mapping[Identity, Held]
) -> tuple[list[Held], list[DataQuality]]:
    """What ``getPosition`` answered; a known position that it did not answer is unknown."""
    held: list[Held] = []
    complaints: list[DataQuality] = []
    for identity, answer in got.answers("Vault", "getPosition"):
        if not isinstance(answer, Failed):
            struct = stored_position(answer)
            held += [] if struct is None else [Held(identity, struct)]
        elif identity in logged:
            held.append(Held(identity, None, answer.reason))
        else:
            complaints.append(
                DataQuality(at=at, kind=NOT_READ, subject=identity.key(), detail=answer.reason)
            )
    return held, complaints


def _differences(at: At, got: Readings, logged: Mapping[Identity, Held]) -> list[DataQuality]:
    """Where the logs and ``getPosition`` do not say the same."""
    complaints: list[DataQuality] = []
    for identity, answer in got.answers("Vault", "getPosition"):
        if isinstance(answer, Failed):
            continue
        read = stored_position(answer)
        from_logs = logged[identity].struct if identity in logged else None
        if read != from_logs:
            ours, theirs = struct_fields(from_logs), struct_fields(read)
            detail = "; ".join(
                f"{name}: logs {ours[name]}, getPosition {theirs[name]}"
                for name in ours
                if ours[name] != theirs[name]
            )
            complaints.append(
                DataQuality(
                    at=at, kind="position_difference", subject=identity.key(), detail=detail
                )
            )
    return complaints


def _market_rows(
    at: At, got: Readings, request: SnapshotRequest, held: Iterable[Held]
) -> list[Row]:
    held = list(held)
    traded = {one.identity.index_token for one in held}
    markets = [
        token
        for token in got.tokens
        if token in traded or got.get("Vault", "stableTokens", token) is False
    ]
    everyone = request.state is not None and not request.accounts
    known = everyone and all(one.struct is not None for one in held)
    rows: list[Row] = [token_row(at, got, token) for token in got.tokens]
    rows += [market_row(at, got, token, _long_sizes(held) if known else None) for token in markets]
    for token in got.tokens:
        rows += price_rows(at, got, token, used=token in traded)
    return rows + funding_rows(at, got, markets)


def _long_sizes(held: Iterable[Held]) -> dict[str, int]:
    sizes: Counter[str] = Counter()
    for one in held:
        if one.identity.is_long and one.struct is not None:
            sizes[one.identity.index_token] += one.struct.size
    return dict(sizes)
