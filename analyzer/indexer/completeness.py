"""Whether a database holds what it says it holds: ranges, digests, hashes, and what follows."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from duckdb import DuckDBPyConnection

from analyzer.indexer.checked import ANEW, MOST, REBUILD, Checked, blocks
from analyzer.indexer.ranges import Range, between, doubled, merged
from analyzer.indexer.recount import extent, recounted, strays
from analyzer.protocol import Deployment
from analyzer.protocols import protocols
from analyzer.store import checkpoints, evidence, replays
from analyzer.store.checkpoints import HIGHEST_BLOCK, Checkpoint, Stream
from analyzer.store.database import open_for_reading
from analyzer.store.deployments import remembered
from analyzer.store.derived import books
from analyzer.store.known_blocks import contradictions


def completeness(path: Path, finalized: Mapping[int, int]) -> Iterator[Checked]:
    """What is covered of each deployment, what is not, and whether the rows bear it out.

    ``finalized`` is the finalized block by chain id, as far as a node was asked. Raises
    ``AnalyzerError`` where there is no database that can be read.
    """
    with open_for_reading(path) as connection:
        for deployment in remembered(connection):
            yield from _of_deployment(connection, deployment, finalized.get(deployment.chain_id))
        for found in contradictions(connection):
            yield Checked(
                f"chain {found.chain_id}",
                f"two chains are stored under this id, block {found.number:,} has two hashes "
                f"({', '.join(found.deployments)}): drop them with `perpscope prune --chain "
                f"{found.chain_id}` and index each into a file of its own",
                holds=False,
            )
        for chain_id, filter_, start, end, count in evidence.unclaimed(connection):
            yield Checked(
                f"chain {chain_id} filter {filter_}",
                f"{count:,} logs of {blocks((start, end))} are of no finished range: {ANEW}",
                holds=False,
            )


def covered_ranges(connection: DuckDBPyConnection, stream: Stream) -> list[Range]:
    """The blocks that a stream's finished ranges cover."""
    ranges = checkpoints.finished(connection, stream)
    return merged((one.from_block, one.to_block) for one in ranges)


def _of_deployment(
    connection: DuckDBPyConnection, deployment: Deployment, finalized: int | None
) -> Iterator[Checked]:
    filters = protocols()[deployment.protocol].log_filters(deployment)
    present = {stream for stream, *_ in checkpoints.streams(connection, deployment, filters)}
    covered: list[Range] = []
    told: Counter[str] = Counter()
    for stream, _, _ in checkpoints.stored_streams(connection, deployment):
        ranges = checkpoints.finished(connection, stream)
        yield from _ranges(connection, deployment, stream, ranges)
        if stream not in present:
            yield Checked(
                f"{deployment.title} filters",
                f"{blocks(extent(ranges))} were read under other filters than today's: "
                "run `perpscope index`, which reads them again",
                holds=False,
            )
            continue
        covered += [(one.from_block, one.to_block) for one in ranges]
        yield from recounted(connection, deployment, stream, ranges, told)
        yield _replayed(connection, deployment, stream, ranges)
    yield from strays(connection, deployment, told)
    yield from _books(connection, deployment)
    yield from _hashes(connection, deployment)
    yield from _missing(connection, deployment, merged(covered), finalized)


def _ranges(
    connection: DuckDBPyConnection,
    deployment: Deployment,
    stream: Stream,
    ranges: Sequence[Checkpoint],
) -> Iterator[Checked]:
    every = [(one.from_block, one.to_block) for one in ranges]
    covered = merged(every)
    gaps = between(covered)
    for gap in gaps[:MOST]:
        yield Checked(
            f"{deployment.title} gap",
            f"{blocks(gap)} are in no finished range: {ANEW}",
            holds=False,
        )
    overlaps = doubled(every)
    for overlap in overlaps[:MOST]:
        yield Checked(
            f"{deployment.title} overlap",
            f"{blocks(overlap)} are in more than one finished range: {ANEW}",
            holds=False,
        )
    for outside in [(0, covered[0][0] - 1), *gaps, (covered[-1][1] + 1, HIGHEST_BLOCK)]:
        if rows := evidence.rows_of(connection, stream, *outside):
            yield Checked(
                f"{deployment.title} logs",
                f"{rows.count:,} logs of {blocks((rows.first, rows.last))} are of no finished "
                f"range: {ANEW}",
                holds=False,
            )
    logs = sum(one.logs for one in ranges)
    yield Checked(
        f"{deployment.title} ranges",
        f"{blocks(extent(ranges))}, {logs:,} logs; finished ranges {len(ranges):,}, "
        f"gaps {len(gaps):,}, overlaps {len(overlaps):,}",
        holds=not gaps and not overlaps,
    )


def _replayed(
    connection: DuckDBPyConnection,
    deployment: Deployment,
    stream: Stream,
    ranges: Sequence[Checkpoint],
) -> Checked:
    begin, end = extent(ranges)
    done = replays.replayed_to(connection, stream)
    if done == end:
        return Checked(f"{deployment.title} replay", f"every log up to block {done:,} is replayed")
    if done < end:
        start = max(done + 1, begin)
        return Checked(
            f"{deployment.title} replay",
            f"logs of {blocks((start, end))} are not replayed: run `perpscope index`",
            holds=False,
        )
    return Checked(
        f"{deployment.title} replay",
        f"says block {done:,}, above the last log range's {end:,}: {REBUILD}",
        holds=False,
    )


def _hashes(connection: DuckDBPyConnection, deployment: Deployment) -> Iterator[Checked]:
    found = evidence.hashes(connection, deployment)
    for number, value in found.contradictions[:MOST]:
        yield Checked(
            f"{deployment.title} {value}",
            f"two {'hashes' if value == 'hash' else 'times'} of block {number:,} are stored: "
            f"{ANEW}",
            holds=False,
        )
    yield Checked(
        f"{deployment.title} hashes",
        f"{found.known:,} blocks known by hash, {found.links:,} parent links, "
        f"{len(found.contradictions):,} contradictions",
        holds=not found.contradictions,
    )


def _books(connection: DuckDBPyConnection, deployment: Deployment) -> Iterator[Checked]:
    """What the protocol's own totals say of the newest snapshots: they know nothing of logs."""
    found = books(connection, deployment)
    for total in found.unbalanced[:MOST]:
        yield Checked(
            f"{deployment.title} {total.name} {total.subject}",
            f"the contract has {total.stated or 'not been read'}, the positions at block "
            f"{total.block_number:,} add up to {total.summed}: "
            "`perpscope check unbalanced` has each difference in USD",
            holds=False,
        )
    if found.count:
        yield Checked(
            f"{deployment.title} books",
            f"{found.count - len(found.unbalanced):,} of {found.count:,} totals of the contracts "
            "are what the positions add up to",
            holds=found.is_proven,
        )
    elif found.is_proven:
        yield Checked(
            f"{deployment.title} books",
            "no totals were read: its snapshots hold some accounts only",
        )
    else:
        yield Checked(
            f"{deployment.title} books",
            "nothing vouches for its snapshot of all accounts: no total of the contracts was "
            "found to balance it by; run `perpscope index` with another node",
            holds=False,
        )


def _missing(
    connection: DuckDBPyConnection,
    deployment: Deployment,
    covered: Sequence[Range],
    finalized: int | None,
) -> Iterator[Checked]:
    snapshots = evidence.snapshot_blocks(connection, deployment)
    if not covered:
        yield Checked(
            f"{deployment.title} missing",
            "no logs are stored, as none are needed for a snapshot of state"
            if snapshots.from_logs is None
            else f"the logs that its snapshot at block {snapshots.from_logs:,} rests on: {ANEW}",
            holds=snapshots.from_logs is None,
        )
        return
    start, end = covered[0][0], covered[-1][1]
    if snapshots.from_logs is not None and snapshots.from_logs > end:
        yield Checked(
            f"{deployment.title} missing",
            f"logs of {blocks((end + 1, snapshots.from_logs))}, on which a snapshot rests: run "
            "`perpscope index`",
            holds=False,
        )
    missing: list[str] = []
    if deployment.start_block < start:
        missing.append(f"{blocks((deployment.start_block, start - 1))} since its first block")
    if snapshots.newest is not None and snapshots.newest > end:
        missing.append(f"{blocks((end + 1, snapshots.newest))} up to its newest snapshot")
    if finalized is not None and finalized > end:
        missing.append(f"{blocks((end + 1, finalized))} up to the chain's finalized one")
    up_to = "the chain's finalized block" if finalized is not None else "its newest snapshot"
    yield Checked(
        f"{deployment.title} missing",
        f"not read: {', '.join(missing)}" if missing else f"nothing up to {up_to}",
    )
