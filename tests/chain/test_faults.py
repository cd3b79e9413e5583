"""A fault that passes costs a retry; one that stays is one sentence that says what to do."""

import pytest

from analyzer.chain.settings import Settings
from analyzer.errors import AnalyzerError
from analyzer.evm import LogFilter
from tests.chain.conftest import VAULT
from tests.chain.manners import FAULTS, NULL, Manners
from tests.chain.patience import take_the_servers_word
from tests.chain.server import RpcError

PASSING = [*(fault for fault in FAULTS if fault not in ("quota", "hang")), "time is up"]
VAULT_LOGS = [LogFilter((VAULT,))]


def run(chain, calls):
    """A little of everything that is asked of a chain."""
    head = chain.block("latest")
    logs = [log for batch in chain.logs(VAULT_LOGS, 0, 600) for log in batch.logs]
    return chain.chain_id(), head, logs, chain.answer(calls[:300], head)


@pytest.mark.parametrize("fault", PASSING)
def test_a_fault_at_any_request_changes_nothing(node, recorded, calls, monkeypatch, fault):
    """Request 0 is a header, then come logs with their headers, the chain id, code, a multicall."""
    expected = run(recorded, calls)
    settings = {"log_window": 200, "concurrency": 1}
    quiet = node(**settings)
    assert run(quiet.chain, calls) == expected
    take_the_servers_word(monkeypatch)
    for number in range(quiet.server.posts):
        opened = node(Manners(faults={number: fault}), **settings)
        assert run(opened.chain, calls) == expected, number
        assert opened.server.posts > quiet.server.posts or fault == "time is up"


def test_many_faults_at_once_change_nothing(node, recorded, calls):
    kinds = ["drop", "429", "500", "truncate", "wrong id", "no result", "page", "429 hint"]
    faults = {3 * n + 1: kinds[n % len(kinds)] for n in range(12)}
    manners = Manners(max_range=50, max_logs=40, faults=faults, batches=False, multicall=False)
    assert run(node(manners).chain, calls) == run(recorded, calls)


@pytest.mark.parametrize("fault", ["429", "429 hint"])
def test_the_pause_that_a_provider_asks_for_is_kept(node, fault):
    opened = node(Manners(faults={0: fault}))
    assert opened.chain.chain_id() == 3133701
    (wait,) = opened.waits
    assert Settings().backoff < wait <= 7


def test_a_range_at_which_the_node_hangs_is_asked_for_in_halves(node, monkeypatch):
    take_the_servers_word(monkeypatch)
    opened = node(Manners(faults={1: "time is up"}), log_window=400)
    list(opened.chain.logs(VAULT_LOGS, 100, 499))
    first = next(params[0] for method, params in opened.server.calls if method == "eth_getLogs")
    assert (int(first["fromBlock"], 16), int(first["toBlock"], 16)) == (100, 299)
    assert opened.waits == []


def test_a_retry_date_that_has_passed_is_no_pause(node):
    opened = node(Manners(faults={0: "429 date"}))
    assert opened.chain.chain_id() == 3133701
    assert sum(opened.waits) < 0.1


def test_a_pause_longer_than_our_patience_is_an_error(node):
    opened = node(Manners(faults={0: "429"}), max_wait=5.0)
    with pytest.raises(AnalyzerError, match="keeps limiting the rate of requests"):
        opened.chain.chain_id()


def test_a_rate_is_kept(node):
    opened = node(requests_per_second=0.001)
    for number in range(5):
        opened.chain.block(number)
    assert len(opened.waits) == 4
    assert opened.waits == sorted(opened.waits)


ALWAYS = {
    "hang": r"^127\.0\.0\.1 hangs on its chain id \(no answer within 0\.2 s\): .*RPC URL$",
    "drop": r"^127\.0\.0\.1 keeps failing on its chain id \(the connection was dropped\): .*$",
    "page": r"with a web page instead of JSON: check that the RPC URL leads to a JSON-RPC endpoint",
    "truncate": "with JSON that is cut short or damaged",
    "nested": "with JSON that is cut short or damaged",
    "wrong id": "with the answer to another request",
    "no result": "with neither a result nor an error",
    "not an object": "answered its chain id with JSON",
    "500": "keeps failing on its chain id",
    "429": "keeps limiting the rate of requests",
    "quota": r'quota is used up \("Monthly capacity limit exceeded\."\): wait until it renews',
    "unauthorized": r'refuses access \("Unauthorized"\): check the key in the RPC URL',
}


@pytest.mark.parametrize("fault", ALWAYS)
def test_a_fault_that_stays_is_one_sentence_with_a_cure(node, fault):
    patience = {"timeout": 0.2} if fault == "hang" else {}
    opened = node(Manners(faults=dict.fromkeys(range(99), fault)), **patience)
    with pytest.raises(AnalyzerError, match=ALWAYS[fault]) as raised:
        opened.chain.chain_id()
    assert "\n" not in str(raised.value)
    assert 1 <= opened.server.posts <= 2 * Settings().max_attempts


def test_a_used_up_quota_is_not_asked_again(node):
    opened = node(Manners(faults=dict.fromkeys(range(99), "quota")))
    with pytest.raises(AnalyzerError):
        opened.chain.chain_id()
    assert opened.server.posts == 1


def test_a_dead_node_is_told_soon(node):
    opened = node()
    opened.server.stop()
    with pytest.raises(
        AnalyzerError, match=r"cannot be reached \(the connection is refused\): check"
    ):
        opened.chain.chain_id()
    assert len(opened.waits) == 1


def test_a_node_without_the_history_is_named(node):
    chain = node(Manners(first_log_block=500)).chain
    with pytest.raises(
        AnalyzerError, match=r"does not hold the history .*logs of blocks 0 to 900 .*start"
    ):
        list(chain.logs(VAULT_LOGS, 0, 900))


def test_a_node_without_old_state_is_named(node, head, calls):
    chain = node(Manners(first_state_block=9_999)).chain
    with pytest.raises(AnalyzerError, match=r"does not hold the state .*block 3131 .*archive node"):
        chain.answer(calls[:20], head)


def test_logs_beyond_the_head_are_no_empty_answer(node):
    chain = node().chain
    with pytest.raises(AnalyzerError, match="does not have logs of blocks 3000 to 4000 yet"):
        list(chain.logs(VAULT_LOGS, 3_000, 4_000))


def test_a_node_that_silently_answers_beyond_its_head_is_noticed(node):
    def generous(method, params):
        return [] if method == "eth_getLogs" else None

    chain = node(Manners(answer=generous)).chain
    with pytest.raises(AnalyzerError, match=r"does not have .* yet"):
        list(chain.logs(VAULT_LOGS, 3_000, 4_000))


def test_disabled_logs_are_told_from_a_limit(node):
    opened = node(Manners(logs_disabled=True), concurrency=1)
    with pytest.raises(AnalyzerError, match=r'even for one block \("limit exceeded"\): .*disabled'):
        list(opened.chain.logs(VAULT_LOGS, 0, 3_000))
    assert opened.server.posts < 20


def test_too_many_logs_in_a_block_without_receipts_is_an_error(node, recorded):
    busiest = max(recorded._logs, key=lambda log: log.log_index)
    chain = node(Manners(max_logs=0, receipts=False)).chain
    with pytest.raises(AnalyzerError, match="does not offer logs of blocks"):
        list(
            chain.logs([LogFilter((busiest.address,))], busiest.block_number, busiest.block_number)
        )


def test_a_request_that_is_not_recorded_names_itself(node, head, calls):
    from dataclasses import replace  # noqa: PLC0415

    unknown = replace(calls[0], data=b"\x01\x02\x03\x04")
    chain = node(Manners(multicall=False)).chain
    with pytest.raises(AnalyzerError, match=r"eth_call 0x01020304 to 0x.* at block 3131"):
        chain.answer([unknown], head)


GOOD_LOG = {
    "address": VAULT, "topics": ["0x" + "01" * 32], "data": "0x", "blockNumber": "0x64",
    "transactionHash": "0x" + "02" * 32, "transactionIndex": "0x0", "logIndex": "0x0",
}  # fmt: skip

# what is wrong with the answer: (changes of each log in it, or the answer itself; the error)
BAD_LOGS = {
    "another block": ([{"blockNumber": "0x63"}], "a log of block 99, outside 100 to 100"),
    "another address": (
        [{"address": "0x" + "99" * 20}],
        "block 100 that does not match the filter",
    ),
    "twice": ([{}, {}], "log 0 of block 100 twice"),
    "removed": ([{"removed": True}], "a log that a reorganisation has removed"),
    "another hash": ([{"blockHash": "0x" + "05" * 32}], "two hashes for block 100"),
    "no data": ([{"data": None}], "None as a log's data"),
    "odd data": ([{"data": "0x123"}], "'0x123' as a log's data"),
    "no hex": ([{"data": "0xzz"}], "text of length 4 as a log's data"),
    "short topic": ([{"topics": ["0x01"]}], "'0x01' as a topic"),
    "five topics": ([{"topics": ["0x" + "01" * 32] * 5}], "as topics"),
    "topics in one": ([{"topics": "0x" + "01" * 32}], "as topics"),
    "a number": ([{"blockNumber": 5}], "5 as a log's block"),
    "a huge number": ([{"logIndex": "0x" + "f" * 64}], "as a log's index"),
    "a negative number": ([{"logIndex": "0x-1"}], "text of length 4 as a log's index"),
    "a log of text": (["log"], "text of length 3 as a log"),
    "text": ("logs", "text of length 4 as logs"),
    "an object": ({}, "an object of length 0 as logs"),
}


def false_logs(bad, recorded):
    change = BAD_LOGS[bad][0]
    if not isinstance(change, list):
        return change
    good = GOOD_LOG | {"blockHash": recorded.block(100).hash}
    return [good | entry if isinstance(entry, dict) else entry for entry in change]


@pytest.mark.parametrize("bad", BAD_LOGS)
def test_logs_that_cannot_be_true_are_refused(node, recorded, bad):
    false = false_logs(bad, recorded)
    opened = node(Manners(answer=lambda method, _: false if method == "eth_getLogs" else None))
    with pytest.raises(
        AnalyzerError, match=r"^127\.0\.0\.1 answered logs of blocks 100 to 100 with "
    ) as e:
        list(opened.chain.logs(VAULT_LOGS, 100, 100))
    assert BAD_LOGS[bad][1] in str(e.value)
    assert opened.server.counts["eth_getLogs"] == Settings().max_attempts


def test_a_good_log_is_not_refused(node, recorded):
    good = GOOD_LOG | {"blockHash": recorded.block(100).hash, "removed": False}
    opened = node(Manners(answer=lambda method, _: [good] if method == "eth_getLogs" else None))
    (batch,) = opened.chain.logs(VAULT_LOGS, 100, 100)
    assert len(batch.logs) == 1


def test_logs_that_were_false_once_are_asked_for_again(node, recorded):
    left = [false_logs("another hash", recorded)]

    def lie(method, params):
        return left.pop() if method == "eth_getLogs" and left else None

    (batch,) = node(Manners(answer=lie)).chain.logs(VAULT_LOGS, 100, 100)
    (expected,) = recorded.logs(VAULT_LOGS, 100, 100)
    assert batch.logs == expected.logs


BAD_BLOCKS = [{}, [], "0x1", {"number": "0x1"}, 7]


@pytest.mark.parametrize("bad", BAD_BLOCKS, ids=repr)
def test_headers_that_cannot_be_true_are_refused(node, bad):
    opened = node(Manners(answer=lambda method, _: bad if "Block" in method else None))
    for which in (1, "latest", "finalized"):
        with pytest.raises(AnalyzerError, match=r"^127\.0\.0\.1 answered .*JSON-RPC endpoint"):
            opened.chain.block(which)


def test_another_block_than_asked_for_is_refused(node, recorded):
    raw = node().server.chain.header(7)
    opened = node(Manners(answer=lambda method, _: raw if "Block" in method else None))
    with pytest.raises(AnalyzerError, match="answered block 8 with block 7 instead of 8"):
        opened.chain.block(8)


@pytest.mark.parametrize("bad", [7, "31337", "0x", [], {}])
def test_a_chain_id_that_is_none_is_refused(node, bad):
    opened = node(Manners(answer=lambda method, _: bad if method == "eth_chainId" else None))
    with pytest.raises(AnalyzerError, match=r"answered its chain id with .* as a chain id"):
        opened.chain.chain_id()


@pytest.mark.parametrize("bad", ["0x1", 5, [], {}, "data"])
def test_answers_to_calls_that_are_none_are_refused(node, head, calls, bad):
    opened = node(
        Manners(multicall=False, answer=lambda method, _: bad if method == "eth_call" else None)
    )
    with pytest.raises(AnalyzerError, match=r"^127\.0\.0\.1 answered eth_call"):
        opened.chain.answer(calls[:3], head)


BY_HASH = ("eth_call", "eth_getCode", "eth_getStorageAt")
CALLS_ONLY = ("eth_call",)
FOREIGN_WORDS = {
    "words never seen": (200, -32099, "nope"),
    "internal error": (200, -32603, "Internal error"),
    "503": (503, -32011, "no backend is currently healthy to serve traffic"),
    "502": (502, None, "Bad gateway"),
    "504": (504, None, "gateway time-out"),
}


@pytest.mark.parametrize("methods", [BY_HASH, CALLS_ONLY], ids=["all", "calls"])
@pytest.mark.parametrize("multicall", [True, False], ids=["multicall", "no multicall"])
@pytest.mark.parametrize("words", FOREIGN_WORDS)
def test_block_hashes_refused_in_any_words_cost_few_requests(
    node, recorded, head, calls, words, multicall, methods
):
    status, code, message = FOREIGN_WORDS[words]

    def refuse(method, params):
        if method in methods and isinstance(params[-1], dict):
            raise RpcError(status, {"code": code, "message": message})

    opened = node(Manners(multicall=multicall, answer=refuse))
    assert opened.chain.answer(calls, head) == recorded.answer(calls, head)
    batches = 1 if multicall else len(calls) // Settings().batch_size + 1
    assert opened.server.posts <= batches + 12
    assert sum(opened.waits) <= 3
    before = opened.server.posts
    opened.chain.answer(calls[:50], head)
    assert opened.server.posts <= before + 3  # what was learnt stays


def test_a_node_that_fails_for_a_while_is_read_by_hash_afterwards(node, recorded, head, calls):
    opened = node(Manners(faults=dict.fromkeys(range(20), "500")))
    with pytest.raises(AnalyzerError, match="keeps failing"):
        opened.chain.answer(calls[:50], head)
    opened = node(Manners(faults=dict.fromkeys(range(4), "500")))
    assert opened.chain.answer(calls[:3], head) == recorded.answer(calls[:3], head)
    assert opened.server.calls[-1][1][-1] == {"blockHash": head.hash}


@pytest.mark.parametrize("words", [words for words in FOREIGN_WORDS if words != "504"])
def test_too_many_blocks_refused_in_any_words_are_asked_for_in_halves(node, recorded, words):
    status, code, message = FOREIGN_WORDS[words]

    def refuse(method, params):
        if method == "eth_getLogs":
            blocks = int(params[0]["toBlock"], 16) - int(params[0]["fromBlock"], 16) + 1
            if blocks > 300:
                raise RpcError(status, {"code": code, "message": message})

    opened = node(Manners(answer=refuse), log_window=1_000, concurrency=1)
    got = [log for batch in opened.chain.logs(VAULT_LOGS, 0, 1_199) for log in batch.logs]
    assert got == [log for batch in recorded.logs(VAULT_LOGS, 0, 1_199) for log in batch.logs]
    assert opened.server.counts["eth_getLogs"] <= 20


@pytest.mark.parametrize("words", [words for words in FOREIGN_WORDS if words != "words never seen"])
def test_a_multicall_refused_in_any_words_is_made_smaller(node, recorded, head, calls, words):
    status, code, message = FOREIGN_WORDS[words]

    def refuse(method, params):
        if method == "eth_call" and len(params[0]["data"]) > 60_000:
            raise RpcError(status, {"code": code, "message": message})

    opened = node(Manners(answer=refuse))
    assert opened.chain.answer(calls, head) == recorded.answer(calls, head)
    assert opened.server.posts <= 80  # a sixteenth of what was asked for at first


def test_no_logs_at_all_for_an_answer_are_asked_for_again(node, recorded):
    """A result of ``null`` is no empty list."""
    left = [NULL] * (Settings().max_attempts - 1)

    def forget(method, params):
        return left.pop() if method == "eth_getLogs" and left else None

    (batch,) = node(Manners(answer=forget)).chain.logs(VAULT_LOGS, 100, 100)
    (expected,) = recorded.logs(VAULT_LOGS, 100, 100)
    assert list(batch.logs) == list(expected.logs)
