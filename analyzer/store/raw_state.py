"""Raw state reads: each distinct request and result once, each snapshot what it read.

A read is stored when its result changed since it was last read, so following a chain for weeks
stays small. ``sequence`` counts snapshots in the order in which they were taken; a read's result at
a snapshot is the newest one stored up to the snapshot's sequence.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pyarrow as pa
from duckdb import DuckDBPyConnection

from analyzer.evm import NOT_READ, Answer, Block, Request
from analyzer.protocol import FRESHEST, Deployment, PriceBasis, State
from analyzer.store import exact_json
from analyzer.store.database import first
from analyzer.store.interned import intern_calls, intern_results, request_key, result_key
from analyzer.store.keys import MINE, key
from analyzer.store.writing import insert


@dataclass(frozen=True, slots=True)
class RawSnapshot:
    """A stored snapshot: enough to take it again without a network."""

    sequence: int
    chain_id: int
    protocol: str
    deployment: str
    block: Block
    accounts: tuple[str, ...]
    source: str
    with_logs: bool
    prices: dict[str, int]
    price_basis: PriceBasis = FRESHEST
    recent: State | None = None
    """What logs of recent blocks left behind, where a snapshot without history looked for it."""


class Transcript:
    """Answers requests through another answerer and keeps what was asked and answered."""

    def __init__(self, answer: Callable[[Sequence[Request]], Sequence[Answer]]) -> None:
        self._answer = answer
        self.answers: dict[Request, Answer] = {}

    def __call__(self, requests: Sequence[Request]) -> list[Answer]:
        """Ask only what was not asked before: at one block an answer cannot change."""
        fresh = [request for request in dict.fromkeys(requests) if request not in self.answers]
        if fresh:
            self.answers.update(zip(fresh, self._answer(fresh), strict=True))
        return [self.answers[request] for request in requests]


def store_snapshot(
    connection: DuckDBPyConnection,
    deployment: Deployment,
    snapshot: RawSnapshot,
    answers: dict[Request, Answer],
    *,
    joins: bool = False,
) -> None:
    """Store what a snapshot read; call it inside the step's transaction.

    It takes the place of those of the same block, or of one that was asked the same if it joins
    them.
    """
    answers = {request: answer for request, answer in answers.items() if answer.read}
    call_ids = intern_calls(connection, snapshot.chain_id, answers)
    results = intern_results(connection, answers.values())
    before = _newest(connection, list(call_ids.values()), snapshot.sequence)
    changed = [
        (call_ids[request_key(request)], results[result_key(answer)])
        for request, answer in answers.items()
        if before.get(call_ids[request_key(request)]) != results[result_key(answer)]
    ]
    if changed:
        insert(
            connection,
            "raw_reads",
            pa.table(
                {
                    "call_id": pa.array([call for call, _ in changed], pa.int32()),
                    "sequence": pa.array([snapshot.sequence] * len(changed), pa.int64()),
                    "result_id": pa.array([result for _, result in changed], pa.int32()),
                }
            ),
        )
    if joins:
        _forget_same(connection, snapshot)
    else:
        forget_snapshot(connection, deployment, snapshot.block.number)
    connection.execute(
        "insert into raw_snapshots (sequence, chain_id, protocol, deployment, block_number,"
        " block_hash, parent_hash, block_time, accounts, source, with_logs, prices, price_basis,"
        " call_ids, recent) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            snapshot.sequence,
            snapshot.chain_id,
            snapshot.protocol,
            snapshot.deployment,
            snapshot.block.number,
            snapshot.block.hash,
            snapshot.block.parent_hash,
            snapshot.block.time,
            *_asked(snapshot),
            sorted(call_ids.values()),
            None if snapshot.recent is None else exact_json.dump(snapshot.recent),
        ],
    )


def next_sequence(connection: DuckDBPyConnection) -> int:
    """A sequence number that no stored read or snapshot has."""
    row = first(
        connection,
        "select greatest((select coalesce(max(sequence), 0) from raw_snapshots),"
        " (select coalesce(max(sequence), 0) from raw_reads)) + 1",
    )
    assert row is not None
    return int(row[0])


def forget_snapshot(connection: DuckDBPyConnection, deployment: Deployment, block: int) -> None:
    """Drop the snapshots of a block. Their reads stay: later snapshots may rest on them."""
    connection.execute(
        f"delete from raw_snapshots where {MINE} and block_number = ?",
        [*key(deployment), block],
    )


def _forget_same(connection: DuckDBPyConnection, snapshot: RawSnapshot) -> None:
    connection.execute(
        f"delete from raw_snapshots where {MINE} and block_number = ?"
        " and accounts = ?::json and source = ? and with_logs = ? and prices = ?::json"
        " and price_basis = ?",
        [
            snapshot.chain_id,
            snapshot.protocol,
            snapshot.deployment,
            snapshot.block.number,
            *_asked(snapshot),
        ],
    )


def _asked(snapshot: RawSnapshot) -> list[str | bool]:
    """What a run wanted to know: accounts, source, with_logs, prices and their basis."""
    prices = {asset: str(price) for asset, price in snapshot.prices.items()}
    return [
        json.dumps(snapshot.accounts), snapshot.source, snapshot.with_logs, json.dumps(prices),
        snapshot.price_basis,
    ]  # fmt: skip


def forget_after(connection: DuckDBPyConnection, deployment: Deployment, block: int) -> None:
    """Drop every snapshot above a block."""
    connection.execute(
        f"delete from raw_snapshots where {MINE} and block_number > ?",
        [*key(deployment), block],
    )


def raw_snapshots(connection: DuckDBPyConnection, deployment: Deployment) -> list[RawSnapshot]:
    """Every stored snapshot of a deployment, in the order in which they were taken."""
    rows = connection.execute(
        "select sequence, chain_id, protocol, deployment, block_number, block_hash, parent_hash,"
        " block_time, accounts, source, with_logs, prices, price_basis, recent"
        " from raw_snapshots"
        f" where {MINE} order by sequence",
        key(deployment),
    ).fetchall()
    return [
        RawSnapshot(
            sequence=sequence,
            chain_id=chain_id,
            protocol=protocol,
            deployment=name,
            block=Block(number, block_hash, parent_hash, time),
            accounts=tuple(json.loads(accounts)),
            source=source,
            with_logs=with_logs,
            prices={asset: int(price) for asset, price in json.loads(prices).items()},
            price_basis=price_basis,
            recent=None if recent is None else exact_json.load(recent),
        )
        for (
            sequence, chain_id, protocol, name, number, block_hash, parent_hash, time,
            accounts, source, with_logs, prices, price_basis, recent,
        ) in rows
    ]  # fmt: skip


def stored_answers(
    connection: DuckDBPyConnection, snapshot: RawSnapshot
) -> Callable[[Sequence[Request]], list[Answer]]:
    """An answerer from the database; what the snapshot did not read is ``NOT_READ``."""
    rows = connection.execute(
        "select c.kind, c.address, c.data, c.sender, r.data, r.error"
        " from (select unnest(call_ids) as call_id from raw_snapshots where sequence = ?) as wanted"
        " inner join raw_calls as c using (call_id)"
        " inner join ("
        "   select call_id, arg_max(result_id, sequence) as result_id from raw_reads"
        "   where sequence <= ? group by call_id) as read using (call_id)"
        " inner join raw_results as r using (result_id)",
        [snapshot.sequence, snapshot.sequence],
    ).fetchall()
    answers = {
        (kind, address, data, sender): Answer(result, error)
        for kind, address, data, sender, result, error in rows
    }

    def answer(requests: Sequence[Request]) -> list[Answer]:
        return [answers.get(request_key(request), NOT_READ) for request in requests]

    return answer


def _newest(connection: DuckDBPyConnection, calls: list[int], sequence: int) -> dict[int, int]:
    rows = connection.execute(
        "select call_id, arg_max(result_id, sequence) from raw_reads"
        " where sequence < ? and call_id in (select unnest(?)) group by call_id",
        [sequence, calls],
    ).fetchall()
    return dict(rows)
