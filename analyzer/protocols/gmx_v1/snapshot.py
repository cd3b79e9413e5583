"""A deployment's rows at one block."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final

from analyzer.protocol import Deployment, Probe, Snapshot, SnapshotRequest
from analyzer.protocols.evidence import NOT_READ, not_read, readable, unreadable_logs
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
from analyzer.protocols.gmx_v1.risk import Position
from analyzer.protocols.gmx_v1.totals import vault_totals
from analyzer.reads import Failed, Reads
from analyzer.rows import At, DataQuality, Row

PRICE_BASIS: Final = "VaultPriceFeed.getPrice without AMM price, at the block"


def snapshot(deployment: Deployment, found: Probe, request: SnapshotRequest) -> Reads[Snapshot]:
    """Tokens, markets, prices, funding, and every position of the request's scope.

    Logs say which positions there may be, the Vault what is stored of them, and its own totals
    whether that is all.
    """
    at = At(deployment.chain_id, NAME, deployment.name, request.block.number)
    logged = _logged(request)
    got = yield from read_state(
        deployment,
        variants(found),
        request.block,
        logged,
        list(unreadable_logs(request.state)),
        () if request.source == "logs" else request.accounts,
    )
    held, complaints = _answered(at, got, logged, with_logs=request.state is not None)
    complaints += _missing(at, got, request)
    totals = [] if request.accounts else vault_totals(at, got, held)
    rows: list[Row] = [*complaints, *totals, *_market_rows(at, got, request, held)]
    assessor = Assessor(got)
    for one in held:
        rows += position_rows(at, assessor, one)
    return Snapshot(rows, PRICE_BASIS, not any(one.kind == NOT_READ for one in complaints))


def _logged(request: SnapshotRequest) -> dict[Identity, Held]:
    """What the logs left behind, of the accounts that are asked for."""
    held = (logged_position(after) for _, after in readable(request.state))
    return {
        one.identity: one
        for one in held
        if not request.accounts or one.identity.account in request.accounts
    }


def _missing(at: At, got: Readings, request: SnapshotRequest) -> list[DataQuality]:
    """Why positions of the scope may not have been found."""
    if request.state is None and (request.source != "state" or not request.accounts):
        return [
            not_read(at, "all", "positions are found through logs: read those, or name accounts")
        ]
    if not request.accounts or request.source == "logs":
        return []
    return [
        not_read(at, f"{name} {argument}", answer.reason)
        for name in ("allWhitelistedTokensLength", "allWhitelistedTokens", "stableTokens")
        for argument, answer in got.answers("Vault", name)
        if isinstance(answer, Failed)
    ]


def _answered(
    at: At, got: Readings, logged: Mapping[Identity, Held], *, with_logs: bool
) -> tuple[list[Held], list[DataQuality]]:
    """What ``getPosition`` answered, and where the logs say otherwise: the Vault is right.

    A position of the logs that it did not answer is unknown.
    """
    held: list[Held] = []
    complaints: list[DataQuality] = []
    for identity, answer in got.answers("Vault", "getPosition"):
        if not isinstance(answer, Failed):
            struct = stored_position(answer)
            held += [] if struct is None else [Held(identity, struct)]
            if with_logs:
                complaints += _difference(at, identity, logged.get(identity), struct)
        elif identity in logged:
            held.append(Held(identity, None, answer.reason))
        else:
            complaints.append(not_read(at, identity.key(), answer.reason))
    return held, complaints


def _difference(
    at: At, identity: Identity, logged: Held | None, read: Position | None
) -> list[DataQuality]:
    """Where the logs and ``getPosition`` do not say the same of a position."""
    from_logs = logged.struct if logged else None
    if read == from_logs and (logged is None) == (read is None):
        return []
    ours, theirs = struct_fields(from_logs), struct_fields(read)
    detail = "; ".join(
        f"{name}: logs {ours[name]}, getPosition {theirs[name]}"
        for name in ours
        if ours[name] != theirs[name]
    )
    return [DataQuality(at=at, kind="position_difference", subject=identity.key(), detail=detail)]


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
