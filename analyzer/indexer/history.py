"""Following a deployment's logs: fetch what is missing, replay it, notice a chain that turned."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from duckdb import DuckDBPyConnection

from analyzer.chain.interface import Chain
from analyzer.errors import AnalyzerError
from analyzer.evm import Block, Log, LogBatch
from analyzer.indexer.plan import Plan, Progress, Source
from analyzer.protocol import Deployment, State
from analyzer.protocols import protocols
from analyzer.rows import DataQuality, PositionEvents, Row
from analyzer.store import derived, raw_logs, raw_state
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
    filters = protocols()[deployment.protocol].log_filters(deployment)
    stream = raw_logs.stream_of(deployment, filters, start)
    if source != "state" or _finds_by_logs(deployment, plan):
        _refuse_gap(deployment, start, end, head)
    _roll_back(chain, connection, deployment, stream)
    covered = raw_logs.covered_to(connection, stream, start)
    state = dict(derived.state(connection, deployment, covered))
    count = 0
    if covered < end:
        progress.stage(deployment, f"reading logs of blocks {covered + 1:,} to {end:,}")
    for batch in chain.logs(filters, covered + 1, end) if covered < end else ():
        timed = with_times(batch)
        rows = replay(deployment, timed.logs, state)
        with transaction(connection):
            raw_logs.append(connection, stream, timed, _last_hash(batch, head))
            derived.put_events(connection, deployment, batch.from_block, batch.to_block, rows)
        count += len(batch.logs)
        progress.blocks(deployment, batch.to_block - covered, end - covered, count)
    if covered > end:
        state = dict(derived.state(connection, deployment, end))
    return History(state, count)


def replay(deployment: Deployment, logs: Sequence[Log], state: dict[str, Any]) -> list[Row]:
    """Rows of a batch of logs; ``state`` is carried forward in place."""
    protocol = protocols()[deployment.protocol]
    rows = [
        replace(row, log_index=0) if isinstance(row, DataQuality) and row.log_index < 0 else row
        for row in protocol.replay(deployment, logs, state)
    ]
    for row in rows:
        if isinstance(row, PositionEvents):
            if row.after is None:
                state.pop(row.state_key, None)
            else:
                state[row.state_key] = row.after
    return rows


def with_times(batch: LogBatch) -> LogBatch:
    """The batch with every log's block time, from the log itself or from its header."""
    times = {block.number: block.time for block in batch.blocks}
    timed: list[Log] = []
    for log in batch.logs:
        time = log.block_time if log.block_time is not None else times.get(log.block_number)
        if time is None:
            raise AnalyzerError(f"block {log.block_number} has logs but its time was not read")
        timed.append(replace(log, block_time=time))
    return replace(batch, logs=timed)


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


def _roll_back(
    chain: Chain, connection: DuckDBPyConnection, deployment: Deployment, stream: raw_logs.Stream
) -> None:
    """Go back to the last checkpoint that the chain still agrees with."""
    hashes = raw_logs.hashes(connection, stream)
    agreed = next((number for number, known in hashes if chain.block(number).hash == known), None)
    if not hashes or agreed == hashes[0][0]:
        return
    fork = agreed if agreed is not None else -1
    with transaction(connection):
        raw_logs.forget_after(connection, stream, fork)
        raw_state.forget_after(connection, deployment, fork)
        derived.forget_after(connection, deployment, fork)


def _last_hash(batch: LogBatch, head: Block) -> str | None:
    if batch.to_block == head.number:
        return head.hash
    return next((b.hash for b in batch.blocks if b.number == batch.to_block), None)
