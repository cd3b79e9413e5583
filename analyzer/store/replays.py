"""How far each stream's logs have been replayed, and the state that they left behind.

Both follow from the raw logs; they are kept so that the next run starts where the last one ended,
at a cost that does not grow with history.
"""

from collections.abc import Mapping
from typing import Any, Final

from duckdb import DuckDBPyConnection

from analyzer.store import exact_json
from analyzer.store.checkpoints import MINE, Stream
from analyzer.store.database import first

BEFORE_ANY: Final = -1


def replayed_to(connection: DuckDBPyConnection, stream: Stream) -> int:
    """The last block whose logs have been replayed; ``BEFORE_ANY`` if none has."""
    row = first(connection, f"select to_block from replays where {MINE}", stream.key)
    return int(row[0]) if row else BEFORE_ANY


def replay_state(connection: DuckDBPyConnection, stream: Stream) -> dict[str, Any]:
    """The exact state that the replayed logs left behind, by state key."""
    rows = connection.execute(
        f"select state_key, after from replay_state where {MINE} order by state_key", stream.key
    ).fetchall()
    return {key: exact_json.load(after) for key, after in rows}


def save(
    connection: DuckDBPyConnection,
    stream: Stream,
    to_block: int,
    changed: Mapping[str, Mapping[str, Any] | None],
) -> None:
    """Note that logs up to a block are replayed, and what they changed (``None``: has ended)."""
    connection.execute(f"delete from replays where {MINE}", stream.key)
    connection.execute("insert into replays values (?, ?, ?, ?, ?)", [*stream.key, to_block])
    if not changed:
        return
    connection.execute(
        f"delete from replay_state where {MINE} and state_key in (select unnest(?))",
        [*stream.key, list(changed)],
    )
    kept = [(key, exact_json.dump(after)) for key, after in changed.items() if after is not None]
    if kept:
        connection.execute(
            "insert into replay_state select ?, ?, ?, ?, unnest(?), unnest(?)",
            [*stream.key, [key for key, _ in kept], [after for _, after in kept]],
        )


def forget(connection: DuckDBPyConnection, stream: Stream) -> None:
    """Replay from the beginning next time."""
    connection.execute(f"delete from replays where {MINE}", stream.key)
    connection.execute(f"delete from replay_state where {MINE}", stream.key)


def rewind(
    connection: DuckDBPyConnection, stream: Stream, to_block: int, before: Mapping[str, Any]
) -> None:
    """Go back to a block; ``before`` is what was then the state of what changed since."""
    if replayed_to(connection, stream) > to_block:
        save(connection, stream, to_block, before)
