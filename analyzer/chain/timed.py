"""HTTP connections whose responses have a deadline as a whole, not only between two bytes.

A node that trickles a header or a body would otherwise be waited for without end: the timeouts of
sockets begin anew with every byte. The deadline is what is left of urllib3's total timeout when the
response begins.
"""

import http.client
import io
import socket
import time
from typing import Any
from weakref import WeakSet

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

Sockets = WeakSet[socket.socket]


class _TimedReader(io.RawIOBase):
    """A socket's bytes until a deadline; ``TimeoutError`` from then on."""

    def __init__(self, used: socket.socket, raw: Any) -> None:
        self._socket = used
        self._raw = raw
        self._timeout = used.gettimeout()
        self._deadline = time.monotonic() + (self._timeout or 0.0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._socket.settimeout(left)
        count: int | None = self._raw.readinto(buffer)
        return count

    def close(self) -> None:
        if not self.closed:
            if self._socket.fileno() >= 0:
                self._socket.settimeout(self._timeout)
            self._raw.close()
        super().close()


class _TimedResponse(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **options: Any) -> None:
        super().__init__(sock, *args, **options)
        fp: Any = self.fp
        self.fp = io.BufferedReader(_TimedReader(sock, fp.detach()))


class TimedAdapter(HTTPAdapter):
    """requests' adapter with such connections; ``sockets`` is told of each that is opened."""

    def __init__(self, sockets: Sockets, **options: Any) -> None:
        self._pools = _pools(sockets)
        super().__init__(**options)

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        """See ``HTTPAdapter``."""
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = self._pools

    def proxy_manager_for(self, *args: Any, **options: Any) -> Any:
        """See ``HTTPAdapter``; a SOCKS proxy has connections of its own kind, without deadline."""
        manager = super().proxy_manager_for(*args, **options)
        if not args[0].lower().startswith("socks"):
            manager.pool_classes_by_scheme = self._pools
        return manager


def _pools(sockets: Sockets) -> dict[str, type[HTTPConnectionPool]]:
    class Plain(HTTPConnection):
        response_class = _TimedResponse

        def connect(self) -> None:
            super().connect()
            sockets.add(self.sock)

    class Secure(HTTPSConnection):
        response_class = _TimedResponse

        def connect(self) -> None:
            super().connect()
            sockets.add(self.sock)

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = Secure

    return {"http": PlainPool, "https": SecurePool}
