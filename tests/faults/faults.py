"""Which request meets which fault: drawn by the question and how often it was asked.

So a seed's faults do not hang on the order in which threads ask. No question meets more than
``IN_A_ROW`` faults before it is answered truly: a client that asks again gets through.
"""

import json
import threading
from collections import Counter
from collections.abc import Sequence
from random import Random
from typing import Any

from tests.faults import plan as plans

IN_A_ROW = 2
MOST = {"hang": 2, "413": 3, "range error": 3, "results error": 3, "behind head": 2,
        "silently behind head": 2}  # fmt: skip
"""How often a seed may meet what costs a second, or what makes a client small for good."""
OF_LOGS = (*plans.LIES, "range error", "results error", "413", "wrong length")
"""Faults that only a few requests can meet: half of what those meet is among them."""
WORTH_SHRINKING = 8
"""Blocks, or requests of a batch, below which no fault says that it is too much."""

Query = dict[str, Any]


def range_of(query: Query) -> tuple[int, int]:
    """The first and last block of an eth_getLogs."""
    wanted = query["params"][0]
    return int(wanted["fromBlock"], 16), int(wanted["toBlock"], 16)


def blocks_of(query: Query) -> int:
    """How many blocks an eth_getLogs asks for by number; 0 for anything else."""
    if query["method"] != "eth_getLogs" or "blockHash" in query["params"][0]:
        return 0
    first, last = range_of(query)
    return last - first + 1


def question(query: Query) -> str:
    """What is asked, whatever the size of its range is."""
    params = query["params"]
    if query["method"] == "eth_getLogs":
        params = [{key: value for key, value in params[0].items() if key != "toBlock"}]
    return f"{query['method']} {json.dumps(params)}"


class Faults:
    """The faults of one seed, as they are drawn."""

    def __init__(self, plan: plans.Plan) -> None:
        self._plan = plan
        self._asked: Counter[str] = Counter()
        self._streak: Counter[str] = Counter()
        self._met: Counter[str] = Counter()
        self._lock = threading.Lock()

    def draw(self, queries: Sequence[Query]) -> tuple[str | None, Random]:
        """The fault of one HTTP request, if it meets one, and the dice for its details."""
        asked = [question(query) for query in queries]
        with self._lock:
            nth = self._asked[asked[0]]
            self._asked.update(asked)
            random = Random(f"{self._plan.seed} {asked[0]} {len(asked)} {nth}")
            possible = [fault for fault in self._plan.faults if self._suits(fault, queries)]
            met = random.random() < self._plan.rate and bool(possible)
            if not met or max(self._streak[one] for one in asked) >= IN_A_ROW:
                for one in asked:
                    del self._streak[one]
                return None, random
            special = [fault for fault in possible if fault in OF_LOGS]
            fault = random.choice(special if special and random.random() < 0.5 else possible)
            self._streak.update(asked)
            self._met[fault] += 1
            return fault, random

    def _suits(self, fault: str, queries: Sequence[Query]) -> bool:
        """Whether a node that is asked this could fail so."""
        if self._met[fault] >= MOST.get(fault, len(self._asked)):
            return False
        blocks = blocks_of(queries[0]) if len(queries) == 1 else 0
        match fault:
            case "wrong length":
                suits = len(queries) > 1
            case "413":
                suits = max(blocks, len(queries)) >= WORTH_SHRINKING
            case "range error" | "results error":
                suits = blocks >= WORTH_SHRINKING
            case "lag error":
                suits = all(query["method"] != "eth_chainId" for query in queries)
            case _:
                suits = fault not in plans.LIES or blocks > 0
        return suits
