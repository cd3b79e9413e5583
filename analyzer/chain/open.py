"""From what the user gives as ``--rpc-url`` to a chain."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from analyzer.chain.interface import Chain
from analyzer.chain.recorder import Recorder
from analyzer.chain.recording import PREFIX, RecordedChain
from analyzer.chain.settings import Progress, Settings
from analyzer.errors import AnalyzerError

SCHEMES: Final = ("http", "https", "ws", "wss")
FORMS: Final = "give http(s)://…, ws(s)://…, the path of an IPC socket, or recording:FILE"


def open_chain(
    urls: Sequence[str],
    *,
    settings: Settings | None = None,
    record: Path | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Chain:
    """The chain behind an RPC URL, a WebSocket URL, an IPC path or ``recording:FILE``.

    With ``record`` the chain is recorded to that file when it is closed. Nothing is asked of a node
    yet. Raises ``AnalyzerError``, which never holds the URL.
    """
    if not urls:
        raise AnalyzerError(f"no chain to read from: set --rpc-url; {FORMS}")
    if len(urls) > 1:
        raise AnalyzerError("several RPC URLs cannot be used together: give one --rpc-url")
    chain = _open(urls[0].strip(), settings or Settings(), progress)
    return chain if record is None else Recorder(chain, record)


def _open(url: str, settings: Settings, progress: Callable[[Progress], None] | None) -> Chain:
    if url.startswith(PREFIX):
        return RecordedChain(Path(url.removeprefix(PREFIX)).expanduser())
    if not _is_node(url):
        raise AnalyzerError(f"the RPC URL is not one that can be used: {FORMS}")
    from analyzer.chain.node import open_node  # noqa: PLC0415  web3 takes a second to import

    return open_node(url, settings, progress)


def _is_node(url: str) -> bool:
    try:
        parts = urlsplit(url)
        if parts.scheme.lower() in SCHEMES:
            return bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    path = Path(url.removeprefix("ipc:").removeprefix("file://")).expanduser()
    return path.is_socket()
