"""How real providers behave: limits in their own words, and the faults that they commit."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

RANGE_WORDINGS: Mapping[str, Callable[[int, int, int], tuple[int, dict]]] = {
    # name: (limit, from, to) -> HTTP status and error
    "alchemy": lambda limit, start, _: (200, {"code": -32600, "message": (
        f"You can make eth_getLogs requests with up to a {limit} block range. Based on your "
        "parameters, this block range should work: "
        f"[{start:#x}, {start + limit - 1:#x}]")}),
    "infura": lambda limit, start, end: (200, {
        "code": -32602, "message": f"range {end - start + 1} exceeds limit of {limit}"}),
    "quicknode": lambda limit, *_: (413, {
        "code": -32614, "message": f"eth_getLogs is limited to a {limit:,} range"}),
    "optimism": lambda *_: (200, {"code": -32000, "message": "Block range is too large"}),
    "erigon": lambda limit, *_: (200, {"code": -32602, "message": (
        f"query block range exceeds server limit, narrow your filter: {limit}")}),
    "lying": lambda _, start, end: (200, {"code": -32600, "message": (
        "block range too large, this block range should work: "
        f"[{start + 5:#x}, {end:#x}]")}),
    "unheard of": lambda *_: (200, {"code": -32099, "message": "nope, have less"}),
}  # fmt: skip

RESULT_WORDINGS: Mapping[str, Callable[[int, int, int], tuple[int, dict]]] = {
    # name: (limit, from, the last block that fits) -> HTTP status and error
    "infura": lambda limit, start, end: (200, {"code": -32005, "message": (
        f"query returned more than {limit} results. Try with this block range "
        f"[{start:#X}, {end:#X}].".replace("0X", "0x"))}),
    "reth": lambda limit, start, end: (200, {"code": -32602, "message": (
        f"query exceeds max results {limit}, retry with the range {start}-{end}")}),
    "arbitrum": lambda limit, *_: (200, {
        "code": -32000, "message": f"logs matched by query exceeds limit of {limit}"}),
    "zksync": lambda *_: (200, {"code": -32008, "message": "Response is too big"}),
    "entity": lambda *_: (413, {"code": None, "message": "Request Entity Too Large"}),
}  # fmt: skip


NULL: Any = object()
"""What ``Manners.answer`` returns for a result of ``null``."""


@dataclass(frozen=True, kw_only=True)
class Manners:
    """How the node behaves. Block numbers and counts; ``None`` is no limit.

    ``faults`` names which of ``FAULTS``, or "time is up", the n-th HTTP request, counted from 0,
    meets.
    """

    max_range: int | None = None
    range_wording: str = "alchemy"
    max_logs: int | None = None
    result_wording: str = "infura"
    max_addresses: int | None = None
    logs_disabled: bool = False
    receipts: bool = True
    multicall: bool = True
    max_multicall: int | None = None
    block_hash_calls: bool = True
    batches: bool = True
    max_batch: int | None = None
    block_timestamps: bool = True
    first_log_block: int = 0
    first_state_block: int = 0
    tags: tuple[str, ...] = ("latest", "safe", "finalized")
    answer: Callable[[str, list], Any] | None = None
    """Takes method and params; what it returns, unless ``None``, is the result."""
    faults: Mapping[int, str] = field(default_factory=dict)
    echo: str = ""
    """Words that every error message ends with, as providers echo URLs and keys."""


RATE = {"data": {"see": "docs", "rate": {"backoff_seconds": 7, "allowed_rps": 1}}}
NOTICES: Mapping[str, tuple[int, Any]] = {
    "429": (429, "slow down"),
    "429 date": (429, "slow down"),
    "429 at once": (429, "slow down"),
    "429 hint": (
        429,
        {"code": -32005, "message": "project ID request rate exceeded"} | RATE,
    ),
    "500": (500, "<html>Internal Server Error</html>"),
    "page": (200, "<html>Welcome</html>"),
    "quota": (429, {"code": 429, "message": "Monthly capacity limit exceeded."}),
    "unauthorized": (401, {"code": 401, "message": "Unauthorized"}),
    "not an object": (200, "[1, 2]"),
    "nested": (200, '{"id": 0, "result": ' + "[" * 5_000 + "]" * 5_000 + "}"),
}
RETRY_AFTER = {
    "429": "7",
    "429 date": "Wed, 01 Jan 2020 00:00:00 GMT",
    "429 at once": "0",
}
TIME_IS_UP = 598
"""The HTTP status of "time is up": for a client that takes our word for it, instead of a hang."""
FAULTS = (*NOTICES, "drop", "hang", "truncate", "wrong id", "no result")
