"""Every provider wording that is known, and what it has to be taken for."""

import pytest

from analyzer.chain.classify import classify, named_limits, suggested_range
from analyzer.chain.failure import Kind

R, M, RATE, LAG = Kind.RANGE_TOO_LARGE, Kind.TOO_MANY_RESULTS, Kind.RATE_LIMIT, Kind.HEADER_LAG

# fmt: off
# ruff: noqa: E501, ISC004  a table is read by its columns
LOG_WORDINGS = [
    # (status, code, message, kind, limit that it names, range that it suggests)
    (200, -32600, "You can make eth_getLogs requests with up to a 500 block range. Based on your "
     "parameters, this block range should work: [0x64, 0x257]", R, 500, (0x64, 0x257)),
    (200, -32600, "Under the Free tier plan, you can make eth_getLogs requests with up to a 10 "
     "block range. Based on your parameters, this block range should work: [0x64, 0x6d]",
     R, 10, (0x64, 0x6D)),
    (200, -32602, "Log response size exceeded. You can make eth_getLogs requests with up to a 2K "
     "block range and no limit on the response size, or you can request any block range with a "
     "cap of 10K logs in the response. Based on your parameters and the response size limit, this "
     "block range should work: [0x64, 0x3e7]", M, None, (0x64, 0x3E7)),
    (429, 429, "Your app has exceeded its compute units per second capacity. If you have retries "
     "enabled, you can safely ignore this message.", RATE, None, None),
    (429, 429, "Monthly capacity limit exceeded. Visit https://dashboard.example.com/settings to "
     "upgrade", Kind.QUOTA, None, None),
    (200, -32602, "range 1000000 exceeds limit of 10000", R, 10_000, None),
    (200, -32005, "query returned more than 10000 results", M, None, None),
    (200, -32005, "query returned more than 10000 results. Try with this block range [0x64, 0x65].",
     M, None, (0x64, 0x65)),
    (200, -32005, "query timeout exceeded", Kind.TIMEOUT, None, None),
    (429, -32005, "project ID request rate exceeded", RATE, None, None),
    (429, -32005, "daily request count exceeded, request rate limited", Kind.QUOTA, None, None),
    (413, -32614, "eth_getLogs is limited to a 10,000 range", R, 10_000, None),
    (200, -32012, "credits limited to 6000/sec", RATE, None, None),
    (200, -32600, "block range is too wide", R, None, None),
    (200, -32600, "maximum [from, to] blocks distance: 3000", R, 3_000, None),
    (200, -32600, "query exceeds max results", M, None, None),
    (200, -32000, "logs matched by query exceeds limit of 10000", M, None, None),
    (200, -32000, "1001 addresses specified in query, but only 1000 are allowed",
     Kind.TOO_MANY_ADDRESSES, 1_000, None),
    (200, -32602, "exceed max addresses or topics per search position", Kind.TOO_MANY_ADDRESSES,
     None, None),
    (429, None, "HTTP 429", RATE, None, None),
    (200, -32000, "Block range is too large", R, None, None),
    (200, -32000, "backend response too large", M, None, None),
    (200, -32020, "backend response too large", M, None, None),
    (503, -32011, "no backend is currently healthy to serve traffic", Kind.TRANSIENT, None, None),
    (200, -32000, "block range too large", R, None, None),
    (200, -32602, "invalid block range params", R, None, None),
    (200, -32602, "query exceeds max block range 100000", R, 100_000, None),
    (200, -32602, "query exceeds max results 20000, retry with the range 24383075-24383096", M, None,
     (24383075, 24383096)),
    (200, -32602, "query block range exceeds server limit, narrow your filter: 1000", R, 1_000, None),
    (200, -32602, "query returns too many logs, narrow your filter: 20000", M, None, None),
    (200, -32602, "block range extends beyond current head block", LAG, None, None),
    (200, -32000, "eth_getLogs is limited to a 1000 blocks range", R, 1_000, None),
    (200, -32000, "exceeds the range allowed for your plan (5000 > 3000)", R, 3_000, None),
    (200, -32000, "response size should not greater than 10000000 bytes", M, None, None),
    (200, -32000, "ranges over 10000 blocks are not supported on freetier", R, 10_000, None),
    (429, 42903, "There are not enough CUPs left to execute the request", Kind.QUOTA, None, None),
    (200, -32701, "exceed maximum block range: 50000", R, 50_000, None),
    (200, -32000, "maximum block range: 50000", R, 50_000, None),
    (200, -32000, "Max range: 800", R, 800, None),
    (200, -32000, "Maximum allowed number of requested blocks is 1000", R, 1_000, None),
    (200, -32000, "Block range limit exceeded.", R, None, None),
    (200, -32000, "please limit the query to at most 1000 blocks", R, 1_000, None),
    (200, -32000, "requested too many blocks from 100 to 20099, maximum is set to 2048", R, 2_048,
     None),
    (200, -32000, "limited to 2000 block", R, 2_000, None),
    (200, -32000, "eth_getLogs range is too large, max is 1k blocks", R, 1_000, None),
    (200, -32000, "block range is too wide (maximum 1024)", R, 1_024, None),
    (200, -32000, "exceed max block range: 5000", R, 5_000, None),
    (200, -32000, "query must be smaller than size 1024", R, 1_024, None),
    (200, -32000, "block range greater than 2048 max", R, 2_048, None),
    (200, -32000, "block range exceeds 2000", R, 2_000, None),
    (200, -32000, "query exceeds max block range 1000", R, 1_000, None),
    (200, -32602, "Query returned more than 10000 results. Try with this block range [0x0, 0x30f].",
     M, None, (0, 0x30F)),
    (200, -32008, "Response is too big", M, None, None),
    (200, -32005, "limit exceeded", R, None, None),
    (200, -32000, "header not found", LAG, None, None),
    (200, -32000, "upstream does not have the requested block yet", LAG, None, None),
    (200, -32043, "Requested data is not available", LAG, None, None),
    (200, -32000, "missing trie node 8b1604e0d19d (path ) state 0x8b16 is not available, not found",
     Kind.STATE_MISSING, None, None),
    (200, 4444, "pruned history unavailable", Kind.HISTORY_MISSING, None, None),
    (200, -32601, "the method eth_getLogs does not exist/is not available", Kind.METHOD_DISABLED,
     None, None),
    (413, None, "HTTP 413: Request Entity Too Large", M, None, None),
    (504, None, "HTTP 504: a web page", Kind.TIMEOUT, None, None),
    (502, None, "HTTP 502: a web page", Kind.TRANSIENT, None, None),
    (401, None, "HTTP 401", Kind.AUTH, None, None),
    (403, -32000, "invalid API key", Kind.AUTH, None, None),
    (200, -32099, "words that nobody has used yet", Kind.UNKNOWN, None, None),
]

CALL_WORDINGS = [
    (3, "execution reverted: Vault: fees exceed collateral", Kind.REVERT),
    (-32000, "execution reverted", Kind.REVERT),
    (-32015, "VM execution error.", Kind.REVERT),
    (-32000, "invalid opcode: opcode 0xfe not defined", Kind.REVERT),
    (-32003, "EVM error InvalidFEOpcode", Kind.REVERT),
    (-32000, "VM Exception while processing transaction: revert", Kind.REVERT),
    (-32000, "out of gas", Kind.CALL_TOO_LARGE),
    (-32003, "EVM error OutOfGas", Kind.CALL_TOO_LARGE),
    (-32000, "execution aborted (timeout = 5s)", Kind.CALL_TOO_LARGE),
    (-32000, "missing trie node 8b16 (path )", Kind.STATE_MISSING),
    (-32000, "required historical state unavailable (reexec=128)", Kind.STATE_MISSING),
    (-32000, "old data not available due to pruning", Kind.STATE_MISSING),
    (-32002, "project ID does not have access to archive state", Kind.STATE_MISSING),
    (-32000, "state at block #1 is pruned", Kind.STATE_MISSING),
    (-32000, "header for hash not found", LAG),
    (-32602, "invalid argument 1: json: cannot unmarshal object into Go value of type string",
     Kind.INVALID_PARAMS),
    (-32602, "Invalid params", Kind.INVALID_PARAMS),
    (-32603, "Internal error", Kind.TRANSIENT),
    (-32005, "limit exceeded", Kind.UNKNOWN),
]

BATCH_WORDINGS = [
    (-32600, "batch requests are not supported", Kind.BATCH_UNSUPPORTED),
    (-32600, "batch too large", Kind.BATCH_TOO_LARGE),
    (-32005, "maximum 100 calls in a batch", Kind.BATCH_TOO_LARGE),
    (-32600, "Batch size exceeds the limit of 50", Kind.BATCH_TOO_LARGE),
]
# fmt: on


@pytest.mark.parametrize(("status", "code", "message", "kind", "limit", "suggestion"), LOG_WORDINGS)
def test_wording_of_a_logs_request_is_understood(status, code, message, kind, limit, suggestion):
    assert classify("eth_getLogs", message, code, status) is kind
    assert suggested_range(message) == suggestion
    if limit is not None:
        assert limit in named_limits(message)


@pytest.mark.parametrize(("code", "message", "kind"), CALL_WORDINGS)
def test_wording_of_a_call_is_understood(code, message, kind):
    assert classify("eth_call", message, code) is kind


@pytest.mark.parametrize(("code", "message", "kind"), BATCH_WORDINGS)
def test_wording_of_a_refused_batch_is_understood(code, message, kind):
    assert classify("a batch of requests", message, code) is kind


@pytest.mark.parametrize("message", [m for _, _, m, k, _, _ in LOG_WORDINGS if k is R])
def test_a_range_limit_is_never_taken_for_a_rate_limit(message):
    assert classify("eth_getLogs", message) not in (Kind.RATE_LIMIT, Kind.QUOTA)


def test_limits_are_not_read_out_of_hexadecimal_numbers():
    assert named_limits("limited to 500, use [0x64, 0x257]") == (500,)


@pytest.mark.parametrize("message", ["", "[", "[0x, 0x]", "range -", "range 9" * 50, "limit " * 99])
def test_hostile_wordings_do_no_harm(message):
    assert suggested_range(message) is None
    assert isinstance(named_limits(message), tuple)
    assert isinstance(classify("eth_getLogs", message), Kind)
