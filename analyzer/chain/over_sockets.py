"""Nodes behind ws:// and wss:// and on this machine's IPC socket, through web3's providers."""

import asyncio
import contextlib
import socket
import sys
import threading
import time
from collections.abc import Coroutine
from concurrent.futures import CancelledError, Future
from typing import Any, Final

import msgspec
import websockets
from web3.providers import IPCProvider, WebSocketProvider
from web3.types import RPCEndpoint

from analyzer.chain.failure import Kind
from analyzer.chain.settings import Settings
from analyzer.chain.transport import LostError, Reply

POSTED: Final = RPCEndpoint("")
CHUNK: Final = 1 << 20
TOO_BIG: Final = 1009  # the close code of RFC 6455
FAREWELL: Final = 1.0
"""Seconds that a node has to agree to the end of a connection."""
NESTED: Final = 1_000
"""Calls in calls, as Python has it: what web3 is built on raises it, and then a node's JSON of
lists in lists without end overruns the stack, which ends the process."""
sys.setrecursionlimit(NESTED)


class _TooLongError(Exception):
    pass


class _BytesOnly:
    """Makes a web3 provider carry payloads as they are."""

    def encode_rpc_request(self, _method: RPCEndpoint, payload: Any) -> bytes:
        """The payload, which is encoded already."""
        return bytes(payload)

    @staticmethod
    def decode_rpc_response(raw_response: bytes) -> Any:
        """The response, undecoded."""
        return raw_response


class _IpcProvider(_BytesOnly, IPCProvider):
    """Reads in time that grows with the answer; web3's own copies all of it for every 4 KiB."""

    def __init__(self, path: str, settings: Settings) -> None:
        super().__init__(path)
        self._settings = settings

    def _make_request(self, request: bytes) -> Any:
        held: Any = self._socket
        with self._lock, held:
            try:
                held.sock.sendall(request + b"\n")
            except BrokenPipeError:  # the node was started anew
                held.reset().sendall(request + b"\n")
            return self._answer(held.sock)

    def _answer(self, connection: socket.socket) -> bytes:
        deadline = time.monotonic() + self._settings.timeout
        body = bytearray()
        while (left := deadline - time.monotonic()) > 0:
            connection.settimeout(left)
            chunk = connection.recv(CHUNK)
            if not chunk:
                raise ConnectionResetError
            body += chunk
            if len(body) > self._settings.max_response_bytes:
                raise _TooLongError
            if chunk.rstrip().endswith((b"}", b"]")) and _is_whole(body):
                return bytes(body)
        raise TimeoutError


class IpcTransport:
    """A node on this machine, behind its socket file."""

    def __init__(self, path: str, settings: Settings) -> None:
        self._seconds = settings.timeout
        self._provider = _IpcProvider(path, settings)

    def exchange(self, payload: bytes) -> Reply:
        """See ``Transport``."""
        try:
            body: Any = self._provider.make_request(POSTED, payload)
            return Reply(body)
        except TimeoutError:
            lost = LostError(Kind.TIMEOUT, f"no answer within {self._seconds:g} s")
        except _TooLongError:
            lost = LostError(Kind.TOO_MANY_RESULTS, "a response that is too large to take")
        except (BrokenPipeError, ConnectionResetError):
            lost = LostError(Kind.TRANSIENT, "the connection was dropped")
        except OSError:
            lost = LostError(Kind.UNREACHABLE, "no node listens at the IPC path")
        raise lost

    def close(self) -> None:
        """See ``Transport``; what is under way ends with it."""
        held: Any = self._provider._socket  # noqa: SLF001  web3 offers no close
        if (connection := held.sock) is not None:
            with contextlib.suppress(OSError):  # the node has closed it already
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()


def _is_whole(body: bytearray) -> bool:
    try:
        msgspec.json.decode(body, type=msgspec.Raw)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True


class _WebSocketProvider(WebSocketProvider):
    async def socket_recv(self) -> Any:
        if self._ws is None:
            raise ConnectionError
        return await self._ws.recv(decode=False)


class WebSocketTransport:
    """A node behind ws:// or wss://: web3's asynchronous provider on an event loop of its own.

    One request at a time; a connection on which anything went wrong is given up, so that a late
    answer is never taken for that of another request.
    """

    def __init__(self, url: str, settings: Settings) -> None:
        self._url = url
        self._settings = settings
        self._lock = threading.Lock()
        self._provider: _WebSocketProvider | None = None
        self._asking: Future[Any] | None = None
        self._is_closed = False
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def exchange(self, payload: bytes) -> Reply:
        """See ``Transport``."""
        seconds = self._settings.timeout
        with self._lock:
            if self._is_closed:
                raise LostError(Kind.UNREACHABLE, "the connection has been closed")
            try:
                return Reply(self._run(asyncio.wait_for(self._exchange(payload), seconds)))
            except TimeoutError:
                lost = LostError(Kind.TIMEOUT, f"no answer within {seconds:g} s")
            except websockets.exceptions.InvalidStatus as error:
                response = error.response
                return Reply(bytes(response.body), response.status_code, dict(response.headers))
            except websockets.exceptions.ConnectionClosed as error:
                ends = (error.rcvd, error.sent)
                if any(end is not None and end.code == TOO_BIG for end in ends):
                    lost = LostError(Kind.TOO_MANY_RESULTS, "a message that is too large")
                else:
                    lost = LostError(Kind.TRANSIENT, "the connection was dropped")
            except (OSError, websockets.exceptions.WebSocketException, ValueError):
                lost = LostError(Kind.UNREACHABLE, "no WebSocket can be opened")
            except CancelledError:
                lost = LostError(Kind.UNREACHABLE, "the connection has been closed")
            self._run(self._drop())
        raise lost

    def close(self) -> None:
        """See ``Transport``; what is under way ends with it."""
        self._is_closed = True
        if (asking := self._asking) is not None:
            asking.cancel()
        with self._lock:
            self._run(self._drop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        self._asking = asyncio.run_coroutine_threadsafe(work, self._loop)
        return self._asking.result()

    async def _exchange(self, payload: bytes) -> bytes:
        if self._provider is None:
            options = {"max_size": self._settings.max_response_bytes, "close_timeout": FAREWELL}
            provider = _WebSocketProvider(self._url, options, use_text_frames=True)
            await provider._provider_specific_connect()  # noqa: SLF001  connect() retries and logs
            self._provider = provider
        await self._provider.socket_send(payload)
        return bytes(await self._provider.socket_recv())

    async def _drop(self) -> None:
        provider, self._provider = self._provider, None
        if provider is not None:
            await provider._provider_specific_disconnect()  # noqa: SLF001  its counterpart
