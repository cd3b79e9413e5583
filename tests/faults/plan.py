"""What one seed brings upon a run: everything is drawn before it starts, and by the seed alone."""

import signal
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from random import Random

from tests.faults.traded_chain import Move
from tests.faults.wordings import ADDRESSES, RANGE, RESULTS, Wording, choose

REFUSALS = ("range error", "results error", "rate error", "lag error", "transient error")
HTTP = ("429", "429 with Retry-After", "413")
LOST = ("hang", "dropped before the answer", "dropped within the answer")
BROKEN = ("truncated", "web page", "not JSON", "wrong id", "wrong length", "no result")
LIES = (
    "false empty", "missing block", "duplicated logs", "shuffled logs", "log outside the range",
    "wrong block hash", "wrong block time",
)  # fmt: skip
EPISODES = ("behind head", "silently behind head", "stale fork")
SINGLE = (*REFUSALS, *HTTP, *LOST, *BROKEN, *LIES, "behind head", "silently behind head")
CHAIN = ("reorg during a run", "reorg between runs")
CLASSES = (*REFUSALS, *HTTP, *LOST, *BROKEN, *LIES, *EPISODES, *CHAIN)
"""Everything that can be switched off; the limits of a provider are lasting, and no faults."""

LARGEST_DEPTH = 64


@dataclass(frozen=True, slots=True)
class Provider:
    """Limits that hold for the whole seed, in one provider's words, and how the logs look."""

    max_range: int | None
    range_words: Wording
    max_results: int | None
    results_words: Wording
    max_addresses: int | None
    addresses_words: Wording
    times_in_logs: bool


@dataclass(frozen=True, slots=True)
class Kill:
    """A signal, so many seconds after the stage's n-th request."""

    request: int
    delay: float
    signal: signal.Signals


@dataclass(frozen=True, slots=True)
class Stage:
    """One way to the head: what happens to the chain before, and what befalls us on the way.

    ``moves`` are by the number of the request before which they happen.
    """

    before: Move
    moves: tuple[tuple[int, Move], ...]
    kills: tuple[Kill, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """One seed. ``rate`` is the share of requests that meet a fault; sizes are in blocks.

    ``is_apart`` says that logs are read by a process of their own.
    """

    seed: int
    blocks: int
    log_window: int
    concurrency: int
    is_apart: bool
    names_amms: bool
    rate: float
    faults: tuple[str, ...]
    stale: bool
    provider: Provider
    stages: tuple[Stage, ...]


def draw(seed: int, without: Collection[str] = ()) -> Plan:
    """The plan of a seed; what is left out changes nothing else of it."""
    random = Random(f"plan {seed}")
    blocks = random.randrange(150, 300)
    window = random.choice((8, 12, 20, 40, 80))
    met = random.sample(SINGLE, random.randrange(6, len(SINGLE) + 1))
    stale = random.random() < 0.5
    return Plan(
        seed=seed,
        blocks=blocks,
        log_window=window,
        concurrency=random.choice((1, 2, 4)),
        is_apart=Random(f"apart {seed}").random() < 0.5,
        names_amms=random.random() < 0.5,
        rate=random.uniform(0.05, 0.3),
        faults=tuple(fault for fault in met if fault not in without),
        stale=stale and "stale fork" not in without,
        provider=_provider(random),
        stages=_growing_at_last(
            [
                _stage(Random(f"stage {seed} {number}"), number, without, blocks // window + 8)
                for number in range(random.choice((2, 2, 3)))
            ]
        ),
    )


def _provider(random: Random) -> Provider:
    return Provider(
        max_range=random.choice((None, None, random.randrange(5, 40))),
        range_words=choose(random, RANGE),
        max_results=random.choice((None, None, random.randrange(4, 60))),
        results_words=choose(random, RESULTS),
        max_addresses=random.choice((None, None, None, 1, 2)),
        addresses_words=choose(random, ADDRESSES),
        times_in_logs=random.random() < 0.6,
    )


def _stage(random: Random, number: int, without: Collection[str], requests: int) -> Stage:
    """The first stage reads the whole chain, and has the most to be killed in."""
    before = Move() if number == 0 else _move(random, "reorg between runs" not in without)
    during = [(random.randrange(1, requests), _move(random, True)) for _ in range(2)]
    count = random.choice((0, 1, 1, 2))
    moves = during[:count] if "reorg during a run" not in without else []
    kills = [
        Kill(
            random.randrange(1, requests if number == 0 else 16),
            random.uniform(0, 0.06),
            random.choice((signal.SIGKILL, signal.SIGKILL, signal.SIGKILL, signal.SIGINT)),
        )
        for _ in range(random.choice((1, 1, 2)) if number == 0 else random.choice((0, 1)))
    ]
    by_request = sorted(moves, key=lambda move: move[0])
    return Stage(before, tuple(by_request), tuple(sorted(kills, key=lambda kill: kill.request)))


def _growing_at_last(stages: Sequence[Stage]) -> tuple[Stage, ...]:
    """A chain that only got shorter looks like a node that lags: in the end a block comes."""
    *others, last = stages
    if last.moves:
        *earlier, (request, move) = last.moves
        return (*others, replace(last, moves=(*earlier, (request, _growing(move)))))
    return (*others, replace(last, before=_growing(last.before)))


def _growing(move: Move) -> Move:
    return replace(move, grows=max(1, move.grows))


def _move(random: Random, may_reorg: bool) -> Move:
    """Mostly a longer branch, sometimes a shorter one, one without any logs, or only growth."""
    depth = min(LARGEST_DEPTH, round(2 ** random.uniform(0, 6.3)))
    grows = depth + random.randrange(20)
    if random.random() < 0.15:
        grows = random.randrange(depth + 1)
    is_empty = random.random() < 0.2
    if random.random() < 0.25 or not may_reorg:
        return Move(0, max(1, grows - depth), is_empty)
    return Move(depth, grows, is_empty)
