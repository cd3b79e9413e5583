"""Working ahead: what comes next is made in a thread of its own while the last thing is used."""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any, Final, TypeVar

from analyzer.chain.pool import DaemonPool

T = TypeVar("T")
END: Final = object()


@contextmanager
def ahead(items: Iterator[T], most: int) -> Iterator[Iterator[T]]:
    """The same items, up to ``most`` of which are made before they are asked for.

    What an item raises is raised where it is asked for. Nobody waits for what nobody wants.
    """
    pool = DaemonPool(1)
    waiting: deque[Future[Any]] = deque(pool.submit(next, items, END) for _ in range(most))

    def taken() -> Iterator[T]:
        while (item := waiting.popleft().result()) is not END:
            waiting.append(pool.submit(next, items, END))
            yield item

    try:
        yield taken()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
