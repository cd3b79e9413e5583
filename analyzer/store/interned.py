"""Each distinct state read and each distinct result, stored once and named by a number."""

from collections.abc import Iterable
from typing import Final

import pyarrow as pa
from duckdb import DuckDBPyConnection

from analyzer.evm import Answer, Call, Request, Slot
from analyzer.store.database import first
from analyzer.store.writing import insert

CALL: Final = "call"
SLOT: Final = "slot"

RequestKey = tuple[str, str, bytes, str | None]
ResultKey = tuple[bytes, str | None]


def intern_calls(
    connection: DuckDBPyConnection, chain_id: int, requests: Iterable[Request]
) -> dict[RequestKey, int]:
    """The ids of requests; those that were never made before are stored."""
    wanted = list(dict.fromkeys(request_key(request) for request in requests))
    table = pa.table(
        {
            "chain_id": pa.array([chain_id] * len(wanted), pa.int64()),
            "kind": pa.array([key[0] for key in wanted], pa.string()),
            "address": pa.array([key[1] for key in wanted], pa.string()),
            "data": pa.array([key[2] for key in wanted], pa.binary()),
            "sender": pa.array([key[3] for key in wanted], pa.string()),
        }
    )
    ids = _interned(connection, "raw_calls", "call_id", table)
    return dict(zip(wanted, ids, strict=True))


def intern_results(
    connection: DuckDBPyConnection, answers: Iterable[Answer]
) -> dict[ResultKey, int]:
    """The ids of answers; those that were never given before are stored."""
    wanted = list(dict.fromkeys(result_key(answer) for answer in answers))
    table = pa.table(
        {
            "data": pa.array([data for data, _ in wanted], pa.binary()),
            "error": pa.array([error for _, error in wanted], pa.string()),
        }
    )
    ids = _interned(connection, "raw_results", "result_id", table)
    return dict(zip(wanted, ids, strict=True))


def _interned(connection: DuckDBPyConnection, table: str, name: str, wanted: pa.Table) -> list[int]:
    """The id of each distinct row, in order; those that are not in the table yet are added."""
    same = " and ".join(f"known.{one} is not distinct from wanted.{one}"
                        for one in wanted.column_names)  # fmt: skip
    numbered = wanted.append_column("place", pa.array(range(len(wanted)), pa.int64()))
    connection.register("wanted", numbered)
    try:
        found = connection.execute(
            f"select wanted.place, known.{name} from {table} as known inner join wanted on {same}"
        ).fetchall()
    finally:
        connection.unregister("wanted")
    ids: dict[int, int] = dict(found)
    fresh = [place for place in range(len(wanted)) if place not in ids]
    if fresh:
        free = _free_id(connection, table, name)
        ids |= {place: free + offset for offset, place in enumerate(fresh)}
        added = pa.array(range(free, free + len(fresh)), pa.int32())
        insert(connection, table, wanted.take(fresh).append_column(name, added))
    return [ids[place] for place in range(len(wanted))]


def _free_id(connection: DuckDBPyConnection, table: str, column: str) -> int:
    row = first(connection, f"select coalesce(max({column}), 0) + 1 from {table}")
    assert row is not None
    return int(row[0])


def request_key(request: Request) -> RequestKey:
    """What makes two requests the same one."""
    if isinstance(request, Call):
        return (CALL, request.to, request.data, request.sender)
    assert isinstance(request, Slot)
    return (SLOT, request.address, request.slot.to_bytes(32, "big"), None)


def result_key(answer: Answer) -> ResultKey:
    """What makes two answers the same one."""
    return (answer.data, answer.error)
