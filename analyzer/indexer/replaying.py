"""From stored logs to rows: whatever was stored and not yet replayed, in chain order."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

from duckdb import DuckDBPyConnection

from analyzer.evm import Log
from analyzer.indexer.plan import Progress
from analyzer.protocol import Deployment
from analyzer.protocols import protocols
from analyzer.rows import DataQuality, PositionEvents, Row
from analyzer.store import checkpoints, derived, raw_logs, replays
from analyzer.store.database import transaction

Step = Callable[[DuckDBPyConnection], AbstractContextManager[object]]


def catch_up(
    connection: DuckDBPyConnection,
    deployment: Deployment,
    stream: checkpoints.Stream,
    progress: Progress,
    step: Step = transaction,
) -> dict[str, Any]:
    """Replay what is stored of a stream beyond the last replay; the state that it leaves behind.

    ``step`` is what holds the rows of a batch together, unless a transaction is under way already.
    """
    state = replays.replay_state(connection, stream)
    done = replays.replayed_to(connection, stream)
    count = 0
    for batch in raw_logs.stored_batches(connection, stream, done):
        before = dict(state)
        rows = replay(deployment, batch.logs, state)
        with step(connection):
            derived.put_events(connection, deployment, batch.from_block, batch.to_block, rows)
            replays.save(connection, stream, batch.to_block, _changed(rows, before))
        count += len(batch.logs)
        progress.replayed(deployment, count)
    return state


def replay(deployment: Deployment, logs: Sequence[Log], state: dict[str, Any]) -> list[Row]:
    """Rows of a batch of logs; ``state`` is carried forward in place."""
    protocol = protocols()[deployment.protocol]
    rows = [
        replace(row, log_index=0) if isinstance(row, DataQuality) and row.log_index < 0 else row
        for row in protocol.replay(deployment, logs, state)
    ]
    carry(state, rows)
    return rows


def carry(state: dict[str, Any], rows: Sequence[Row]) -> dict[str, Any]:
    """The state, brought forward in place by what the rows of some logs say."""
    for row in rows:
        if isinstance(row, PositionEvents):
            if row.after is None:
                state.pop(row.state_key, None)
            else:
                state[row.state_key] = row.after
    return state


def _changed(rows: Sequence[Row], before: Mapping[str, Any]) -> dict[str, Any]:
    """The newest state of each key that the rows changed."""
    newest = {row.state_key: row.after for row in rows if isinstance(row, PositionEvents)}
    return {key: after for key, after in newest.items() if after != before.get(key)}
