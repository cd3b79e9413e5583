"""The process that reads the logs of a node for another one: see ``apart.py``."""

import os
import socket
from collections.abc import Iterator
from contextlib import suppress
from threading import Lock, Thread
from traceback import extract_tb, format_list, print_exc
from typing import Any, Final

from analyzer.chain.apart import Said, Task
from analyzer.chain.messages import received, send
from analyzer.chain.node import open_node
from analyzer.chain.settings import Progress
from analyzer.errors import AnalyzerError
from analyzer.evm import LogBatch
from analyzer.payloads import Templates

INPUT: Final = 0
"""The number of the file that the line to the other process is."""


def serve() -> None:
    """Read what the process at the other end of the line wants, if anything, as long as it does."""
    parent = socket.socket(fileno=INPUT)
    heard = received(parent)
    task: Task | None = None
    with suppress(EOFError, OSError):  # our parent has ended
        task = next(heard, None)
    if task is None:  # there was nothing to read, or no one to read it for
        return
    Thread(target=_listen, args=(heard, task.templates), daemon=True).start()
    turn = Lock()

    def say(what: LogBatch | str | Exception | None) -> None:
        with turn:
            try:
                send(parent, Said(what, node.requests))
            except OSError:  # nobody listens any more
                os._exit(0)

    def report(step: Progress) -> None:
        if step.note:
            say(step.note)

    node = open_node(task.url, task.settings, report, task.label, is_apart=True)
    node.is_known(task.head)
    try:
        for batch in node.logs(task.filters, task.from_block, task.to_block, task.templates):
            say(batch)
        say(None)
    except Exception as error:  # noqa: BLE001  whoever wants the logs gets it
        say(_portable(error))
    os._exit(0)


def _listen(heard: Iterator[Any], templates: Templates) -> None:
    """Learn what the other process has learnt; end with it, whatever is under way."""
    try:
        with suppress(EOFError, OSError):
            for new in heard:
                templates.learn(new)
    except BaseException:  # noqa: BLE001  if nobody listened, both processes would wait for ever
        print_exc()
        os._exit(1)
    os._exit(0)


def _portable(error: Exception) -> Exception:
    """The error as it can be sent: a bug tells where it was, without the values of the place."""
    if isinstance(error, AnalyzerError):
        return error
    bug = RuntimeError(f"{type(error).__name__} in the process that reads logs")
    bug.add_note("".join(format_list(extract_tb(error.__traceback__))) + type(error).__name__)
    return bug
