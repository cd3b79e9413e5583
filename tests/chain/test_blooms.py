"""Blooms: the yellow paper's bits, and what they prove."""

import gzip
import json
from itertools import groupby

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.chain import wire
from analyzer.chain.blooms import bits_of, bloom_of, may_hold, number_of
from analyzer.evm import LogFilter
from analyzer.log_columns import LogColumns
from tests.conftest import FIXTURES

ADDRESS = "0x0f572e5295c57f15886f9b263e2f6d2d6c7b5ec6"
TOPIC = "0xbd34370000000000000000000000000000000000000000000000000000000000"


@pytest.fixture(scope="module")
def blocks():
    """The recorded blocks that name their bloom, with all their logs."""
    with gzip.open(FIXTURES / "demo" / "gmx_v1.json.gz", "rt") as file:
        recording = json.load(file)
    logs = sorted(map(wire.log, recording["logs"]), key=lambda log: log.block_number)
    by_block = {n: list(group) for n, group in groupby(logs, key=lambda log: log.block_number)}
    headers = map(wire.block, recording["blocks"])
    return [(h, by_block.get(h.number, [])) for h in headers if h.logs_bloom is not None]


def test_a_real_header_has_the_bits_of_its_logs(blocks):
    seen = 0
    for header, logs in blocks:
        bloom = number_of(header.logs_bloom)
        own = bloom_of(LogColumns.of(logs))
        assert own & bloom == own
        seen += bool(logs)
        for log in logs:
            assert may_hold(bloom, [LogFilter((log.address,), ((log.topics[0],),))])
    assert seen > 100


@given(st.binary(min_size=20, max_size=20), st.binary(min_size=32, max_size=32))
def test_an_empty_bloom_rules_out_every_filter_that_names_something(address, topic):
    emitter, first = "0x" + address.hex(), "0x" + topic.hex()
    assert not may_hold(0, [LogFilter((emitter,))])
    assert not may_hold(0, [LogFilter((), ((), (first,)))])
    assert may_hold(0, [LogFilter(())])
    assert may_hold(bits_of(address), [LogFilter((ADDRESS, emitter))])
    assert may_hold(bits_of(address) | bits_of(topic), [LogFilter((emitter,), ((TOPIC, first),))])
