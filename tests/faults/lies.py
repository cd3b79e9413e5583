"""False answers to eth_getLogs: well-formed, plausible, and not what the chain holds."""

from collections.abc import Callable
from random import Random
from typing import Any

Logs = list[dict[str, Any]]


def tell(lie: str, random: Random, logs: Logs, query: dict[str, Any]) -> Logs | None:
    """The answer with the lie in it, or ``None`` where it cannot be told of these logs."""
    return LIES[lie](random, logs, query) if logs else None


def _empty(_random: Random, _logs: Logs, _query: dict[str, Any]) -> Logs:
    return []


def _without_a_block(random: Random, logs: Logs, _query: dict[str, Any]) -> Logs:
    missing = random.choice(logs)["blockNumber"]
    return [log for log in logs if log["blockNumber"] != missing]


def _duplicated(random: Random, logs: Logs, _query: dict[str, Any]) -> Logs:
    return [*logs, *random.sample(logs, random.randrange(1, len(logs) + 1))]


def _shuffled(random: Random, logs: Logs, _query: dict[str, Any]) -> Logs | None:
    found = random.sample(logs, len(logs))
    return found if found != logs else None


def _outside(random: Random, logs: Logs, query: dict[str, Any]) -> Logs | None:
    first, last = int(query["fromBlock"], 16), int(query["toBlock"], 16)
    number = random.choice((first - random.randrange(1, 9), last + random.randrange(1, 9)))
    if number < 0:
        return None
    return [*logs, random.choice(logs) | {"blockNumber": hex(number)}]


def _wrong_hash(random: Random, logs: Logs, _query: dict[str, Any]) -> Logs:
    """All logs of one block name another block's hash: of the same number, on no known branch."""
    chosen = random.choice(logs)["blockNumber"]
    wrong = f"{random.getrandbits(256):#066x}"
    return [log | {"blockHash": wrong} if log["blockNumber"] == chosen else log for log in logs]


LIES: dict[str, Callable[[Random, Logs, dict[str, Any]], Logs | None]] = {
    "false empty": _empty,
    "missing block": _without_a_block,
    "duplicated logs": _duplicated,
    "shuffled logs": _shuffled,
    "log outside the range": _outside,
    "wrong block hash": _wrong_hash,
}
