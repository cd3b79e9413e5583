"""The benchmark's chain is consistent, and its server gives every client the same logs."""

import json
import urllib.request

import pytest
from eth_abi.abi import decode

from analyzer.chain.blooms import may_hold
from analyzer.chain.open import open_chain
from analyzer.evm import LogFilter
from tests.benchmarks.pipeline import chain, events
from tests.benchmarks.pipeline.serving import ask, recorded_server

LOGS = 300


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    folder = tmp_path_factory.mktemp("chain") / "simple"
    about = chain.write(folder, events.CLEARING_HOUSE, events.simple_events(LOGS))
    with recorded_server(folder) as url:
        yield about, url


def logs_of(url, first, last, **more):
    return ask(url, "eth_getLogs", {"fromBlock": hex(first), "toBlock": hex(last)} | more)


def test_a_range_is_the_sum_of_its_blocks(served):
    about, url = served
    whole = logs_of(url, 0, about.head)
    parts = [
        log for n in range(about.base, about.head + 1) for log in logs_of(url, n, n)
    ]  # fmt: skip
    assert len(whole) == LOGS
    assert whole == parts
    assert [(tuple(log["topics"]), log["data"][2:]) for log in whole] == [
        (event.topics, event.data) for event in events.simple_events(LOGS)
    ]


def test_blocks_link_and_logs_stand_in_them(served):
    about, url = served
    for number in range(about.first_block, about.head + 1):
        block = ask(url, "eth_getBlockByNumber", hex(number), True)
        assert block["parentHash"] == ask(url, "eth_getBlockByNumber", hex(number - 1))["hash"]
        hashes = [transaction["hash"] for transaction in block["transactions"]]
        logs = logs_of(url, number, number)
        wanted = [LogFilter((about.address,), ((events.SIMPLE_TOPIC,),))]
        assert may_hold(int(block["logsBloom"], 16), wanted) == bool(logs)
        for log in logs:
            assert (log["blockHash"], log["blockTimestamp"]) == (block["hash"], block["timestamp"])
            assert hashes[int(log["transactionIndex"], 16)] == log["transactionHash"]
        assert ask(url, "eth_getLogs", {"blockHash": block["hash"]}) == logs


def test_a_filter_for_other_logs_finds_none(served):
    about, url = served
    assert logs_of(url, 0, about.head, address="0x" + "11" * 20) == []
    assert logs_of(url, 0, about.head, topics=[["0x" + "11" * 32]]) == []
    assert len(logs_of(url, 0, about.head, address=about.address, topics=about.topics)) == LOGS


def test_batches_and_unknown_methods_are_answered_as_by_a_node(served):
    _, url = served
    batch = [
        {"jsonrpc": "2.0", "id": "a", "method": "eth_chainId"},
        {"jsonrpc": "2.0", "id": 2, "method": "eth_sendTransaction", "params": []},
        {"jsonrpc": "2.0", "id": 3, "method": "eth_getBlockByNumber", "params": ["0x1", False]},
    ]
    request = urllib.request.Request(url, json.dumps(batch).encode())
    with urllib.request.urlopen(request) as response:
        first, second, third = json.load(response)
    assert first == {"jsonrpc": "2.0", "id": "a", "result": hex(chain.CHAIN_ID)}
    assert second["error"]["code"] == -32601
    assert third == {"jsonrpc": "2.0", "id": 3, "result": None}


def test_our_own_client_accepts_the_chain(served):
    about, url = served
    node = open_chain([url])
    filters = [LogFilter((about.address,), ((events.SIMPLE_TOPIC,),))]
    batches = list(node.logs(filters, about.first_block, about.head))
    assert sum(len(batch.logs) for batch in batches) == LOGS
    node.close()


def test_nested_events_differ_and_decode():
    made = list(events.nested_events(800))
    assert len({event.data for event in made}) > 0.95 * len(made), "few hold no large number"
    for event in made[::50]:
        decode(events.NESTED_KINDS, bytes.fromhex(event.data))
