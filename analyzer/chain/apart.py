"""Logs of a node, read by a process of its own beside the one that decodes and stores them.

Python runs one thread at a time, so reading answers in a thread keeps a run from using a second
processor. The process is told the URL over a socket and tells no one; it ends with its parent, or
when nobody wants its logs any more.
"""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final, Protocol

from analyzer.chain.failure import NodeError
from analyzer.chain.messages import received, send
from analyzer.chain.settings import Settings
from analyzer.evm import LogBatch, LogFilter
from analyzer.payloads import Templates

LAST_WORD: Final = 5.0
"""Seconds that a process whose line has been cut may take to end."""
OURS: Final = str(Path(__file__).parents[2].absolute())
"""Where this package lies: another release may lie where this process imports from."""
ONE_THREAD: Final = {"OPENBLAS_NUM_THREADS": "1"}
"""NumPy's library for matrices, of which there are none, otherwise keeps the processors busy."""
PROGRAM: Final = """import sys
path = {path!a}
sys.path[:] = [{ours!a}, *path]
import analyzer
sys.path[:] = path
from analyzer.chain.apart_main import serve
serve()"""


@dataclass(frozen=True, slots=True)
class Task:
    """What a process is to read, and from where; the chain is at least as high as ``head``."""

    url: str = field(repr=False)
    label: str
    settings: Settings
    head: int
    filters: Sequence[LogFilter]
    from_block: int
    to_block: int
    templates: Templates


@dataclass(frozen=True, slots=True)
class Said:
    """What a process says, and how many requests it has sent so far.

    It says a batch, a note, an error that ends it, or ``None`` when all has been read.
    """

    what: LogBatch | str | Exception | None
    requests: int


class Read(Protocol):
    """Asks a process for the logs of a range."""

    def __call__(
        self,
        settings: Settings,
        head: int,
        filters: Sequence[LogFilter],
        from_block: int,
        to_block: int,
        templates: Templates | None,
        /,
    ) -> Iterator[LogBatch]:
        """See ``Chain.logs``."""
        ...


class LogProcesses:
    """Starts a process for each range that is read so; ``requests`` counts what all have sent."""

    def __init__(self, url: str, label: str, note: Callable[[str], None]) -> None:
        self.requests = 0
        self._url = url
        self._label = label
        self._note = note
        self._running: list[_Running] = []

    @contextmanager
    def started(self) -> Iterator[Read | None]:
        """A process that is ready when it is asked to read; none where none can be started."""
        try:
            one = _started()
        except OSError:  # no memory or no process is left: whoever wants the logs reads them
            yield None
            return
        self._running.append(one)
        try:
            yield partial(self._read, one)
        finally:
            self._running.remove(one)
            _cut(one)
            _end(one)
            one.line.close()

    def close(self) -> None:
        """End all processes, whoever waits for what they read."""
        for one in list(self._running):
            _cut(one)
            _end(one)

    def _read(
        self,
        one: "_Running",
        settings: Settings,
        head: int,
        filters: Sequence[LogFilter],
        from_block: int,
        to_block: int,
        templates: Templates | None,
    ) -> Iterator[LogBatch]:
        """Consecutive batches that cover the range; what ``templates`` learns the process learns.

        They raise what ``NodeChain.logs`` raises, and ``NodeError`` where the process is ended.
        """
        known = templates or Templates()
        told, counted = {template.key for template in known}, 0
        _tell(
            one,
            Task(self._url, self._label, settings, head, filters, from_block, to_block, known),
        )
        for said in _heard(one):
            self.requests += said.requests - counted
            counted = said.requests
            match said.what:
                case None:
                    return
                case str() as note:
                    self._note(note)
                case Exception() as error:
                    raise error
                case batch:
                    yield batch
                    if new := [template for template in known if template.key not in told]:
                        told.update(template.key for template in new)
                        _tell(one, new)
        raise NodeError(
            f"the process that read the logs of {self._label} has been ended ({_end(one)})",
            "run again, with more memory if there was too little",
        )


@dataclass(frozen=True, slots=True)
class _Running:
    process: subprocess.Popen[bytes]
    line: socket.socket


def can_read_apart(settings: Settings) -> bool:
    """Whether a second process can be started here, has a processor, and waits as this one does."""
    processors = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    is_python = bool(sys.executable) and not getattr(sys, "frozen", False)
    return os.name == "posix" and is_python and processors > 1 and not settings.sleep


def _started() -> _Running:
    """A process, which has the other end of its line for its input; raises ``OSError``.

    It belongs to no terminal's foreground, so that Ctrl-C is ours to answer.
    """
    line, its = socket.socketpair()
    for end in (line, its):
        end.settimeout(None)  # whatever the default is
    with its, ExitStack() as undo:
        undo.callback(line.close)
        process = subprocess.Popen(  # noqa: S603  our own program
            [sys.executable, "-P", *_flags(), "-c", PROGRAM.format(ours=OURS, path=_path())],
            stdin=its.fileno(),
            stdout=subprocess.DEVNULL,
            process_group=0,
            env=os.environ | ONE_THREAD,
        )
        undo.pop_all()
    return _Running(process, line)


def _path() -> list[str]:
    """From where this process imports, but no folder that it happens to be in."""
    places = [place for place in sys.path if isinstance(place, str) and place]
    return [str(Path(place).absolute()) for place in places]


def _flags() -> list[str]:
    """What this process was told not to look at, when it was started."""
    told = {
        "-E": sys.flags.ignore_environment,
        "-s": sys.flags.no_user_site,
        "-S": sys.flags.no_site,
    }
    return [flag for flag, is_set in told.items() if is_set]


def _cut(one: _Running) -> None:
    """End what is said on a line, whoever else has got hold of it."""
    with suppress(OSError):  # the process has hung up itself
        one.line.shutdown(socket.SHUT_RDWR)


def _tell(one: _Running, message: object) -> None:
    with suppress(OSError):  # the process has ended: whoever listens to it is told
        send(one.line, message)


def _heard(one: _Running) -> Iterator[Any]:
    """What the process says until it has ended, in whichever way."""
    with suppress(EOFError, OSError):
        yield from received(one.line)


def _end(one: _Running) -> str:
    """Wait until a process whose line is cut has ended; how it did."""
    try:
        code = one.process.wait(LAST_WORD)
    except subprocess.TimeoutExpired:
        one.process.kill()
        code = one.process.wait()
    names = {one.value: one.name for one in signal.Signals}
    return f"exit code {code}" if code >= 0 else names.get(-code, f"signal {-code}")
