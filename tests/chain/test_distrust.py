"""Answers that are well-formed and false: refused, asked for again, then an error."""

import pytest

from analyzer.errors import AnalyzerError
from analyzer.evm import LogFilter
from tests.chain.manners import Manners

FIRST, LAST = 3_050, 3_131
"""The last blocks of the recording, all of whose headers are read."""


class FalseEmpty:
    """Answers eth_getLogs with nothing: the first so many times, or without the logs of a block."""

    def __init__(self, recorded, times=10**9, block=None):
        self.recorded, self.times, self.block = recorded, times, block

    def __call__(self, method, params):
        if method != "eth_getLogs" or "blockHash" in params[0] or self.times == 0:
            return None
        self.times -= 1
        if self.block is None:
            return []
        return [log for log in self.recorded if int(log["blockNumber"], 16) != self.block]


@pytest.fixture
def raw_logs(gmx_v1_recording):
    logs = gmx_v1_recording["logs"]
    return [log for log in logs if FIRST <= int(log["blockNumber"], 16) <= LAST]


@pytest.fixture
def wanted(raw_logs):
    """A filter that all logs of the last blocks match."""
    return [LogFilter(tuple(sorted({log["address"].lower() for log in raw_logs})))]


@pytest.fixture
def read(wanted):
    def run(chain, first=FIRST, last=LAST):
        return [log for batch in chain.logs(wanted, first, last) for log in batch.logs]

    return run


def test_an_empty_answer_is_not_believed_where_a_bloom_says_otherwise(
    node, read, recorded, raw_logs
):
    assert raw_logs
    chain = node(Manners(answer=FalseEmpty(raw_logs))).chain
    with pytest.raises(AnalyzerError, match=r"no logs of block 3\d\d\d, though it has some"):
        read(chain)
    once = node(Manners(answer=FalseEmpty(raw_logs, times=2))).chain
    assert read(once) == read(recorded)


def test_an_answer_without_the_logs_of_one_block_is_not_believed(node, read, recorded, raw_logs):
    for number in sorted({int(log["blockNumber"], 16) for log in raw_logs})[::9]:
        chain = node(Manners(answer=FalseEmpty(raw_logs, block=number))).chain
        with pytest.raises(AnalyzerError, match=f"no logs of block {number}, though it has some"):
            read(chain)
        once = node(Manners(answer=FalseEmpty(raw_logs, times=1, block=number))).chain
        assert read(once) == read(recorded)


def test_an_empty_answer_to_one_filter_is_not_covered_by_what_another_found(
    node, recorded, raw_logs
):
    """Every block in which the one filter finds logs holds logs of the other as well."""
    blocks = {}
    for log in raw_logs:
        blocks.setdefault(log["topics"][0], set()).add(log["blockNumber"])
    silent, loud = next((a, b) for a in blocks for b in blocks if a != b and blocks[a] <= blocks[b])
    filters = [LogFilter((), ((silent,),)), LogFilter((), ((loud,),))]
    times = 10**9

    def empty(method, params):
        nonlocal times
        if method != "eth_getLogs" or params[0].get("topics") != [[silent]] or times == 0:
            return None
        times -= 1
        return []

    def read_both(chain):
        return [log for batch in chain.logs(filters, FIRST, LAST) for log in batch.logs]

    with pytest.raises(AnalyzerError, match=r"no logs of block 3\d\d\d, though it has some"):
        read_both(node(Manners(answer=empty)).chain)
    times = 2
    assert read_both(node(Manners(answer=empty)).chain) == read_both(recorded)


def test_far_below_the_head_an_empty_range_is_checked_by_sample(node, read, wanted):
    chain = node(Manners(answer=FalseEmpty([]))).chain
    with pytest.raises(AnalyzerError, match=r"no logs of block \d+, though it has some"):
        read(chain, 1_000, 1_400)
    unchecked = node(bloom_checks=0, log_window=200).chain
    blocks = [block.number for b in unchecked.logs(wanted, 1_000, 1_399) for block in b.blocks]
    assert blocks == [1_000, 1_199, 1_200, 1_399]
    sampled = node(bloom_checks=10, log_window=200).chain
    blocks = [block.number for b in sampled.logs(wanted, 1_000, 1_399) for block in b.blocks]
    assert 4 + 2 * 8 <= len(blocks) <= 4 + 2 * 10


def test_a_block_that_the_node_gives_no_logs_of_at_all_is_an_error(node, read):
    def nothing(method, _):
        return [] if method == "eth_getLogs" else None

    with pytest.raises(AnalyzerError, match=r"logs of block \d+ that its bloom does not stand for"):
        read(node(Manners(answer=nothing)).chain)


def test_a_crowded_bloom_is_no_evidence(node, read):
    def crowded(method, params):
        if method == "eth_getBlockByNumber" and params[0] not in ("latest", hex(LAST)):
            header = opened.server.chain.header(int(params[0], 16))
            return header | {"logsBloom": "0x" + "ff" * 256}
        return [] if method == "eth_getLogs" else None

    opened = node(Manners(answer=crowded))
    assert read(opened.chain, FIRST, LAST - 1) == []


def test_headers_that_do_not_follow_each_other_are_refused(node, read):
    def torn(method, params):
        if method == "eth_getBlockByNumber" and params[0] == hex(3_100):
            return opened.server.chain.header(3_100) | {"parentHash": "0x" + "ab" * 32}
        return None

    opened = node(Manners(answer=torn))
    with pytest.raises(AnalyzerError, match="a block 3100 that does not follow block 3099"):
        read(opened.chain)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [(slice(1), "two times for block {}"), (slice(None), "logs and a header with two times for")],
)
def test_a_time_that_is_not_the_blocks_is_refused(node, read, recorded, raw_logs, wrong, sentence):
    numbers = [log["blockNumber"] for log in raw_logs]
    number = next(one for one in numbers if numbers.count(one) > 1)
    false = [log for log in raw_logs if log["blockNumber"] == number][wrong]

    def lying(method, params):
        if method != "eth_getLogs" or "blockHash" in params[0] or not lies:
            return None
        lies.pop()
        times = [opened.server.chain.header(int(one, 16))["timestamp"] for one in numbers]
        return [
            log | {"blockTimestamp": "0x1" if log in false else time}
            for log, time in zip(raw_logs, times, strict=True)
        ]

    lies = [True] * 99
    opened = node(Manners(answer=lying))
    with pytest.raises(AnalyzerError, match=sentence.format(int(number, 16))):
        read(opened.chain)
    lies = [True] * 2
    opened = node(Manners(answer=lying))
    assert read(opened.chain) == read(recorded)
    assert not lies
