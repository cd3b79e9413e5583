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
    wanted = [request_key(request) for request in requests]
    known: dict[RequestKey, int] = {
        (kind, address, data, sender): call_id
        for call_id, kind, address, data, sender in connection.execute(
            "select call_id, kind, address, data, sender from raw_calls where chain_id = ?",
            [chain_id],
        ).fetchall()
    }
    fresh = [key for key in wanted if key not in known]
    if fresh:
        free = _free_id(connection, "raw_calls", "call_id")
        known |= {key: free + offset for offset, key in enumerate(fresh)}
        insert(
            connection,
            "raw_calls",
            pa.table(
                {
                    "call_id": pa.array([known[key] for key in fresh], pa.int32()),
                    "chain_id": pa.array([chain_id] * len(fresh), pa.int64()),
                    "kind": [key[0] for key in fresh],
                    "address": [key[1] for key in fresh],
                    "data": pa.array([key[2] for key in fresh], pa.binary()),
                    "sender": pa.array([key[3] for key in fresh], pa.string()),
                }
            ),
        )
    return {key: known[key] for key in wanted}


def intern_results(
    connection: DuckDBPyConnection, answers: Iterable[Answer]
) -> dict[ResultKey, int]:
    """The ids of answers; those that were never given before are stored."""
    wanted = dict.fromkeys(result_key(answer) for answer in answers)
    connection.register("wanted", _result_table(list(wanted), None))
    try:
        known: dict[ResultKey, int] = {
            (data, error): result_id
            for result_id, data, error in connection.execute(
                "select r.result_id, r.data, r.error from raw_results as r"
                " inner join wanted on r.data = wanted.data"
                " and r.error is not distinct from wanted.error"
            ).fetchall()
        }
    finally:
        connection.unregister("wanted")
    fresh = [key for key in wanted if key not in known]
    if fresh:
        free = _free_id(connection, "raw_results", "result_id")
        insert(connection, "raw_results", _result_table(fresh, free))
        known |= {key: free + offset for offset, key in enumerate(fresh)}
    return known


def _result_table(keys: list[ResultKey], first_id: int | None) -> pa.Table:
    table = {
        "data": pa.array([data for data, _ in keys], pa.binary()),
        "error": pa.array([error for _, error in keys], pa.string()),
    }
    if first_id is not None:
        table["result_id"] = pa.array(range(first_id, first_id + len(keys)), pa.int32())
    return pa.table(table)


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
