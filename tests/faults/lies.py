"""False answers to eth_getLogs: well-formed, plausible, and not what the chain holds.

A wrong hash or time of a single block is told of blocks near the head only, where reorganisations
bring it about: far below, not every header is read.
"""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

Logs = list[dict[str, Any]]
NEAR_HEAD = 100
"""Blocks; less than those of which our client reads every header."""


@dataclass(frozen=True, slots=True)
class Asked:
    """The blocks that were asked for, and the highest that the chain ever had."""

    first: int
    last: int
    highest: int


def tell(lie: str, random: Random, logs: Logs, asked: Asked) -> Logs | None:
    """The answer with the lie in it, or ``None`` where it cannot be told of these logs."""
    return LIES[lie](random, logs, asked) if logs else None


def _empty(_random: Random, _logs: Logs, _asked: Asked) -> Logs:
    return []


def _without_a_block(random: Random, logs: Logs, _asked: Asked) -> Logs:
    missing = random.choice(logs)["blockNumber"]
    return [log for log in logs if log["blockNumber"] != missing]


def _duplicated(random: Random, logs: Logs, _asked: Asked) -> Logs:
    return [*logs, *random.sample(logs, random.randrange(1, len(logs) + 1))]


def _shuffled(random: Random, logs: Logs, _asked: Asked) -> Logs | None:
    found = random.sample(logs, len(logs))
    return found if found != logs else None


def _outside(random: Random, logs: Logs, asked: Asked) -> Logs | None:
    away = random.randrange(1, 9)
    number = random.choice((asked.first - away, asked.last + away))
    if number < 0:
        return None
    return [*logs, random.choice(logs) | {"blockNumber": hex(number)}]


def _wrong_hash(random: Random, logs: Logs, asked: Asked) -> Logs | None:
    """All logs of one block name another block's hash: of the same number, on no known branch."""
    return _of_one_block(random, logs, asked, {"blockHash": f"{random.getrandbits(256):#066x}"})


def _wrong_time(random: Random, logs: Logs, asked: Asked) -> Logs | None:
    """All logs of one block name another time, where logs name any."""
    if "blockTimestamp" not in logs[0]:
        return None
    return _of_one_block(random, logs, asked, {"blockTimestamp": hex(random.getrandbits(31) | 1)})


def _of_one_block(random: Random, logs: Logs, asked: Asked, wrong: dict[str, str]) -> Logs | None:
    near = {log["blockNumber"] for log in logs
            if int(log["blockNumber"], 16) > asked.highest - NEAR_HEAD}  # fmt: skip
    if not near:
        return None
    chosen = random.choice(sorted(near))
    return [log | wrong if log["blockNumber"] == chosen else log for log in logs]


LIES: dict[str, Callable[[Random, Logs, Asked], Logs | None]] = {
    "false empty": _empty,
    "missing block": _without_a_block,
    "duplicated logs": _duplicated,
    "shuffled logs": _shuffled,
    "log outside the range": _outside,
    "wrong block hash": _wrong_hash,
    "wrong block time": _wrong_time,
}
