"""From what the user gives as ``--rpc-url`` to a chain."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from analyzer.chain.hiding import host_label
from analyzer.chain.interface import Chain
from analyzer.chain.recorder import Recorder
from analyzer.chain.recording import PREFIX, RecordedChain
from analyzer.chain.settings import Progress, Settings
from analyzer.chain.several import SeveralNodes
from analyzer.errors import AnalyzerError

Report = Callable[[Progress], None]
SCHEMES: Final = ("http", "https", "ws", "wss")
FORMS: Final = "give http(s)://…, ws(s)://…, the path of an IPC socket, or recording:FILE"


def open_chain(
    urls: Sequence[str],
    *,
    settings: Settings | None = None,
    record: Path | None = None,
    progress: Report | None = None,
    cross_check: int = 0,
) -> Chain:
    """The chain behind RPC URLs, WebSocket URLs, IPC paths, or behind one ``recording:FILE``.

    With several nodes the next goes on where one fails; ``cross_check`` N compares every N-th
    answer with another node's. With ``record`` the chain is recorded to that file when it is
    closed. Nothing is asked of a node yet. Raises ``AnalyzerError``, which never holds an URL.
    """
    given = [url.strip() for url in urls]
    if not given:
        raise AnalyzerError(f"no chain to read from: set --rpc-url; {FORMS}")
    if cross_check and len(given) < 2:
        raise AnalyzerError(
            "--cross-check compares what two nodes say: give --rpc-url at least twice"
        )
    chain = _open(given, settings or Settings(), progress, cross_check)
    return chain if record is None else Recorder(chain, record)


def _open(
    urls: Sequence[str], settings: Settings, progress: Report | None, cross_check: int
) -> Chain:
    if len(urls) == 1 and urls[0].startswith(PREFIX):
        return RecordedChain(Path(urls[0].removeprefix(PREFIX)).expanduser())
    for url in urls:
        if url.startswith(PREFIX):
            raise AnalyzerError("a recorded chain is read by itself: give no other --rpc-url")
        if not is_node(url):
            raise AnalyzerError(f"the RPC URL is not one that can be used: {FORMS}")
    if len(set(urls)) < len(urls):
        raise AnalyzerError("the same RPC URL is given twice: give each node once")
    return _open_nodes(urls, settings, progress, cross_check)


def _open_nodes(
    urls: Sequence[str], settings: Settings, progress: Report | None, cross_check: int
) -> Chain:
    from analyzer.chain.node import open_node  # noqa: PLC0415  a recorded chain needs no requests

    if len(urls) == 1:
        return open_node(urls[0], settings, progress)
    settings = replace(settings, replaceable=True)

    def relay(step: Progress) -> None:
        if progress is not None and step.stage != "logs":  # of those only the whole is of interest
            progress(replace(step, requests=several.requests))

    nodes = [open_node(u, settings, relay, n) for u, n in zip(urls, _labels(urls), strict=True)]
    several = SeveralNodes(nodes, progress, cross_check)
    return several


def _labels(urls: Sequence[str]) -> list[str]:
    """The hosts; those that occur more often are numbered in the order in which they were given."""
    hosts = [host_label(url) for url in urls]
    often, seen = Counter(hosts), Counter[str]()
    labels = []
    for host in hosts:
        seen[host] += 1
        labels.append(f"{host} #{seen[host]}" if often[host] > 1 else host)
    return labels


def is_node(url: str) -> bool:
    """Whether this is an URL of a node, or the path of an IPC socket that is there."""
    try:
        parts = urlsplit(url)
        if parts.scheme.lower() in SCHEMES:
            is_plain = url.isprintable() and " " not in url
            return is_plain and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    path = Path(url.removeprefix("ipc:").removeprefix("file://")).expanduser()
    return path.is_socket()
