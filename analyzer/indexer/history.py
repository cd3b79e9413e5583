"""Following a deployment's logs: fetch what is missing, then replay what is new."""

from collections.abc import Sequence
from dataclasses import dataclass

from duckdb import DuckDBPyConnection

from analyzer.chain.interface import Chain
from analyzer.errors import AnalyzerError
from analyzer.evm import Block, LogFilter
from analyzer.indexer.checked import ANEW
from analyzer.indexer.ingest import ingest
from analyzer.indexer.plan import Plan, Progress, Source
from analyzer.indexer.replaying import catch_up
from analyzer.protocol import Deployment, State
from analyzer.protocols import protocols
from analyzer.store import checkpoints, derived, event_tables, evidence, raw_logs, replays
from analyzer.store.database import transaction


@dataclass(frozen=True, slots=True)
class History:
    """What the logs up to a block left behind, and how many of them this run fetched."""

    state: State
    logs: int


def needs_history(deployment: Deployment, plan: Plan, source: Source) -> bool:
    """Whether a run needs logs: for positions, to find them, or because they were asked for."""
    asked = plan.from_block is not None or plan.to_block is not None
    return asked or source != "state" or _finds_by_logs(deployment, plan)


def follow_logs(
    chain: Chain,
    connection: DuckDBPyConnection,
    deployment: Deployment,
    plan: Plan,
    source: Source,
    head: Block,
    progress: Progress,
) -> History:
    """Bring a deployment's logs up to the head, from wherever an earlier run stopped."""
    start = deployment.start_block if plan.from_block is None else plan.from_block
    end = head.number if plan.to_block is None else min(plan.to_block, head.number)
    if source != "state" or _finds_by_logs(deployment, plan):
        _refuse_gap(deployment, start, end, head)
    if start > end:
        raise AnalyzerError(
            f"the history asked of {deployment.name} would begin at block {start} and end at block "
            f"{end} (the head is {head.number}), so it holds no block: give a lower --from-block "
            "or a higher --to-block"
        )
    filters = protocols()[deployment.protocol].log_filters(deployment)
    stream, covered = _stream(connection, deployment, filters, start, end)
    count = 0
    if covered < end:
        progress.stage(deployment, f"reading logs of blocks {covered + 1:,} to {end:,}")
        count = ingest(
            chain, connection, deployment, stream, filters, covered + 1, end, head, progress
        )
    progress.stage(deployment, "replaying logs")
    state = catch_up(connection, deployment, stream, progress)
    if covered > end:
        state = derived.state(connection, deployment, end)
    return History(state, count)


def _stream(
    connection: DuckDBPyConnection,
    deployment: Deployment,
    filters: Sequence[LogFilter],
    start: int,
    end: int,
) -> tuple[checkpoints.Stream, int]:
    """The stream that goes on with a range of blocks, and the last block that it covers.

    A stored stream that reaches the range is continued. Else a new one begins, in the place of all
    those that it overlaps: a log is stored once.
    """
    for stream, first, last in checkpoints.streams(connection, deployment, filters):
        if first <= start <= last + 1:
            _refuse_hole(connection, deployment, stream)
            return stream, last
    with transaction(connection):
        for stream, first, last in checkpoints.stored_streams(connection, deployment):
            if first <= end and last >= start:
                raw_logs.forget(connection, stream)
                replays.forget(connection, stream)
                event_tables.forget(connection, deployment, first, last)
                derived.put_events(connection, deployment, first, last, [])
        fresh = checkpoints.stream_of(deployment, filters, start)
        raw_logs.forget(connection, fresh)
        replays.forget(connection, fresh)
        event_tables.forget(connection, deployment, start, end)
    return fresh, start - 1


def _refuse_hole(
    connection: DuckDBPyConnection, deployment: Deployment, stream: checkpoints.Stream
) -> None:
    """A stream covers what lies between its ends only if its finished ranges follow each other."""
    if broken := evidence.break_in(connection, stream):
        raise AnalyzerError(
            f"the finished ranges of {deployment.name} do not follow each other (one ends at block "
            f"{broken[0]}, the next begins at block {broken[1]}), so logs are missing or stored "
            f"twice: {ANEW}"
        )


def _finds_by_logs(deployment: Deployment, plan: Plan) -> bool:
    return protocols()[deployment.protocol].needs_logs and not plan.accounts


def _refuse_gap(deployment: Deployment, start: int, end: int, head: Block) -> None:
    """Positions from logs are complete only with every log from the deployment's first block."""
    if deployment.start_block > head.number:
        raise AnalyzerError(
            f"start_block {deployment.start_block} of {deployment.name} is above the head "
            f"{head.number}: give the block at which the contracts were deployed"
        )
    if start > deployment.start_block or end < head.number:
        raise AnalyzerError(
            f"positions of {deployment.name} from logs need every log of blocks "
            f"{deployment.start_block} to {head.number}: drop --from-block and --to-block, or name "
            "accounts and use --positions state"
        )
