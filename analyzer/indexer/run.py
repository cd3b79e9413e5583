"""One run of ``index``: chain to raw to rows, each step in a transaction of its own."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from duckdb import DuckDBPyConnection

from analyzer.chain.interface import Chain
from analyzer.errors import AnalyzerError, ReorganisedError
from analyzer.evm import Block
from analyzer.indexer.history import follow_logs, needs_history
from analyzer.indexer.identity import refuse_another_chain
from analyzer.indexer.plan import Plan, Progress, Silent, Source
from analyzer.indexer.recent import recent_state
from analyzer.indexer.reorgs import is_gone, roll_back
from analyzer.indexer.snapshot import Taken, first_contact, rows_of, take
from analyzer.protocol import FRESHEST, Deployment
from analyzer.protocols import protocols
from analyzer.rows import Books, Tokens
from analyzer.store import derived, raw_state
from analyzer.store.database import holds_data, open_for_writing, transaction
from analyzer.store.deployments import remember

REORGANISATIONS: Final = 4
"""How often one run begins anew because the chain took another way under it."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one deployment: its snapshot's block and size, or the error."""

    deployment: Deployment
    block: Block | None = None
    positions: int = 0
    accounts: int = 0
    unknown: int = 0
    logs: int = 0
    complete: bool = False
    books: Books = "none"
    error: AnalyzerError | None = None


@dataclass(frozen=True, slots=True)
class _Run:
    """What all deployments of a run share."""

    chain: Chain
    connection: DuckDBPyConnection
    plan: Plan
    progress: Progress


def index(chain: Chain, path: Path, plan: Plan, progress: Progress | None = None) -> list[Outcome]:
    """Index each deployment of the plan; one that fails is reported and does not stop the others.

    Raises ``AnalyzerError`` where nothing can be done at all: no chain, no head, no database.
    """
    if plan.prices and not any(protocols()[d.protocol].takes_prices for d in plan.deployments):
        raise AnalyzerError(
            "--price has no effect here: these protocols liquidate at prices that stand on chain"
        )
    head = _head(chain, plan)
    outcomes: list[Outcome] = []
    is_new = not path.exists()
    with open_for_writing(path) as connection:
        run = _Run(chain, connection, plan, progress or Silent())
        for deployment in plan.deployments:
            try:
                outcome = _steadily(run, deployment, head)
                outcomes.append(outcome)
                head = outcome.block or head
            except AnalyzerError as error:
                outcomes.append(Outcome(deployment, error=error))
        holds_nothing = is_new and not holds_data(connection)
    if holds_nothing:
        path.unlink()  # a run that stored nothing leaves no file that looks like an answer
    return outcomes


def _steadily(run: _Run, deployment: Deployment, head: Block) -> Outcome:
    """Index one deployment; where the chain is reorganised meanwhile, again from its new head."""
    for _ in range(REORGANISATIONS):
        try:
            return _index_one(run, deployment, head)
        except AnalyzerError as error:
            if not isinstance(error, ReorganisedError) and not is_gone(run.chain, head):
                raise
            run.progress.stage(deployment, "going back: the chain was reorganised")
            head = _head(run.chain, run.plan)
    return _index_one(run, deployment, head)


def _head(chain: Chain, plan: Plan) -> Block:
    """The block of the snapshot."""
    block = chain.block(plan.block)
    if not plan.confirmations:
        return block
    return chain.block(max(0, block.number - plan.confirmations))


def _index_one(run: _Run, deployment: Deployment, head: Block) -> Outcome:
    chain, connection, plan, progress = run.chain, run.connection, run.plan, run.progress
    source = _source(chain, deployment, plan)
    takes_prices = protocols()[deployment.protocol].takes_prices
    progress.stage(deployment, f"checking the contracts at block {head.number:,}")
    transcript = raw_state.Transcript(lambda requests: chain.answer(requests, head))
    probe = first_contact(deployment, transcript)
    refuse_another_chain(chain, connection, deployment, head)
    with transaction(connection):
        remember(connection, deployment)
    roll_back(chain, connection, deployment, head)
    history, recent = None, None
    if needs_history(deployment, plan, source):
        history = follow_logs(chain, connection, deployment, plan, source, head, progress)
    else:
        recent = recent_state(chain, deployment, head, progress)
    progress.stage(deployment, f"reading state at block {head.number:,}")
    raw = raw_state.RawSnapshot(
        sequence=raw_state.next_sequence(connection),
        chain_id=deployment.chain_id,
        protocol=deployment.protocol,
        deployment=deployment.name,
        block=head,
        accounts=plan.accounts,
        source=source,
        with_logs=history is not None,
        prices=dict(plan.prices),
        price_basis=plan.price_basis if takes_prices else FRESHEST,
        recent=recent,
    )
    snapshot = take(deployment, probe, raw, history.state if history else recent, transcript)
    _refuse_unused_prices(deployment, plan, snapshot)
    with transaction(connection):
        rows = rows_of(deployment, snapshot)
        effect = derived.put_snapshot(connection, deployment, head.number, rows)
        if effect != "adds nothing":
            raw_state.store_snapshot(
                connection, deployment, raw, transcript.answers, joins=effect == "joins"
            )
    counts = snapshot.counts()
    return Outcome(
        deployment,
        head,
        counts["positions"],
        counts["accounts"],
        counts["unknown"],
        history.logs if history else 0,
        snapshot.is_complete,
        snapshot.books,
    )


def _refuse_unused_prices(deployment: Deployment, plan: Plan, snapshot: Taken) -> None:
    """A price that changes nothing would look as if it had been taken into account."""
    tokens = [row for row in snapshot.result.rows if isinstance(row, Tokens)]
    assets = {row.asset for row in tokens if row.asset}
    known = assets | {row.token for row in tokens}
    for name in plan.prices if protocols()[deployment.protocol].takes_prices else ():
        if name not in known:
            raise AnalyzerError(
                f"--price {name} is the price of no token of {deployment.name}: name the token's "
                f"address or one of the assets {', '.join(sorted(assets)) or '(none is known)'}"
            )


def _source(chain: Chain, deployment: Deployment, plan: Plan) -> Source:
    """The cheapest complete way to all positions, unless the user named one."""
    if plan.positions is not None:
        return plan.positions
    needs_logs = protocols()[deployment.protocol].needs_logs
    if needs_logs and (not plan.accounts or chain.is_recorded):
        return "logs"
    return "state"
