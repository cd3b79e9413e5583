"""What every protocol must hold to when logs are damaged or missing: unknown is never safe.

    python -m tests.protocols.conformance [PROTOCOL...]

runs the full sweep over every recorded chain and prints its tally. Each damaged chain is replayed
and read in process, and compared row by row with what the whole chain gives at the same block.
"""

import random
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, partial
from typing import Any

import click

from analyzer.chain.recording import RecordedChain
from analyzer.event_columns import decode
from analyzer.evm import Log
from analyzer.indexer.deployments import deployment_of
from analyzer.indexer.replaying import carry
from analyzer.indexer.snapshot import Taken, first_contact, take
from analyzer.protocol import Deployment
from analyzer.protocols import protocols
from analyzer.rows import MarginAccounts, Positions
from analyzer.store.raw_state import RawSnapshot
from tests.conftest import FIXTURES

RECORDINGS = FIXTURES / "demo"
ONES = b"\xff" * 32
COUNTS = ("inputs.liquidations", "inputs.liquidator", "inputs.insuranceFundCapacity")
"""What logs alone say on a recorded chain: whom ``verify`` lets liquidate, and Perp v2's insurance
fund, which a node is asked for and the recorded chains do not hold. No verdict rests on them."""
Damage = Callable[[Log], list[Log]]


def cut(log: Log) -> list[Log]:
    return [replace(log, data=log.data[:-1])] if log.data else [replace(log, topics=log.topics[:1])]


def one_word_more(log: Log) -> list[Log]:
    return [replace(log, data=log.data + ONES)]


def one_topic_more(log: Log) -> list[Log]:
    return [replace(log, topics=(*log.topics, "0x" + "17" * 32))]


def first_word_all_ones(log: Log) -> list[Log]:
    return [replace(log, data=ONES + log.data[32:])] if log.data else []


def missing(log: Log) -> list[Log]:
    return []


def doubled(log: Log) -> list[Log]:
    """The same log once more under a place of its own, which no check of places can notice."""
    return [log, replace(log, log_index=log.log_index + 1_000_000)]


WAYS = (cut, one_word_more, one_topic_more, first_word_all_ones, missing, doubled)
DAMAGES: dict[str, Damage] = {one.__name__: one for one in WAYS}


@dataclass(frozen=True, eq=False)
class Recorded:
    """A deployment of a recorded chain with its logs, and where they are read to."""

    chain: RecordedChain
    deployment: Deployment
    source: str

    @property
    def title(self) -> str:
        return f"{self.deployment.protocol}-{self.deployment.name}-{self.source}"

    @cache  # noqa: B019  as many as there are recorded deployments
    def logs(self) -> list[Log]:
        deployment, head = self.deployment, self.chain.block("latest").number
        filters = protocols()[deployment.protocol].log_filters(deployment)
        batches = self.chain.logs(filters, deployment.start_block, head)
        return [log for batch in batches for log in batch.logs]

    @cache  # noqa: B019
    def events(self) -> dict[str, list[int]]:
        """The places of each event's logs; an event that the chain has no log of has none."""
        events = protocols()[self.deployment.protocol].events(self.deployment)
        places: dict[str, list[int]] = {event.name: [] for event in events}
        for place, (_, event, _) in enumerate(decode(events, self.logs())):
            if event is not None:
                places[event.name].append(place)
        return places

    @cache  # noqa: B019
    def truth(self) -> "Read":
        return self.read(self.logs())

    def damaged(self, damage: Damage, places: Sequence[int]) -> "Read":
        """What is read where the logs at these places are damaged."""
        chosen = set(places)
        logs = [
            one
            for place, log in enumerate(self.logs())
            for one in (damage(log) if place in chosen else [log])
        ]
        logs.sort(key=lambda log: (log.block_number, log.log_index))
        return self.read(logs)

    def read(self, logs: Sequence[Log]) -> "Read":
        """Replay logs and take the snapshot at the chain's head, as a run does."""
        protocol, block = protocols()[self.deployment.protocol], self.chain.block("latest")
        state = carry({}, protocol.replay(self.deployment, logs, {}))
        answer = partial(self.chain.answer, block=block)
        raw = RawSnapshot(
            1, self.deployment.chain_id, self.deployment.protocol, self.deployment.name, block,
            (), self.source, True, {},
        )  # fmt: skip
        probe = first_contact(self.deployment, answer)
        return Read.of(take(self.deployment, probe, raw, state, answer))


@dataclass(frozen=True)
class Read:
    """The accounts and positions of a snapshot by id, and whether it calls itself complete."""

    accounts: dict[str, MarginAccounts]
    positions: dict[str, Positions]
    is_complete: bool
    taken: Taken

    @classmethod
    def of(cls, taken: Taken) -> "Read":
        rows = taken.result.rows
        return cls(
            {row.margin_id: row for row in rows if isinstance(row, MarginAccounts)},
            {row.position_id: row for row in rows if isinstance(row, Positions)},
            taken.is_complete,
            taken,
        )

    @property
    def unknown(self) -> set[str]:
        return {one for one, row in self.accounts.items() if row.state == "unknown"}


@dataclass
class Verdict:
    """What is wrong with what was read of a damaged chain: ids of accounts and positions."""

    wrong_safe: set[str] = field(default_factory=set)
    wrong_figures: dict[str, str] = field(default_factory=dict)
    vanished: set[str] = field(default_factory=set)
    shown: int = 0
    unknown: int = 0

    @property
    def holds(self) -> bool:
        return not (self.wrong_safe or self.wrong_figures or self.vanished)


def judge(truth: Read, read: Read) -> Verdict:
    """Compare with the truth: what is definite must be right, what is complete must be all."""
    found = Verdict()
    for margin_id, row in read.accounts.items():
        if row.state == "unknown":
            continue
        true = truth.accounts.get(margin_id)
        if row.state == "safe" and (true is None or true.state != "safe"):
            found.wrong_safe.add(margin_id)
        if difference := _difference(true, row):
            found.wrong_figures[margin_id] = difference
    for position_id, position in read.positions.items():
        account = read.accounts.get(position.margin_id)
        if account is None or account.state == "unknown":
            continue
        if difference := _difference(truth.positions.get(position_id), position):
            found.wrong_figures[position_id] = difference
    if read.is_complete:
        found.vanished = (truth.accounts.keys() - read.accounts.keys()) | (
            truth.positions.keys() - read.positions.keys()
        )
    found.shown = len(truth.accounts.keys() & read.accounts.keys())
    found.unknown = len(read.unknown - truth.unknown)
    return found


def _difference(true: Any, read: Any) -> str:
    if true is None:
        return "is not there in truth"
    return "; ".join(
        f"{name}: {before} is read as {after}"
        for name, before, after in _fields(true, read)
        if after not in (None, before) and name not in COUNTS and not _is_reason(before, after)
    )


def _fields(true: Any, read: Any) -> Iterator[tuple[str, Any, Any]]:
    """Each field of two rows, those of their exact integers one by one."""
    for name in type(read).__dataclass_fields__:
        before, after = getattr(true, name), getattr(read, name)
        if name in ("inputs", "outputs"):
            for key in before.keys() | after.keys():
                yield f"{name}.{key}", before.get(key), after.get(key)
        else:
            yield name, before, after


def _is_reason(before: Any, after: Any) -> bool:
    """Whether a figure gave way to the reason why it is not known, as may any verdict of a list."""
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        return all(
            one == other or (isinstance(other, dict) and other.get("state") == "unknown")
            for one, other in zip(before, after, strict=True)
        )
    return before is not None and "not read" in str(after)


@cache
def recorded() -> tuple[Recorded, ...]:
    """Every deployment of every recorded chain that comes along."""
    found: list[Recorded] = []
    for path in sorted(RECORDINGS.glob("*.json.gz")):
        chain = RecordedChain(path)
        for table in chain.deployments:
            deployment = deployment_of(table, path.name, for_people=True)
            is_all_in_logs = protocols()[deployment.protocol].needs_logs
            sources = ("logs",) if is_all_in_logs else ("logs", "state")
            found += [Recorded(chain, deployment, source) for source in sources]
    return tuple(found)


def sample(places: Sequence[int], count: int, seed: str) -> list[int]:
    """A few of them, the same on every run."""
    return sorted(random.Random(seed).sample(places, min(count, len(places))))


def sweep(one: Recorded, count: int) -> Iterator[tuple[str, str, str, Verdict]]:
    """Event, way, how many logs, and what is wrong: up to ``count`` single logs and all at once."""
    for event, places in one.events().items():
        for way, damage in DAMAGES.items():
            if not places:
                continue
            for place in sample(places, count, f"{one.title} {event} {way}"):
                yield event, way, "one", judge(one.truth(), one.damaged(damage, [place]))
            yield event, way, "all", judge(one.truth(), one.damaged(damage, places))


def main(names: Sequence[str]) -> int:
    """Print the tally of the full sweep; 1 if anything is wrong."""
    wrong = 0
    for one in recorded():
        if names and one.deployment.protocol not in names:
            continue
        tally: dict[str, int] = defaultdict(int)
        whole = len(one.truth().accounts)
        for event, way, count, found in sweep(one, 20):
            tally["damaged chains"] += 1
            tally["wrong safe"] += len(found.wrong_safe)
            tally["wrong figures"] += len(found.wrong_figures)
            tally["vanished"] += len(found.vanished)
            if count == "one":
                tally["most unknown of one log"] = max(
                    tally["most unknown of one log"], found.unknown
                )
                tally["fewest shown of one log"] = min(
                    tally.get("fewest shown of one log", whole), found.shown
                )
            if not found.holds:
                wrong += 1
                click.echo(f"  {one.title} {event} {way} {count}: {found}"[:400])
        click.echo(f"{one.title}: accounts {whole}, {dict(tally)}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
