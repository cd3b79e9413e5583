"""How a node is spoken to: patience, pace and sizes. Nothing here is a secret."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Settings:
    """Times are in seconds, sizes in the unit that the name says.

    ``timeout`` bounds one request, ``max_attempts`` the tries of one question, ``max_wait`` a
    single pause between tries. ``log_window`` is the first range of blocks asked for; it adapts
    itself up to ``max_log_window``. ``bloom_checks`` is how many blocks without logs are checked
    in each range far below the head. ``replaceable`` says that another node stands by: silence is
    then waited for less. ``now`` is the clock that HTTP dates are compared with. ``sleep`` replaces
    waiting, for tests.
    """

    timeout: float = 30.0
    max_attempts: int = 5
    backoff: float = 0.5
    max_wait: float = 60.0
    concurrency: int = 4
    requests_per_second: float | None = None
    log_window: int = 2_000
    max_log_window: int = 100_000
    batch_size: int = 100
    multicall_size: int = 2_000
    multicall_bytes: int = 1 << 20
    max_response_bytes: int = 1 << 26
    bloom_checks: int = 10
    replaceable: bool = False
    now: Callable[[], float] = field(default=time.time, repr=False, compare=False)  # noqa: TID251
    sleep: Callable[[float], object] | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Progress:
    """What has been done of ``stage`` (``logs`` in blocks, ``state`` in reads); for a terminal.

    ``note`` is set where there is something to say, such as a wait that a provider asked for.
    """

    stage: str
    done: int
    total: int
    requests: int
    logs: int = 0
    note: str = ""
