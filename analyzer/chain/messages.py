"""Messages between two processes of ours over a socket: columns are sent as they lie in memory."""

import pickle
import socket
from collections.abc import Iterator
from typing import Any, Final

import numpy as np

from analyzer.arrays import Bytes

SIZE: Final = np.dtype(np.uint64)
QUIETLY: Final = getattr(socket, "MSG_NOSIGNAL", 0)
"""A line that nobody listens to is an error, and no signal that ends the program."""


def send(line: socket.socket, message: object) -> None:
    """Send a message; returns when the other side has taken all that the line does not hold.

    How many parts follow comes first, then their sizes, then they: the message without its columns,
    and each column. Raises ``OSError`` where the other side is gone.
    """
    columns: list[pickle.PickleBuffer] = []
    parts = [memoryview(pickle.dumps(message, protocol=5, buffer_callback=columns.append))]
    parts += [column.raw() for column in columns]
    line.sendall(np.array([len(parts), *(part.nbytes for part in parts)], SIZE).data, QUIETLY)
    for part in parts:
        line.sendall(part, QUIETLY)


def received(line: socket.socket) -> Iterator[Any]:
    """What the other side sends, until it hangs up; ``EOFError`` where it does so in a message.

    The other side is a process that we started, or that started us: its word is taken.
    """
    while len(count := _taken(line, SIZE.itemsize, may_end=True)):
        sizes = _taken(line, int(count.view(SIZE)[0]) * SIZE.itemsize).view(SIZE).tolist()
        said, *columns = [_taken(line, size) for size in sizes]
        yield pickle.loads(said.tobytes(), buffers=columns)  # noqa: S301  sent by ourselves


def _taken(line: socket.socket, size: int, *, may_end: bool = False) -> Bytes:
    """So many bytes, or none where the line ends; a signal may cut short what comes at once."""
    taken, count = np.empty(size, np.uint8), 0
    while count < size:
        more = line.recv_into(taken[count:].data, size - count, socket.MSG_WAITALL)
        if not more:
            if may_end and not count:
                return taken[:0]
            raise EOFError
        count += more
    return taken
