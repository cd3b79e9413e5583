"""Mends ``time.sleep`` where the clock is shifted; in the path of such runs alone.

Debian's libfaketime (0.9.10) takes the moment at which Python 3.11 and later wake from
``clock_nanosleep`` for one on the shifted clock, though the monotonic clock is not shifted, and
every sleep ends with EINVAL. A wait for no file at all is left alone.
"""

import select
import time


def sleep(seconds: float, /) -> None:
    """See ``time.sleep``."""
    select.select([], [], [], seconds)


time.sleep = sleep
