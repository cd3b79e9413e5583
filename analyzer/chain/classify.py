"""From a provider's wording to a class of failure: one table, tolerant of wordings to come.

Order matters: the first rule that matches decides. Codes and statuses decide only where no wording
does, since providers use the same code for different things.
"""

import re
from typing import Final, NamedTuple

from analyzer.chain.failure import Kind

LOGS: Final = frozenset({"eth_getLogs", "eth_getBlockReceipts"})
CALLS: Final = frozenset({"eth_call"})
ANY: Final[frozenset[str]] = frozenset()


class Rule(NamedTuple):
    """Wordings (regular expressions on the lower-case message) and what they mean."""

    kind: Kind
    methods: frozenset[str]
    wordings: tuple[str, ...]


RULES: Final = (
    Rule(Kind.QUOTA, ANY, (
        r"(monthly|daily|weekly) .{0,30}(exceed|reach|limit|used up)",
        r"(quota|credits|cus|cups)\b.{0,30}(exceed|reach|exhaust|deplet|used up|left)",
        r"exceeded .{0,30}quota|out of (credits|quota)|not enough (cups|credits|cus)",
    )),
    Rule(Kind.RATE_LIMIT, ANY, (
        r"compute units? per second|credits limited to|per second|/sec\b",
        r"rate.?limit|rate exceeded|request rate|too many requests|throttl",
        r"(request|call)s?( count| limit)? .{0,20}(exceed|reach).{0,30}(rate|minute)",
    )),
    Rule(Kind.REVERT, CALLS, (
        r"revert|invalid opcode|opcode .{0,20}not defined|bad instruction",
        r"invalid jump|stack (under|over|limit)|vm execution error",
        r"evm error:? ?(invalid|revert|stack|opcode)|invalidfeopcode",
    )),
    Rule(Kind.CALL_TOO_LARGE, CALLS, (
        r"out ?of ?gas|gas (required|limit|cap|uint64)|exceeds .{0,20}gas",
        r"execution (aborted|timed? ?out)|evm timeout",
        r"(request|content|payload|body|response|entity) .{0,20}too (large|big)",
    )),
    Rule(Kind.BATCH_TOO_LARGE, ANY, (
        r"batch.{0,60}(too (large|many|big)|limit|exceed|maximum|at most)",
        r"(too many|maximum).{0,30}(in|per) (a |the )?batch",
    )),
    Rule(Kind.BATCH_UNSUPPORTED, ANY, (r"batch",)),
    Rule(Kind.TOO_MANY_ADDRESSES, LOGS, (
        r"addresses .{0,40}(allowed|limit|max|too)|too many addresses",
        r"exceeds? max addresses|less (number of )?address",
    )),
    Rule(Kind.HISTORY_MISSING, ANY, (
        r"pruned history|histor(y|ies) .{0,30}(pruned|not available|expired)",
        r"neither stored nor reproducible",
    )),
    Rule(Kind.HISTORY_MISSING, LOGS, (
        r"(receipt|log|block)s? .{0,40}pruned|pruned .{0,20}(block|log)",
    )),
    Rule(Kind.STATE_MISSING, ANY, (
        r"missing trie node|historical state|archiv|no state available",
        r"state .{0,80}(not available|unavailable|pruned|discarded|missing)",
        r"due to pruning|state histories|\bpruned\b",
    )),
    Rule(Kind.HEADER_LAG, ANY, (
        r"header (for hash )?not found|does not have the requested block",
        r"beyond .{0,20}head|unknown block|requested data is not available",
        r"block .{0,80}not found|could not find block|unfinalized|future block",
    )),
    Rule(Kind.TOO_MANY_RESULTS, LOGS, (
        r"(log )?response size (exceed|should)|response (is )?too (big|large)",
        r"(more than|exceeds? max(imum)?|too many) ?[\d,]* ?(results|logs)",
        r"logs matched by query exceeds|returns too many|max(imum)? results",
        r"(entity|content|payload|body|message) too (large|big)",
    )),
    Rule(Kind.TIMEOUT, ANY, (r"time(d)?[ -]?out|took too long|deadline exceeded",)),
    Rule(Kind.RANGE_TOO_LARGE, LOGS, (
        r"range.{0,60}(exceed|too|limit|large|wide|over|max|support|invalid)",
        r"(exceed|too|limit|large|wide|over|max|invalid).{0,60}range",
        r"up to an? .{0,20}block range|ranges over|blocks distance",
        r"(limit\w*|max\w*|at most|exceed\w*|too many|most) .{0,60}block",
        r"query must be smaller than|^limit exceeded\W*$",
    )),
    Rule(Kind.METHOD_DISABLED, ANY, (
        r"method .{0,80}(not|disabled|un)|unsupported method|not whitelisted",
        r"eth_\w+ .{0,40}(disabled|not (supported|available|allowed))",
    )),
    Rule(Kind.AUTH, ANY, (
        r"unauthori[sz]ed|forbidden|authenticat|access denied|not allowed to access",
        r"(key|token|project id).{0,30}(invalid|required|missing|disabled)",
        r"(invalid|missing|unknown) .{0,20}(key|token|project id)",
    )),
    Rule(Kind.INVALID_PARAMS, ANY, (
        r"cannot unmarshal|invalid (argument|params|type)|unexpected (type|key)",
        r"(expected|must be) an? .{0,20}string|block ?hash.{0,30}support",
    )),
    Rule(Kind.TRANSIENT, ANY, (
        r"no backend|internal (server )?error|try again|temporar|unavailable",
        r"overload|bad gateway|connection|upstream|busy|syncing|in progress",
    )),
)  # fmt: skip

CODES: Final = {
    3: Kind.REVERT,
    429: Kind.RATE_LIMIT,
    4444: Kind.HISTORY_MISSING,
    -32001: Kind.HEADER_LAG,
    -32004: Kind.METHOD_DISABLED,
    -32043: Kind.HEADER_LAG,
    -32601: Kind.METHOD_DISABLED,
    -32602: Kind.INVALID_PARAMS,
    -32603: Kind.TRANSIENT,
}

STATUSES: Final = {
    401: Kind.AUTH,
    402: Kind.QUOTA,
    403: Kind.AUTH,
    404: Kind.MALFORMED,
    408: Kind.TIMEOUT,
    413: Kind.TOO_MANY_RESULTS,
    429: Kind.RATE_LIMIT,
    504: Kind.TIMEOUT,
}

_COMPILED: Final = tuple(
    (rule.kind, rule.methods, re.compile("|".join(rule.wordings))) for rule in RULES
)


def classify(method: str, message: str, code: object = None, status: int = 200) -> Kind:
    """The class of a failed request, by its wording first, then by code and HTTP status."""
    text = message.lower()
    for kind, methods, pattern in _COMPILED:
        if (not methods or method in methods) and pattern.search(text):
            return kind
    if isinstance(code, int) and code in CODES:
        kind = CODES[code]
        if kind is not Kind.REVERT or method in CALLS:
            return kind
    if status in STATUSES:
        return STATUSES[status]
    return Kind.TRANSIENT if status >= 500 else Kind.UNKNOWN


_HEX_RANGE: Final = re.compile(
    r"\[\s*(0x[0-9a-f]{1,16})\s*,\s*(0x[0-9a-f]{1,16})\s*\]", re.IGNORECASE
)
_DECIMAL_RANGE: Final = re.compile(r"(?:\[\s*|range:?\s+)(\d{1,18})\s*[-,]\s*(\d{1,18})")
_LIMIT: Final = re.compile(
    r"(?:limit\w*|max\w*|up to|at most|only|exceed\w*|over|than|[>:])\W+(?:[a-z_]+\W+){0,6}?"
    r"(\d[\d,]{0,12})(k?)\b",
    re.IGNORECASE,
)


def suggested_range(message: str) -> tuple[int, int] | None:
    """The block range that a provider says would work, hexadecimal or decimal, as it says it."""
    if found := _HEX_RANGE.search(message):
        return int(found[1], 16), int(found[2], 16)
    if found := _DECIMAL_RANGE.search(message):
        return int(found[1]), int(found[2])
    return None


def named_limits(message: str) -> tuple[int, ...]:
    """The numbers that a message names as limits: of blocks, of addresses, of calls in a batch."""
    bare = re.sub(r"0x[0-9a-f]+", "", message, flags=re.IGNORECASE)
    return tuple(
        int(number.replace(",", "")) * (1000 if thousands else 1)
        for number, thousands in _LIMIT.findall(bare)
    )
