"""Nodes behind http:// and https://, through requests.

web3's HTTPProvider would add nothing here but its import, which takes longer than a small run.
"""

import contextlib
import socket
from functools import cached_property
from typing import Any, Final
from weakref import WeakSet

import requests
import urllib3

from analyzer import __version__
from analyzer.chain.failure import Kind
from analyzer.chain.settings import Settings
from analyzer.chain.timed import TimedAdapter
from analyzer.chain.transport import LostError, Reply

CHUNK: Final = 1 << 20
HEADERS: Final = {
    "Content-Type": "application/json", "User-Agent": f"perpscope/{__version__}",
}  # fmt: skip
CONNECT: Final = 10.0
"""Seconds that a connection may take, where the whole request may take longer."""


class _TooLongError(requests.RequestException):
    pass


class _Session(requests.Session):
    def get_redirect_target(self, resp: requests.Response) -> None:
        """None: requests reads the body of a redirect as a whole, though it may not follow it."""


class HttpTransport:
    """A node behind http:// or https://.

    A response is read within the timeout as a whole, and never more of it than is allowed.
    """

    def __init__(self, url: str, settings: Settings) -> None:
        self._url = url
        self._settings = settings
        self._timeout = urllib3.Timeout(
            connect=min(CONNECT, settings.timeout), total=settings.timeout
        )
        self._sockets: WeakSet[socket.socket] = WeakSet()
        self._session = _Session()
        self._session.headers.update(HEADERS)
        adapter = TimedAdapter(self._sockets, pool_maxsize=settings.concurrency + 1)
        self._session.mount("http://", adapter)
        self._session.mount("https://", adapter)

    def exchange(self, payload: bytes) -> Reply:
        """See ``Transport``."""
        try:
            request = self._prepared.copy()
            request.prepare_body(payload, None)
            request.prepare_cookies(self._session.cookies)
            with self._session.send(
                request, allow_redirects=False, timeout=self._timeout, **self._way
            ) as response:
                body = _body(response, self._settings.max_response_bytes)
                return Reply(body, response.status_code, response.headers)
        except (requests.Timeout, urllib3.exceptions.TimeoutError, TimeoutError):
            lost = LostError(Kind.TIMEOUT, f"no answer within {self._settings.timeout:g} s")
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

    @cached_property
    def _prepared(self) -> requests.PreparedRequest:
        """A request without its body: preparing it anew takes as long as all the rest."""
        return self._session.prepare_request(requests.Request("POST", self._url))

    @cached_property
    def _way(self) -> dict[str, Any]:
        """The proxies and certificates that the environment names, and to read no body unasked."""
        url = self._prepared.url or self._url
        return dict(
            self._session.merge_environment_settings(url, {}, stream=True, verify=None, cert=None)
        )

    def close(self) -> None:
        """See ``Transport``; what is under way ends with it."""
        self._session.close()
        for used in list(self._sockets):
            with contextlib.suppress(OSError):  # the node has closed it already
                socket.socket.shutdown(used, socket.SHUT_RDWR)


def _body(response: requests.Response, most: int) -> bytes:
    """At most so many bytes: in one read where their length is known, which copies nothing."""
    length = response.raw.length_remaining
    is_packed = "Content-Encoding" in response.headers
    if length is not None and length > most:
        raise _TooLongError
    if length is not None and not is_packed:
        return bytes(response.raw.read(decode_content=False))
    chunks: list[bytes] = []
    size = 0
    while chunk := response.raw.read(CHUNK, decode_content=is_packed):
        chunks.append(chunk)
        size += len(chunk)
        if size > most:
            raise _TooLongError
    return b"".join(chunks)


def _lost_connection(error: BaseException) -> LostError:
    text = repr(error)
    if "NameResolution" in text or "getaddrinfo" in text:
        return LostError(Kind.UNREACHABLE, "its name does not resolve")
    if "NewConnection" in text or "refused" in text:
        return LostError(Kind.UNREACHABLE, "the connection is refused")
    if "ReadTimeout" in text or "timed out" in text:
        return LostError(Kind.TIMEOUT, "no answer in time")
    return LostError(Kind.TRANSIENT, "the connection was dropped")
