"""When the next request may leave: a rate limit, and the pauses that providers ask for."""

import math
import re
import threading
import time
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from typing import Any, Final

_TRY_AGAIN: Final = re.compile(
    r"(?:again|retry|wait)\D{0,20}(\d+(?:\.\d+)?) ?(ms|milli|m\b|min|s\b|sec)", re.IGNORECASE
)
_HINTS: Final = ("backoff_seconds", "retry_after", "retryafter", "try_again_in")


class Pace:
    """One gate for all threads: requests leave at most at the rate, and none during a pause."""

    def __init__(
        self,
        per_second: float | None,
        sleep: Callable[[float], object],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._gap = 1 / per_second if per_second else 0.0
        self._sleep = sleep
        self._clock = clock
        self._next = 0.0
        self._lock = threading.Lock()

    def wait(self) -> None:
        """Wait for this request's turn."""
        with self._lock:
            now = self._clock()
            turn = max(now, self._next)
            self._next = turn + self._gap
        if turn > now:
            self._sleep(turn - now)

    def pause(self, seconds: float) -> None:
        """Let no request leave for so many seconds."""
        with self._lock:
            self._next = max(self._next, self._clock() + seconds)


def retry_after(headers: Mapping[str, str], now: Callable[[], float]) -> float | None:
    """Seconds until the time that a ``Retry-After`` header names (seconds, or an HTTP date)."""
    value = headers.get("Retry-After", "").strip()
    if (seconds := _seconds(value)) is not None:
        return seconds
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - now())
    except (TypeError, ValueError, OverflowError):
        return None


def hinted_wait(data: Any, message: str) -> float | None:
    """Seconds to wait as the body of an error says: in its ``data``, or in its words."""
    if (hint := _find_hint(data, depth=4)) is not None:
        return hint
    if found := _TRY_AGAIN.search(message):
        scale = {"ms": 0.001, "mi": 0.001, "m": 60.0}
        unit = found[2].lower()
        return float(found[1]) * (60.0 if unit == "min" else scale.get(unit[:2], 1.0))
    return None


def _seconds(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return max(0.0, value) if math.isfinite(value) else None


def _find_hint(data: Any, depth: int) -> float | None:
    if not isinstance(data, dict) or depth == 0:
        return None
    for key, value in data.items():
        named = str(value).rstrip("s") if str(key).lower() in _HINTS else ""
        if (seconds := _seconds(named)) is not None:
            return seconds
        if (nested := _find_hint(value, depth - 1)) is not None:
            return nested
    return None
