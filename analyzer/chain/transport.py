"""What carries JSON-RPC payloads to a node and back: bytes in, bytes out, or why not.

requests and web3's providers carry (``over_http.py``, ``over_sockets.py``); encoding, retries and
the list of allowed methods are ours (``rpc.py``). No exception of theirs gets this far, since their
texts and attributes hold the URL.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from analyzer.chain.failure import Kind


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back, unread; ``headers`` compare case-insensitively."""

    body: bytes
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


class LostError(Exception):
    """No reply came; says why without naming the URL."""

    def __init__(self, kind: Kind, detail: str) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail


class Transport(Protocol):
    """Carries one JSON-RPC payload; raises ``LostError``."""

    def exchange(self, payload: bytes) -> Reply:
        """Send a payload and wait for its reply."""
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...
