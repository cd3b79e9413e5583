"""Whether two databases hold the same logs and made the same rows of them."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import duckdb
from duckdb import DuckDBPyConnection

from analyzer.errors import AnalyzerError
from analyzer.indexer.checked import REBUILD, Checked, blocks
from analyzer.indexer.completeness import covered_ranges
from analyzer.indexer.parting import Logs, difference, first_parting
from analyzer.indexer.ranges import Range, first_difference, merged, shared, without
from analyzer.protocol import Deployment
from analyzer.protocols import protocols
from analyzer.store import checkpoints, evidence, replays
from analyzer.store.database import open_for_reading
from analyzer.store.deployments import remembered


@dataclass(frozen=True, slots=True)
class Side:
    """One deployment in one of the two databases."""

    connection: DuckDBPyConnection
    deployment: Deployment

    @property
    def name(self) -> str:
        """What a line about it begins with."""
        return f"{self.deployment.title} agreement"

    @property
    def identity(self) -> tuple[int, str, frozenset[tuple[str, str]]]:
        """What makes two deployments the same, whatever their names: chain, protocol, contracts."""
        contracts = {(role, at.lower()) for role, at in self.deployment.contracts.items()}
        return self.deployment.chain_id, self.deployment.protocol, frozenset(contracts)

    @property
    def filters(self) -> str:
        """What identifies its present filters, whatever its name."""
        filters = protocols()[self.deployment.protocol].log_filters(self.deployment)
        return checkpoints.stream_of(replace(self.deployment, name=""), filters, 0).filter

    def covered(self) -> list[tuple[Logs, list[Range]]]:
        """What is stored under its present filters, and the blocks that each stream covers."""
        filters = protocols()[self.deployment.protocol].log_filters(self.deployment)
        return [
            (Logs(self.connection, stream), covered_ranges(self.connection, stream))
            for stream, *_ in checkpoints.streams(self.connection, self.deployment, filters)
        ]


def agreement(path: Path, other: Path) -> Iterator[Checked]:
    """Compare what both databases hold of the same deployments, down to the first difference.

    Raises ``AnalyzerError`` where a database cannot be read or both are one file.
    """
    _check_files(path, other)
    with open_for_reading(path) as here, open_for_reading(other) as there:
        ours = [Side(here, deployment) for deployment in remembered(here)]
        theirs = [Side(there, deployment) for deployment in remembered(there)]
        try:
            yield from _all_compared(ours, theirs, other)
        except duckdb.Error as error:
            reason = str(error).splitlines()[0]
            raise AnalyzerError(
                f"{path.name} or {other.name} cannot be read on ({reason}): run `perpscope doctor "
                "--completeness` on each"
            ) from error


def _all_compared(ours: list[Side], theirs: list[Side], other: Path) -> Iterator[Checked]:
    compared = 0
    for side, twin in ((side, twin) for side in ours for twin in theirs):
        if side.identity == twin.identity:
            common = _common(side, twin)
            compared += len(common)
            for mine, others, extent in common:
                yield from _compared(side, twin, mine, others, extent)
            yield from _left_out(side, twin, [extent for *_, extent in common])
    for sides, opposite, words in ((ours, theirs, "not"), (theirs, ours, "only")):
        known = {one.identity for one in opposite}
        for side in sides:
            if side.identity not in known:
                yield Checked(side.name, f"is {words} in {other.name}, so not compared")
    if not compared:
        yield Checked(
            "agreement",
            f"nothing in {other.name} could be compared: index the same deployments and blocks",
            holds=False,
        )


def _check_files(path: Path, other: Path) -> None:
    for one in (path, other):
        if not one.exists():
            raise AnalyzerError(f"there is no database at {one}: check the path")
    if path.samefile(other):
        raise AnalyzerError(f"--against names the database itself ({other}): name another one")


def _common(side: Side, twin: Side) -> list[tuple[Logs, Logs, Range]]:
    """Ranges that both cover, each with what is to be compared there."""
    if side.filters != twin.filters:
        return []
    return [
        (mine, other, common)
        for mine, covered in side.covered()
        for other, covered_there in twin.covered()
        for common in shared(covered, covered_there)
    ]


def _left_out(side: Side, twin: Side, compared: list[Range]) -> Iterator[Checked]:
    if side.filters != twin.filters:
        yield Checked(side.name, "the two are read under different filters, so not compared")
        return
    for one, words in ((side, "here"), (twin, "there")):
        covered = merged(extent for _, ranges in one.covered() for extent in ranges)
        if alone := without(covered, merged(compared)):
            extents = ", ".join(map(blocks, alone))
            yield Checked(side.name, f"only covered {words}, so not compared: {extents}")


def _compared(side: Side, twin: Side, ours: Logs, theirs: Logs, common: Range) -> Iterator[Checked]:
    for logs, where in ((ours, "here"), (theirs, "there")):
        if broken := evidence.misshapen(logs.connection, logs.stream):
            yield Checked(
                side.name,
                f"{broken[1]:,} rows {where} are no logs: run `perpscope doctor --completeness` "
                "on that file",
                holds=False,
            )
            return
    parting = first_parting(ours, theirs, common)
    if parting is None:
        count = ours.count(*common)
        yield Checked(side.name, f"the same {count:,} logs in {blocks(common)}")
        yield from _rows(side, twin, ours, theirs, common)
        return
    what = difference(ours.of(parting, parting), theirs.of(parting, parting))
    yield Checked(
        side.name,
        f"block {parting:,} is the first to differ: {what}; ask a third node",
        holds=False,
    )


def _rows(side: Side, twin: Side, ours: Logs, theirs: Logs, common: Range) -> Iterator[Checked]:
    """Compare what the same logs were replayed to, as far as both have got."""
    replayed = min(replays.replayed_to(one.connection, one.stream) for one in (ours, theirs))
    start, end = common[0], min(common[1], replayed)
    if end < start:
        return

    def sums(one: Side, low: int, high: int) -> dict[str, tuple[int, int]]:
        return evidence.derived_sums(one.connection, one.deployment, low, high)

    def same(low: int, high: int) -> bool:
        return sums(side, low, high) == sums(twin, low, high)

    parting = first_difference(same, start, end)
    if parting is None:
        count = sum(rows for rows, _ in sums(side, start, end).values())
        yield Checked(side.name, f"the same {count:,} rows made of them")
        return
    here, there = sums(side, parting, parting), sums(twin, parting, parting)
    table = next(table for table in here if here[table] != there[table])
    yield Checked(
        side.name,
        f"block {parting:,} is the first whose {table} differ ({here[table][0]:,} rows here, "
        f"{there[table][0]:,} there): {REBUILD} on both",
        holds=False,
    )
