"""Nodes behind http:// and https://, through web3's HTTPProvider."""

import contextlib
import socket
from typing import Any, Final
from weakref import WeakSet

import requests
import urllib3
from web3.providers import HTTPProvider

from analyzer.chain.failure import Kind
from analyzer.chain.settings import Settings
from analyzer.chain.timed import TimedAdapter
from analyzer.chain.transport import POSTED, BytesOnly, LostError, Reply

CHUNK: Final = 1 << 20
CONNECT: Final = 10.0
"""Seconds that a connection may take, where the whole request may take longer."""


class _HttpProvider(BytesOnly, HTTPProvider):
    pass


class _TooLongError(requests.RequestException):
    pass


class _BoundedSession(requests.Session):
    """Reads a response within the timeout as a whole, and never more of it than allowed."""

    def __init__(self, settings: Settings, sockets: "WeakSet[socket.socket]") -> None:
        super().__init__()
        self._most = settings.max_response_bytes
        self._timeout = urllib3.Timeout(
            connect=min(CONNECT, settings.timeout), total=settings.timeout
        )
        adapter = TimedAdapter(sockets, pool_maxsize=settings.concurrency + 1)
        self.mount("http://", adapter)
        self.mount("https://", adapter)

    def post(self, url: Any, data: Any = None, json: Any = None, **options: Any) -> Any:
        options |= {"stream": True, "allow_redirects": False, "timeout": self._timeout}
        response = super().post(url, data=data, json=json, **options)
        try:
            response._content = self._body(response)  # noqa: SLF001  what requests itself would do
        except BaseException:
            response.close()
            raise
        response._content_consumed = True  # noqa: SLF001
        return response

    def _body(self, response: requests.Response) -> bytes:
        """The body in one read where its length is known, which copies nothing; else in chunks."""
        length = response.raw.length_remaining
        is_packed = "Content-Encoding" in response.headers
        if length is not None and length > self._most:
            raise _TooLongError
        if length is not None and not is_packed:
            return bytes(response.raw.read(decode_content=False))
        chunks: list[bytes] = []
        size = 0
        while chunk := response.raw.read(CHUNK, decode_content=is_packed):
            chunks.append(chunk)
            size += len(chunk)
            if size > self._most:
                raise _TooLongError
        return b"".join(chunks)


class HttpTransport:
    """A node behind http:// or https://."""

    def __init__(self, url: str, settings: Settings) -> None:
        self._seconds = settings.timeout
        self._sockets: WeakSet[socket.socket] = WeakSet()
        self._session = _BoundedSession(settings, self._sockets)
        self._provider = _HttpProvider(
            url, session=self._session, exception_retry_configuration=None
        )

    def exchange(self, payload: bytes) -> Reply:
        """See ``Transport``."""
        try:
            body: Any = self._provider.make_request(POSTED, payload)
            return Reply(body)
        except requests.HTTPError as error:
            if (response := error.response) is not None:
                return Reply(response.content, response.status_code, response.headers)
            lost = LostError(Kind.MALFORMED, "a broken HTTP response")
        except (requests.Timeout, urllib3.exceptions.TimeoutError, TimeoutError):
            lost = LostError(Kind.TIMEOUT, f"no answer within {self._seconds:g} s")
        except requests.exceptions.SSLError:
            lost = LostError(Kind.UNREACHABLE, "TLS cannot be agreed on")
        except _TooLongError:
            lost = LostError(Kind.TOO_MANY_RESULTS, "a response that is too large to take")
        except urllib3.exceptions.HTTPError:
            lost = LostError(Kind.TRANSIENT, "the connection broke within the answer")
        except requests.ConnectionError as error:
            lost = _lost_connection(error)
        except (requests.RequestException, OSError, ValueError):
            lost = LostError(Kind.UNREACHABLE, "the request cannot be sent")
        raise lost

    def close(self) -> None:
        """See ``Transport``; what is under way ends with it."""
        self._session.close()
        for used in list(self._sockets):
            with contextlib.suppress(OSError):
                socket.socket.shutdown(used, socket.SHUT_RDWR)


def _lost_connection(error: BaseException) -> LostError:
    text = repr(error)
    if "NameResolution" in text or "getaddrinfo" in text:
        return LostError(Kind.UNREACHABLE, "its name does not resolve")
    if "NewConnection" in text or "refused" in text:
        return LostError(Kind.UNREACHABLE, "the connection is refused")
    if "ReadTimeout" in text or "timed out" in text:
        return LostError(Kind.TIMEOUT, "no answer in time")
    return LostError(Kind.TRANSIENT, "the connection was dropped")
