"""A deployment's rows at one block."""

from collections.abc import Iterable, Mapping
from typing import Any

from analyzer.evm import ZERO_ADDRESS
from analyzer.protocol import Deployment, Probe, Snapshot, SnapshotRequest
from analyzer.protocols.evidence import readable
from analyzer.protocols.gmx_v2.assess import Assessor
from analyzer.protocols.gmx_v2.datastore import NAME
from analyzer.protocols.gmx_v2.keys import position_key
from analyzer.protocols.gmx_v2.market_rows import (
    funding_rows,
    market_row,
    price_rows,
    token_rows,
)
from analyzer.protocols.gmx_v2.position import Held
from analyzer.protocols.gmx_v2.position_rows import position_rows
from analyzer.protocols.gmx_v2.price_doubts import PRICE_STATE, USED_PRICE
from analyzer.protocols.gmx_v2.price_facts import basis_text
from analyzer.protocols.gmx_v2.prices import EXECUTED, TokenPrices, token_prices
from analyzer.protocols.gmx_v2.reading import read_state
from analyzer.protocols.gmx_v2.readings import Readings
from analyzer.protocols.gmx_v2.releases import release_named
from analyzer.protocols.gmx_v2.totals import position_totals
from analyzer.protocols.gmx_v2.words import POSITION_FIELDS
from analyzer.reads import Failed, Reads
from analyzer.rows import At, DataQuality, Row


def snapshot(deployment: Deployment, found: Probe, request: SnapshotRequest) -> Reads[Snapshot]:
    """Tokens, markets, prices, funding, and every position of the request's scope."""
    at = At(deployment.chain_id, NAME, deployment.name, request.block.number)
    got = yield from read_state(
        deployment, release_named(found.release), request.block, request.accounts
    )
    held = _from_state(got)
    complaints: list[DataQuality] = []
    if request.source != "state":
        complaints = _differences(at, _from_logs(request), {one.key: one for one in held})
    prices = token_prices(got, request.state, request.prices, request.price_basis)
    assessor = Assessor(got, prices)
    totals = [] if request.accounts else position_totals(at, got, held, prices)
    complaints += _gaps(at, prices)
    rows: list[Row] = [*complaints, *totals, *_market_rows(at, got, assessor, held)]
    for one in held:
        rows += position_rows(at, assessor, one)
    used = _used_tokens(got, held)
    basis = basis_text(request.price_basis, prices, used, request.block.time)
    quotes = [prices[token].used for token in used if token in prices]
    is_priced = not any(quote and isinstance(quote.price, Failed) for quote in quotes)
    is_found = request.source == "state" or request.state is not None
    return Snapshot(rows, basis, is_found and is_priced)


def _from_logs(request: SnapshotRequest) -> dict[str, Held]:
    """The open positions that the logs left behind, within the scope."""
    return {
        key: Held(key, after, after.get("unknown"))
        for key, after in readable(request.state)
        if not key.startswith((PRICE_STATE, USED_PRICE))
        and (not request.accounts or after["account"] in request.accounts)
    }


def _from_state(got: Readings) -> list[Held]:
    """What the DataStore holds under the keys of its position lists."""
    held: list[Held] = []
    for key in got.position_keys:
        values = {
            name: got.values[("position", key, name)]
            for name in POSITION_FIELDS
            if ("position", key, name) in got.values
        }
        failed = next((v.reason for v in values.values() if isinstance(v, Failed)), None)
        fields = {name: v for name, v in values.items() if not isinstance(v, Failed)}
        if "isLong" in fields:
            fields["isLong"] = bool(fields["isLong"])
        held.append(Held(key, fields, failed or _wrong_key(key, fields)))
    return held


def _wrong_key(key: str, fields: Mapping[str, Any]) -> str | None:
    own = (fields["account"], fields["market"], fields["collateralToken"], fields["isLong"])
    if f"0x{position_key(*own).hex()}" == key:
        return None
    return f"{key} is not the key of the position that the DataStore keeps under it"


def _differences(at: At, logged: Mapping[str, Held], read: Mapping[str, Held]) -> list[DataQuality]:
    """Where the logs and the DataStore do not say the same of a position."""
    found: list[DataQuality] = []
    for key in sorted(logged.keys() | read.keys()):
        ours, theirs = _struct(logged.get(key)), _struct(read.get(key))
        if ours != theirs:
            names = sorted(
                name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name)
            )
            detail = ", ".join(
                f"{name}: logs {ours.get(name)}, DataStore {theirs.get(name)}" for name in names
            )
            found.append(DataQuality(at=at, kind="position_difference", subject=key, detail=detail))
    return found


def _gaps(at: At, prices: Mapping[str, TokenPrices]) -> list[DataQuality]:
    """Tokens whose newest executed price is not in the logs."""
    quotes = {token: known.by(EXECUTED) for token, known in prices.items()}
    return [
        DataQuality(at=at, kind="gap_in_logs", subject=token, detail=quote.price.reason)
        for token, quote in quotes.items()
        if quote is not None and isinstance(quote.price, Failed)
    ]


def _struct(held: Held | None) -> dict[str, Any]:
    if held is None:
        return {}
    return {name: held.fields[name] for name in POSITION_FIELDS if name in held.fields}


def _market_rows(at: At, got: Readings, assessor: Assessor, held: Iterable[Held]) -> Iterable[Row]:
    yield from token_rows(at, got, assessor.prices)
    for market, props in got.markets.items():
        yield market_row(at, got, market, assessor)
        if props.index_token != ZERO_ADDRESS:
            yield from funding_rows(at, got, market, assessor)
    yield from price_rows(at, got, assessor.prices, _used_tokens(got, held))


def _used_tokens(got: Readings, held: Iterable[Held]) -> set[str]:
    markets = {one.fields.get("market") for one in held}
    return {
        token
        for market, props in got.markets.items()
        if market in markets
        for token in (props.index_token, props.long_token, props.short_token)
    }
