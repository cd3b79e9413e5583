"""Which carrier an URL needs, and the silence of the libraries below it."""

import logging
from typing import Final
from urllib.parse import urlsplit

from analyzer.chain.over_http import HttpTransport
from analyzer.chain.settings import Settings
from analyzer.chain.transport import Transport

NOISY_LOGGERS: Final = ("web3", "urllib3", "requests", "websockets", "asyncio")


def connect(url: str, settings: Settings) -> Transport:
    """The transport for an URL with a scheme, or for the path of an IPC socket."""
    for name in NOISY_LOGGERS:  # they write the URL into their records
        logging.getLogger(name).setLevel(logging.CRITICAL)
    scheme = urlsplit(url).scheme.lower()
    if scheme in ("http", "https"):
        return HttpTransport(url, settings)
    from analyzer.chain import over_sockets  # noqa: PLC0415  web3 takes a second to import

    if scheme in ("ws", "wss"):
        return over_sockets.WebSocketTransport(url, settings)
    return over_sockets.IpcTransport(url.removeprefix("ipc:").removeprefix("file://"), settings)
