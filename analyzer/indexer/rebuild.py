"""Rebuilding everything normalised from the raw rows, without a network."""

from contextlib import nullcontext
from pathlib import Path

from duckdb import DuckDBPyConnection

from analyzer.errors import AnalyzerError
from analyzer.event_columns import decode
from analyzer.indexer.plan import Progress, Silent
from analyzer.indexer.replaying import catch_up
from analyzer.indexer.snapshot import first_contact, rows_of, take
from analyzer.protocol import Deployment
from analyzer.protocols import protocols
from analyzer.store import checkpoints, derived, event_rows, event_tables, raw_logs, raw_state
from analyzer.store.database import open_for_writing, sign, transaction
from analyzer.store.deployments import remembered
from analyzer.store.schema import RAW_VERSION, create_normalised


def rebuild(path: Path, progress: Progress | None = None) -> list[Deployment]:
    """Empty the normalised tables and fill them again, in one transaction."""
    if not path.exists():
        raise AnalyzerError(f"there is no database at {path}: run `perpscope index` first")
    listener = progress or Silent()
    with open_for_writing(path, oldest=RAW_VERSION) as connection:
        deployments = remembered(connection)
        with transaction(connection):
            create_normalised(connection)
            sign(connection)
            event_tables.drop(connection)
            for deployment in deployments:
                listener.stage(deployment, "replaying stored logs")
                _replay_streams(connection, deployment, listener)
                listener.stage(deployment, "taking stored snapshots again")
                _retake_snapshots(connection, deployment)
    return deployments


def _replay_streams(
    connection: DuckDBPyConnection, deployment: Deployment, progress: Progress
) -> None:
    filters = protocols()[deployment.protocol].log_filters(deployment)
    events = protocols()[deployment.protocol].events(deployment)
    for stream, _, _ in checkpoints.streams(connection, deployment, filters):
        known = event_tables.catalog(connection, deployment.protocol)
        for batch in raw_logs.stored_batches(connection, stream):
            told = event_rows.prepare(deployment, decode(events, batch.logs))
            event_tables.append(connection, deployment, told, known)
        catch_up(connection, deployment, stream, progress, nullcontext)


def _retake_snapshots(connection: DuckDBPyConnection, deployment: Deployment) -> None:
    for raw in raw_state.raw_snapshots(connection, deployment):
        answer = raw_state.stored_answers(connection, raw)
        state = raw.recent
        if raw.with_logs:
            state = derived.state(connection, deployment, raw.block.number)
        taken = take(deployment, first_contact(deployment, answer), raw, state, answer)
        derived.put_snapshot(connection, deployment, raw.block.number, rows_of(deployment, taken))
