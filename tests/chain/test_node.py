"""A node with any manners says what its recording says."""

from collections import Counter
from dataclasses import replace
from itertools import pairwise

import pytest

from analyzer.chain import open_chain
from analyzer.errors import AnalyzerError
from analyzer.evm import Answer, Block, Call, LogFilter, Slot
from tests.chain.conftest import RECORDING, VAULT
from tests.chain.manners import RANGE_WORDINGS, RESULT_WORDINGS, Manners
from tests.chain.server import MULTICALL3

LOG_MANNERS = {
    "none": Manners(),
    **{f"range, {w}": Manners(max_range=100, range_wording=w) for w in RANGE_WORDINGS},
    **{f"results, {w}": Manners(max_logs=100, result_wording=w) for w in RESULT_WORDINGS},
    "range and results": Manners(max_range=400, range_wording="infura", max_logs=100),
    "one log at a time": Manners(max_logs=1, result_wording="zksync"),
    "no time in logs": Manners(block_timestamps=False),
    "no time in logs, no batches": Manners(block_timestamps=False, batches=False),
    "small batches": Manners(block_timestamps=False, max_batch=7),
}

STATE_MANNERS = {
    "multicall": Manners(),
    "no multicall": Manners(multicall=False),
    "small multicalls": Manners(max_multicall=100),
    "no block hashes": Manners(block_hash_calls=False),
    "no multicall, no block hashes": Manners(multicall=False, block_hash_calls=False),
    "no multicall, no batches": Manners(multicall=False, batches=False),
    "no multicall, small batches": Manners(multicall=False, max_batch=7),
    "nothing": Manners(multicall=False, batches=False, block_hash_calls=False),
}


def all_logs(chain, filters, first, last):
    return [log for batch in chain.logs(filters, first, last) for log in batch.logs]


@pytest.mark.parametrize("manners", LOG_MANNERS.values(), ids=LOG_MANNERS)
def test_logs_equal_the_recorded_ones(node, recorded, filters, manners):
    last = 250 if manners.max_logs == 1 else 3131
    got = all_logs(node(manners).chain, filters, 0, last)
    assert got == all_logs(recorded, filters, 0, last)
    assert len(got) > 100


@pytest.mark.parametrize("manners", STATE_MANNERS.values(), ids=STATE_MANNERS)
def test_answers_equal_the_recorded_ones(node, recorded, head, calls, manners):
    got = node(manners).chain.answer(calls, head)
    assert got == recorded.answer(calls, head)
    assert sum(answer.error is not None for answer in got) > 10


def test_batches_of_logs_follow_one_another_and_cover_the_range(node, filters):
    chain = node(Manners(max_logs=50, result_wording="arbitrum")).chain
    batches = list(chain.logs(filters, 5, 2_000))
    assert (batches[0].from_block, batches[-1].to_block) == (5, 2_000)
    for before, after in pairwise(batches):
        assert after.from_block == before.to_block + 1
    for batch in batches:
        assert all(batch.from_block <= log.block_number <= batch.to_block for log in batch.logs)
        assert batch.blocks[-1].number == batch.to_block


def test_headers_come_with_logs_that_carry_no_time(node, recorded, filters):
    (batch,) = node(Manners(block_timestamps=False)).chain.logs(filters, 100, 200)
    numbers = {log.block_number for log in batch.logs}
    headers = {block.number: block for block in batch.blocks}
    assert numbers | {100, 200} <= headers.keys()
    assert list(headers) == sorted(headers)
    assert headers[min(numbers)] == recorded.block(min(numbers))


def test_a_range_far_below_the_head_is_vouched_for_by_a_dozen_headers(node, filters):
    opened = node()
    list(opened.chain.logs(filters, 100, 900))
    headers = [params[0] for method, params in opened.server.calls if method.endswith("ByNumber")]
    assert len(headers) <= 1 + 2 + 10, "the head, first and last block, and ten quiet ones"
    assert opened.server.counts["eth_getLogs"] == 2
    assert opened.server.posts == 1 + 2 + 1, "the headers of a range come in one batch"


def test_near_the_head_every_header_is_read(node, filters):
    opened = node()
    head = opened.chain.block("latest").number
    (batch,) = opened.chain.logs(filters, head - 100, head)
    assert [block.number for block in batch.blocks] == list(range(head - 100, head + 1))


def test_a_range_limit_is_learnt_once(node):
    opened = node(Manners(max_range=100, range_wording="infura"), concurrency=1)
    list(opened.chain.logs([LogFilter((VAULT,))], 1, 3_000))
    assert opened.server.counts["eth_getLogs"] == 31


@pytest.mark.parametrize("wording", RANGE_WORDINGS)
def test_a_range_limit_costs_few_requests_in_any_wording(node, wording):
    opened = node(Manners(max_range=100, range_wording=wording), concurrency=1)
    list(opened.chain.logs([LogFilter((VAULT,))], 1, 3_000))
    assert opened.server.counts["eth_getLogs"] <= 80


@pytest.fixture(scope="module")
def busy_block(recorded):
    """The block with the most logs, and its logs."""
    number = max(recorded._logs, key=lambda log: log.log_index).block_number
    return number, [log for log in recorded._logs if log.block_number == number]


def test_a_block_with_too_many_logs_is_split_by_address(node, busy_block):
    number, logs = busy_block
    addresses = Counter(log.address for log in logs)
    opened = node(Manners(max_logs=max(addresses.values()), receipts=False))
    assert len(addresses) > 1
    got = all_logs(opened.chain, [LogFilter(tuple(sorted(addresses)))], number, number)
    assert got == logs


def test_a_block_with_too_many_logs_is_split_by_topic(node, busy_block):
    number, logs = busy_block
    topics = Counter(log.topics[0] for log in logs)
    opened = node(Manners(max_logs=max(topics.values()), receipts=False))
    assert len(topics) > 1
    got = all_logs(opened.chain, [LogFilter((), (tuple(topics),))], number, number)
    assert got == logs


def test_a_block_with_too_many_equal_logs_is_read_from_its_receipts(node, busy_block):
    number, logs = busy_block
    address, count = Counter(log.address for log in logs).most_common(1)[0]
    opened = node(Manners(max_logs=count - 1))
    assert count > 1
    got = all_logs(opened.chain, [LogFilter((address,))], number, number)
    assert got == [log for log in logs if log.address == address]
    assert opened.server.counts["eth_getBlockReceipts"] == 1


def test_an_address_limit_divides_the_filter(node, recorded):
    addresses = tuple(sorted({log.address for log in recorded._logs}))
    opened = node(Manners(max_addresses=3))
    filters = [LogFilter(addresses)]
    assert len(addresses) > 6
    assert all_logs(opened.chain, filters, 0, 500) == all_logs(recorded, filters, 0, 500)


def test_logs_that_two_filters_match_come_once(node, recorded, filters):
    twice = [*filters, *filters]
    assert all_logs(node().chain, twice, 0, 900) == all_logs(recorded, filters, 0, 900)


def test_topics_are_filtered_by_the_node(node, filters):
    opened = node()
    list(opened.chain.logs(filters[1:], 0, 100))
    ((_, (query,)),) = [call for call in opened.server.calls if call[0] == "eth_getLogs"]
    assert query["topics"] == [list(filters[1].topics[0])]
    assert query["address"] == filters[1].addresses[0]


def test_closing_a_half_read_range_stops_it(node, filters):
    opened = node(Manners(max_range=10), concurrency=2)
    batches = opened.chain.logs(filters, 0, 3_000)
    next(batches)
    batches.close()
    opened.chain.close()
    assert opened.server.posts < 50


def test_state_costs_requests_by_the_thousand(node, head, calls):
    opened = node()
    opened.chain.answer(calls, head)
    assert len(calls) > 2_000
    reverts_without_data = 2
    assert opened.server.posts <= 1 + 2 + reverts_without_data


def test_ten_thousand_reads_of_a_block_take_a_handful_of_calls(node, head, calls, recorded):
    """One for each 2,000, once it is known that Multicall3 is there."""
    good = [c for c in calls if recorded.answer([c], head)[0].error is None]
    many = (good * (10_000 // len(good) + 1))[:10_000]
    opened = node()
    assert opened.chain.answer(many, head) == recorded.answer(many, head)
    assert opened.server.counts == {"eth_getCode": 1, "eth_call": 5}
    assert opened.chain.requests == 6
    opened.chain.answer(many, head)
    assert opened.chain.requests == 11


def test_a_few_calls_cost_one_request(node, head, calls):
    opened = node()
    opened.chain.answer(calls[:3], head)
    assert opened.server.posts == 1


def test_reads_are_pinned_by_hash(node, head, calls):
    opened = node(Manners(multicall=False))
    opened.chain.answer(calls[:10], head)
    assert all(params[-1] == {"blockHash": head.hash} for _, params in opened.server.calls)


def test_reads_pinned_by_number_notice_a_reorganisation(node, head, calls):
    other = replace(head, hash="0x" + "77" * 32)
    with pytest.raises(
        AnalyzerError, match=r"^block 3131 of 127\.0\.0\.1 was reorganised .* again$"
    ):
        node(Manners(block_hash_calls=False)).chain.answer(calls[:9], other)


def test_reads_of_an_unknown_block_hash_fail(node, head, calls):
    other = replace(head, hash="0x" + "77" * 32)
    with pytest.raises(AnalyzerError, match=r"does not have .* yet"):
        node().chain.answer(calls[:9], other)


def test_calls_with_a_sender_and_slots_never_go_through_multicall(node, write_recording, head):
    sender = "0x" + "11" * 20
    document = {
        "chain_id": 1,
        "blocks": [{"number": "0x1", "hash": "0x" + "aa" * 32, "parentHash": "0x" + "bb" * 32,
                    "timestamp": "0x5"}],
        "calls": [{"block": "0x1", "to": VAULT, "data": f"0x{n:08x}", "result": f"0x{n:064x}",
                   "from": sender} for n in range(6)],
        "storage": [{"block": "0x1", "address": VAULT, "slot": f"0x{n:x}", "result": f"0x{n:064x}"}
                    for n in range(6)],
    }  # fmt: skip
    opened = node(recording=write_recording(document))
    block = opened.chain.block(1)
    requests = [Call(VAULT, n.to_bytes(4), sender) for n in range(6)]
    slots = [Slot(VAULT, n) for n in range(6)]
    got = opened.chain.answer([*requests, *slots], block)
    assert got == [Answer(n.to_bytes(32)) for n in (*range(6), *range(6))]
    assert all(p[0]["to"] != MULTICALL3 for m, p in opened.server.calls if m == "eth_call")
    assert all(p[0]["from"] == sender for m, p in opened.server.calls if m == "eth_call")


def test_a_call_that_only_ran_out_of_gas_in_a_multicall_is_asked_again(node, head, calls):
    """A failure without data may be the multicall's lack of gas: it is no revert until asked."""
    good = [call for call in calls if call.data][:8]

    def starve(method, params):
        if method == "eth_call" and params[0]["to"] == MULTICALL3:
            from eth_abi import encode  # noqa: PLC0415

            return "0x" + encode(["(bool,bytes)[]"], [[(False, b"")] * 8]).hex()
        return None

    assert node(Manners(answer=starve)).chain.answer(good, head) == node().chain.answer(good, head)


def test_an_impostor_at_the_multicall_address_does_no_harm(node, head, calls, recorded):
    def impostor(method, params):
        return "0x" if method == "eth_call" and params[0]["to"] == MULTICALL3 else None

    opened = node(Manners(answer=impostor))
    assert opened.chain.answer(calls[:50], head) == recorded.answer(calls[:50], head)


def test_a_call_without_code_is_an_empty_answer_by_every_way(node, write_recording):
    nobody = "0x" + "22" * 20
    document = {
        "chain_id": 1,
        "blocks": [{"number": "0x1", "hash": "0x" + "aa" * 32, "parentHash": "0x" + "bb" * 32,
                    "timestamp": "0x5"}],
        "calls": [{"block": "0x1", "to": nobody, "data": f"0x{n:08x}", "result": "0x"}
                  for n in range(6)],
    }  # fmt: skip
    recording = write_recording(document)
    requests = [Call(nobody, n.to_bytes(4)) for n in range(6)]
    for manners in (Manners(), Manners(multicall=False)):
        chain = node(manners, recording=recording).chain
        assert chain.answer(requests, chain.block(1)) == [Answer(b"")] * 6


def test_no_requests_cost_nothing(node, head):
    opened = node()
    assert opened.chain.answer([], head) == []
    assert list(opened.chain.logs([LogFilter((VAULT,))], 9, 8)) == []
    assert opened.server.posts == 0


def test_blocks_are_had_by_number_and_tag(node, recorded):
    chain = node().chain
    assert chain.block(2) == recorded.block(2)
    assert chain.block("latest") == chain.block("safe") == chain.block("finalized")
    assert chain.block("latest") == recorded.block("latest")
    assert isinstance(chain.block(3), Block)
    assert chain.chain_id() == 3133701


def test_a_tag_that_the_node_does_not_know_says_what_to_use_instead(node):
    chain = node(Manners(tags=("latest",))).chain
    with pytest.raises(AnalyzerError, match=r"does not know its finalized block .*--block latest"):
        chain.block("finalized")


def test_a_tag_that_the_node_answers_with_nothing_says_what_to_use_instead(write_recording, node):
    def nothing(method, params):
        return {} if method == "eth_getBlockByNumber" and params[0] == "safe" else None

    with pytest.raises(AnalyzerError, match="the safe block"):
        node(Manners(answer=nothing)).chain.block("safe")


def test_a_block_beyond_the_head_is_an_error_after_patience(node):
    opened = node()
    with pytest.raises(AnalyzerError, match=r"does not have block 9999 yet .*lags behind"):
        opened.chain.block(9_999)
    assert len(opened.waits) == 4


def test_progress_tells_of_logs_and_reads(node, filters, head, calls):
    seen = []
    server = node(Manners(max_range=1_000)).server
    chain = open_chain([server.url], progress=seen.append)
    logs = all_logs(chain, filters, 1, 3_000)
    assert (seen[-1].stage, seen[-1].done, seen[-1].total) == ("logs", 3_000, 3_000)
    assert seen[-1].logs == len(logs)
    chain.answer(calls[:40], head)
    assert (seen[-1].stage, seen[-1].done, seen[-1].total) == ("state", 40, 40)
    assert seen[-1].requests == chain.requests
    chain.close()


def test_the_recording_itself_opens_without_a_node(recorded):
    assert open_chain([f"recording:{RECORDING}"]).chain_id() == recorded.chain_id()
