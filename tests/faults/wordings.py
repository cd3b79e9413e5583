"""How providers word their refusals: one table, from what their users have reported.

A message is a format string over ``Asked``; codes and HTTP statuses are the providers' own. Words
that mean "never again" (a monthly quota) are left out: no client should go on after them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

RANGE, RESULTS, ADDRESSES = "range too large", "too many results", "too many addresses"
RATE, LAG, TRANSIENT = "rate limit", "header lag", "transient"


@dataclass(frozen=True, slots=True)
class Asked:
    """What a message may name: the blocks asked for, the limit, what fits, how many addresses."""

    first: int = 0
    last: int = 0
    limit: int = 0
    fits: int = 0
    addresses: int = 0

    def words(self) -> dict[str, int]:
        """The values under the names that messages use."""
        return {
            "first": self.first,
            "last": self.last,
            "blocks": self.last - self.first + 1,
            "limit": self.limit,
            "works": self.first + self.limit - 1,
            "fits": self.fits,
            "addresses": self.addresses,
        }


@dataclass(frozen=True, slots=True)
class Wording:
    """One refusal. ``code`` is ``None`` where no JSON-RPC error comes, but a text of its own."""

    kind: str
    provider: str
    message: str
    code: int | None = -32000
    status: int = 200
    data: Mapping[str, Any] | None = None

    def error(self, asked: Asked) -> dict[str, Any]:
        """The JSON-RPC error object."""
        error = {"code": self.code, "message": self.message.format(**asked.words())}
        return error | ({"data": self.data} if self.data else {})


SUGGESTED = "Based on your parameters, this block range should work: [{first:#x}, {works:#x}]"
RETH = "query exceeds max results {limit}, retry with the range "
INFURA_RATE = {"see": "docs", "rate": {"backoff_seconds": 0.05, "allowed_rps": 20}}
NOT_READY = "no backend is currently healthy to serve traffic"

WORDINGS = (
    Wording(RANGE, "Alchemy", "You can make eth_getLogs requests with up to a {limit} block range. "
            + SUGGESTED, -32600),
    Wording(RANGE, "Infura", "range {blocks} exceeds limit of {limit}", -32602),
    Wording(RANGE, "QuickNode", "eth_getLogs is limited to a {limit:,} range", -32614, 413),
    Wording(RANGE, "Ankr", "block range is too wide", -32600),
    Wording(RANGE, "Ankr, distance", "maximum [from, to] blocks distance: {limit}"),
    Wording(RANGE, "Optimism", "Block range is too large"),
    Wording(RANGE, "Base", "block range too large"),
    Wording(RANGE, "geth", "invalid block range params", -32602),
    Wording(RANGE, "reth", "query exceeds max block range {limit}", -32602),
    Wording(RANGE, "erigon", "query block range exceeds server limit, narrow your filter: {limit}"),
    Wording(RANGE, "1RPC", "eth_getLogs is limited to a {limit} blocks range"),
    Wording(RANGE, "BlastAPI", "exceeds the range allowed for your plan ({blocks} > {limit})"),
    Wording(RANGE, "dRPC", "ranges over {limit} blocks are not supported on freetier", 35),
    Wording(RANGE, "PublicNode", "maximum block range: {limit}", -32701),
    Wording(RANGE, "Cloudflare", "Max range: {limit}", -32047),
    Wording(RANGE, "Thirdweb", "Maximum allowed number of requested blocks is {limit}"),
    Wording(RANGE, "Chainstack", "Block range limit exceeded."),
    Wording(RANGE, "Coinbase", "please limit the query to at most {limit} blocks", -32602),
    Wording(RANGE, "Avalanche", "requested too many blocks from {first} to {last}, maximum is set "
            "to {limit}"),
    Wording(RANGE, "BlockPI", "limited to {limit} block"),
    Wording(RANGE, "Merkle", "eth_getLogs range is too large, max is {limit} blocks", -32602),
    Wording(RANGE, "Moonriver", "block range is too wide (maximum {limit})", -32603),
    Wording(RANGE, "Tron", "exceed max block range: {limit}"),
    Wording(RANGE, "Harmony", "query must be smaller than size {limit}"),
    Wording(RANGE, "Swell", "block range greater than {limit} max"),
    Wording(RANGE, "Somnia", "block range exceeds {limit}"),
    Wording(RANGE, "Hyperliquid", "query exceeds max block range {limit}", -32602),
    Wording(RANGE, "BSC", "limit exceeded", -32005),
    Wording(RESULTS, "Alchemy", "Log response size exceeded. You can make eth_getLogs requests "
            "with up to a 2K block range and no limit on the response size, or you can request any "
            "block range with a cap of {limit} logs in the response. Based on your parameters and "
            "the response size limit, this block range should work: [{first:#x}, {fits:#x}]",
            -32602),
    Wording(RESULTS, "Alchemy, inverted", "Log response size exceeded. This block range should "
            "work: [{last:#x}, {first:#x}]", -32602),
    Wording(RESULTS, "Infura", "query returned more than {limit} results", -32005),
    Wording(RESULTS, "Infura, with a range", "query returned more than {limit} results. Try with "
            "this block range [{first:#x}, {fits:#x}].", -32005),
    Wording(RESULTS, "Infura, slow", "query timeout exceeded", -32005),
    Wording(RESULTS, "Ankr", "query exceeds max results"),
    Wording(RESULTS, "Arbitrum", "logs matched by query exceeds limit of {limit}"),
    Wording(RESULTS, "Optimism", "backend response too large", -32020),
    Wording(RESULTS, "reth", RETH + "{first}-{fits}", -32602),
    Wording(RESULTS, "reth, the same range", RETH + "{first}-{last}", -32602),
    Wording(RESULTS, "erigon", "query returns too many logs, narrow your filter: {limit}"),
    Wording(RESULTS, "BlastAPI", "response size should not greater than 10485760 bytes"),
    Wording(RESULTS, "zkSync", "Query returned more than {limit} results. Try with this block "
            "range [{first:#x}, {fits:#x}].", -32602),
    Wording(RESULTS, "zkSync, too big", "Response is too big", -32008),
    Wording(ADDRESSES, "Arbitrum", "{addresses} addresses specified in query, but only {limit} are "
            "allowed"),
    Wording(RATE, "Alchemy", "Your app has exceeded its compute units per second capacity. If you "
            "have retries enabled, you can safely ignore this message.", 429, 429),
    Wording(RATE, "Infura", "project ID request rate exceeded", -32005, 429, INFURA_RATE),
    Wording(RATE, "Infura, in a 200", "project ID request rate exceeded", -32005, 200, INFURA_RATE),
    Wording(RATE, "QuickNode", "credits limited to 6000/sec", -32012),
    Wording(RATE, "Arbitrum", "Too Many Requests", None, 429),
    Wording(LAG, "geth", "header not found"),
    Wording(LAG, "dRPC", "upstream does not have the requested block yet"),
    Wording(LAG, "geth, state", "missing trie node 8b1604e0d19d (path ) state is not available"),
    Wording(LAG, "Base", "Requested data is not available", -32043),
    Wording(LAG, "anvil", "Resource not found", -32001),
    Wording(TRANSIENT, "proxyd", NOT_READY, -32011, 503),
    Wording(TRANSIENT, "proxyd, in a 200", NOT_READY, -32011),
    Wording(TRANSIENT, "geth", "internal error", -32603),
    Wording(TRANSIENT, "nginx", "<html>502 Bad Gateway</html>", None, 502),
    Wording(TRANSIENT, "nginx, empty", "", None, 500),
    Wording(TRANSIENT, "nginx, slow", "<html>504 Gateway Time-out</html>", None, 504),
    Wording(TRANSIENT, "dRPC, 400", "try again", None, 400),
    Wording(TRANSIENT, "dRPC, 401", "", None, 401),
    Wording(TRANSIENT, "dRPC, 403", "", None, 403),
    Wording(TRANSIENT, "dRPC, 410", "", None, 410),
)  # fmt: skip


def choose(random: Random, kind: str) -> Wording:
    """One of a kind."""
    return random.choice([wording for wording in WORDINGS if wording.kind == kind])
