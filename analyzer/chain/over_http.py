"""Nodes behind http:// and https://, through web3's HTTPProvider."""

import time
from typing import Any, Final

import requests
from requests.adapters import HTTPAdapter
from web3.providers import HTTPProvider

from analyzer.chain.failure import Kind
from analyzer.chain.settings import Settings
from analyzer.chain.transport import POSTED, BytesOnly, LostError, Reply

CHUNK: Final = 1 << 18


class _HttpProvider(BytesOnly, HTTPProvider):
    pass


class _TooLongError(requests.RequestException):
    pass


class _BoundedSession(requests.Session):
    """Reads a response within the timeout as a whole, and never more of it than allowed."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self._settings = settings
        adapter = HTTPAdapter(pool_maxsize=settings.concurrency + 1)
        self.mount("http://", adapter)
        self.mount("https://", adapter)

    def post(self, url: Any, data: Any = None, json: Any = None, **options: Any) -> Any:
        deadline = time.monotonic() + self._settings.timeout
        options |= {"stream": True, "allow_redirects": False}
        response = super().post(url, data=data, json=json, **options)
        body = bytearray()
        for chunk in response.iter_content(CHUNK):
            body += chunk
            if len(body) > self._settings.max_response_bytes:
                response.close()
                raise _TooLongError
            if time.monotonic() > deadline:
                response.close()
                raise requests.exceptions.ReadTimeout
        response._content = bytes(body)  # noqa: SLF001  what requests itself would have done
        return response


class HttpTransport:
    """A node behind http:// or https://."""

    def __init__(self, url: str, settings: Settings) -> None:
        self._seconds = settings.timeout
        self._session = _BoundedSession(settings)
        self._provider = _HttpProvider(
            url,
            request_kwargs={"timeout": settings.timeout},
            session=self._session,
            exception_retry_configuration=None,
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
        except (requests.Timeout, TimeoutError):
            lost = LostError(Kind.TIMEOUT, f"no answer within {self._seconds:g} s")
        except requests.exceptions.SSLError:
            lost = LostError(Kind.UNREACHABLE, "TLS cannot be agreed on")
        except _TooLongError:
            lost = LostError(Kind.TOO_MANY_RESULTS, "a response that is too large to take")
        except requests.exceptions.ChunkedEncodingError:
            lost = LostError(Kind.TRANSIENT, "the connection broke within the answer")
        except requests.ConnectionError as error:
            lost = _lost_connection(error)
        except (requests.RequestException, OSError, ValueError):
            lost = LostError(Kind.UNREACHABLE, "the request cannot be sent")
        raise lost

    def close(self) -> None:
        """See ``Transport``."""
        self._session.close()


def _lost_connection(error: BaseException) -> LostError:
    text = repr(error)
    if "NameResolution" in text or "getaddrinfo" in text:
        return LostError(Kind.UNREACHABLE, "its name does not resolve")
    if "NewConnection" in text or "refused" in text:
        return LostError(Kind.UNREACHABLE, "the connection is refused")
    if "ReadTimeout" in text or "timed out" in text:
        return LostError(Kind.TIMEOUT, "no answer in time")
    return LostError(Kind.TRANSIENT, "the connection was dropped")
