"""What can be wrong with an answer of a node, and what to do about each, in one sentence."""

from dataclasses import dataclass
from enum import StrEnum

from analyzer.errors import AnalyzerError


class Kind(StrEnum):
    """The classes of failure: each has its own cure."""

    RANGE_TOO_LARGE = "range too large"
    TOO_MANY_RESULTS = "too many results"
    TOO_MANY_ADDRESSES = "too many addresses"
    CALL_TOO_LARGE = "call too large"
    BATCH_TOO_LARGE = "batch too large"
    BATCH_UNSUPPORTED = "batch unsupported"
    INVALID_PARAMS = "invalid params"
    RATE_LIMIT = "rate limit"
    QUOTA = "quota"
    AUTH = "auth"
    METHOD_DISABLED = "method disabled"
    STATE_MISSING = "state missing"
    HISTORY_MISSING = "history missing"
    HEADER_LAG = "header lag"
    REVERT = "revert"
    TRANSIENT = "transient"
    TIMEOUT = "timeout"
    UNREACHABLE = "unreachable"
    MALFORMED = "malformed"
    UNKNOWN = "unknown"


SPLITTABLE = frozenset({Kind.RANGE_TOO_LARGE, Kind.TOO_MANY_RESULTS, Kind.TIMEOUT})
"""An eth_getLogs that fails so is likely to succeed on fewer blocks."""

SHRINKABLE = SPLITTABLE | {Kind.UNKNOWN, Kind.INVALID_PARAMS, Kind.TRANSIENT}
"""It is worth trying fewer blocks: providers find new words for their limits all the time."""

OVERSIZED = frozenset({Kind.CALL_TOO_LARGE, Kind.TOO_MANY_RESULTS, Kind.TIMEOUT, Kind.TRANSIENT})
"""A multicall or batch that fails so may succeed in halves."""

WORTH_A_SECOND_TRY = frozenset({Kind.TRANSIENT})
"""What may pass by itself, or mean that too much was asked ("internal error", HTTP 502 and 503): it
is asked again once before anything is made of it."""

PATIENCE = {
    Kind.RATE_LIMIT: 2.0,
    Kind.TRANSIENT: 1.0,
    Kind.TIMEOUT: 1.0,
    Kind.UNREACHABLE: 1.0,
    Kind.MALFORMED: 1.0,
    Kind.HEADER_LAG: 1.0,
    Kind.UNKNOWN: 0.4,
    Kind.AUTH: 0.4,
    Kind.STATE_MISSING: 0.4,
    Kind.HISTORY_MISSING: 0.4,
}
"""The share of ``Settings.max_attempts`` that a failure is worth; what is absent is never retried.

A refusal (no key, no such state) gets a second try: behind one URL there are often several nodes.
"""


@dataclass(slots=True, eq=False)
class RpcFailure(Exception):  # noqa: N818  it becomes an error only when nothing cures it
    """A request that did not succeed. Its text has been cleared of secrets.

    ``suggestion`` is a block range, ``limits`` are sizes, ``wait`` seconds, as the provider named
    them; ``detail`` is the provider's text for a sentence, ``words`` the same at length, ``data``
    the ``data`` of its error object (revert data).
    """

    kind: Kind
    method: str
    detail: str = ""
    data: object = None
    suggestion: tuple[int, int] | None = None
    words: str = ""
    limits: tuple[int, ...] = ()
    wait: float | None = None

    def __str__(self) -> str:
        return f"{self.method}: {self.kind}: {self.detail}"


CURES = {
    Kind.RANGE_TOO_LARGE: "refuses {what} even for one block ({detail}): it has probably disabled "
    "the method; use another RPC URL",
    Kind.TOO_MANY_RESULTS: "finds the answer to {what} too large ({detail}): use another RPC URL",
    Kind.TOO_MANY_ADDRESSES: "refuses {what} even for one address ({detail}): use another RPC URL",
    Kind.CALL_TOO_LARGE: "ran out of gas or time on {what} ({detail}): use a node with a higher "
    "eth_call limit",
    Kind.INVALID_PARAMS: "does not understand {what} ({detail}): use another RPC URL",
    Kind.RATE_LIMIT: "keeps limiting the rate of requests ({detail}): ask for fewer per second, or "
    "use another RPC URL",
    Kind.QUOTA: "says that its quota is used up ({detail}): wait until it renews, or use another "
    "RPC URL",
    Kind.AUTH: "refuses access ({detail}): check the key in the RPC URL",
    Kind.METHOD_DISABLED: "does not offer {what} ({detail}): use another RPC URL",
    Kind.STATE_MISSING: "does not hold the state needed for {what} ({detail}): use an archive "
    "node, or a newer block",
    Kind.HISTORY_MISSING: "does not hold the history needed for {what} ({detail}): use a node "
    "with full history, or start at a newer block",
    Kind.HEADER_LAG: "does not have {what} yet ({detail}): it lags behind or the block "
    "was reorganised; try again, or use another RPC URL",
    Kind.TRANSIENT: "keeps failing on {what} ({detail}): try again later, or use another RPC URL",
    Kind.TIMEOUT: "hangs on {what} ({detail}): try again later, or use another RPC URL",
    Kind.UNREACHABLE: "cannot be reached ({detail}): check the RPC URL and that the node runs",
    Kind.MALFORMED: "answered {what} with {detail}: check that the RPC URL leads to a JSON-RPC "
    "endpoint, or use another one",
    Kind.UNKNOWN: "failed on {what} ({detail}): use another RPC URL if it persists",
}


class NodeError(AnalyzerError):
    """What is wrong with one node; ``reason`` is the error without its cure."""

    def __init__(self, reason: str, cure: str) -> None:
        super().__init__(f"{reason}: {cure}")
        self.reason = reason
        self._cure = cure

    def __reduce__(self) -> tuple[type["NodeError"], tuple[str, str]]:
        """How it is made again in another process."""
        return NodeError, (self.reason, self._cure)


def sentence(failure: RpcFailure, label: str, what: str | None = None) -> NodeError:
    """The failure as an error for the user: which node, what was asked, what to do."""
    template = CURES.get(failure.kind, CURES[Kind.UNKNOWN])
    reason, _, cure = template.rpartition(": ")
    said = reason.format(what=what or failure.method, detail=failure.detail or "no reason given")
    return NodeError(f"{label} {said}", cure)
