"""Threads that ask a node, and that nobody waits for when the user has had enough.

The interpreter joins the threads of a ``ThreadPoolExecutor`` before it exits, so a request that
hangs would hold up Ctrl-C; these are daemons.
"""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future
from queue import Empty, SimpleQueue
from typing import Any, Final, TypeVar

T = TypeVar("T")
Job = tuple[Future[Any], Callable[[], Any]]
LAST_WORD: Final = 1.0
"""Seconds for which threads whose connections have been shut are waited for."""


class DaemonPool(Executor):
    """At most ``workers`` daemon threads, started as work comes in."""

    def __init__(self, workers: int) -> None:
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._workers = workers
        self._threads: list[threading.Thread] = []
        self._is_closed = False

    def submit(self, fn: Callable[..., T], /, *args: Any, **options: Any) -> Future[T]:
        """See ``Executor``."""
        if self._is_closed:
            raise RuntimeError("the pool is closed")
        future: Future[T] = Future()
        self._jobs.put((future, lambda: fn(*args, **options)))
        if len(self._threads) < self._workers:
            thread = threading.Thread(target=self._work, name="rpc", daemon=True)
            self._threads.append(thread)
            thread.start()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """See ``Executor``; waits for a moment only."""
        self._is_closed = True
        while cancel_futures:
            try:
                job = self._jobs.get_nowait()
            except Empty:
                break
            if job is not None:
                job[0].cancel()
        for _ in self._threads:
            self._jobs.put(None)
        deadline = time.monotonic() + LAST_WORD
        for thread in self._threads if wait else ():
            thread.join(max(0.0, deadline - time.monotonic()))

    def _work(self) -> None:
        while True:
            job = self._jobs.get()
            if job is None:
                return
            _do(job)
            del job  # a result may be large: it is not to live as long as the thread


def _do(job: Job) -> None:
    future, work = job
    if future.set_running_or_notify_cancel():
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001  whoever asks for the result gets it
            future.set_exception(error)
