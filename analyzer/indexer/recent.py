"""What a snapshot without history finds in the logs of recent blocks."""

from typing import Any, Final

from analyzer.chain.interface import Chain
from analyzer.evm import Block
from analyzer.indexer.ingest import complete
from analyzer.indexer.plan import Progress
from analyzer.indexer.replaying import replay
from analyzer.protocol import Deployment, State
from analyzer.protocols import protocols

RECENT_BLOCKS: Final = 5_000


def recent_state(
    chain: Chain, deployment: Deployment, head: Block, progress: Progress
) -> State | None:
    """What the newest logs left behind, if the protocol asks for any; of a recording, all logs."""
    filters_of = protocols()[deployment.protocol].recent_filters
    if filters_of is None:
        return None
    start = deployment.start_block
    if not chain.is_recorded:
        start = max(start, head.number - RECENT_BLOCKS + 1)
    progress.stage(deployment, f"looking for prices in blocks {start:,} to {head.number:,}")
    state: dict[str, Any] = {}
    for batch in chain.logs(filters_of(deployment), start, head.number):
        replay(deployment, complete(batch), state)
    return state
