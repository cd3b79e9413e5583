"""Several nodes: the next goes on where one fails, on the same fork; two are compared if asked."""

import copy
import gzip
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from analyzer.chain import Settings, open_chain
from analyzer.chain.settings import Progress
from analyzer.chain.several import SeveralNodes
from analyzer.errors import AnalyzerError
from analyzer.evm import LogFilter
from tests.chain.conftest import PATIENCE, RECORDING, VAULT
from tests.chain.manners import Manners
from tests.chain.patience import take_the_servers_word
from tests.chain.server import RecordingServer

VAULT_LOGS = [LogFilter((VAULT,))]
HEAD = 3131
FIRST, SECOND = "127.0.0.1 #1", "127.0.0.1 #2"
DEAD = Manners(faults=dict.fromkeys(range(9_999), "500"))


@dataclass(frozen=True)
class Opened:
    """A chain of several nodes, their servers, and what was said while they were asked."""

    chain: SeveralNodes
    servers: list[RecordingServer]
    seen: list[Progress]

    @property
    def notes(self) -> list[str]:
        return [step.note for step in self.seen if step.note]


@pytest.fixture
def several() -> Iterator[Callable[..., Opened]]:
    """Opens a chain of several nodes: each has manners, or a recording of its own with them."""
    with ExitStack() as stack:

        def start(*nodes, cross_check=0, **settings) -> Opened:
            each = [node if isinstance(node, tuple) else (RECORDING, node) for node in nodes]
            servers = [stack.enter_context(RecordingServer(*one)) for one in each]
            seen: list[Progress] = []
            chosen = Settings(
                **{"timeout": PATIENCE, "sleep": lambda _: None, "concurrency": 1} | settings
            )
            chain = open_chain(
                [server.url for server in servers],
                settings=chosen,
                progress=seen.append,
                cross_check=cross_check,
            )
            assert isinstance(chain, SeveralNodes)
            stack.callback(chain.close)
            return Opened(chain, servers, seen)

        yield start


@pytest.fixture(scope="session")
def document() -> dict:
    with gzip.open(RECORDING, "rt") as file:
        return json.load(file)


def forked(document: dict, since: int) -> dict:
    """The same chain, with other blocks from one on."""
    fork = copy.deepcopy(document)
    for block in fork["blocks"]:
        if int(block["number"], 16) >= since:
            block["hash"] = "0xf0f0" + block["hash"][6:]
            if int(block["number"], 16) > since:
                block["parentHash"] = "0xf0f0" + block["parentHash"][6:]
    return fork


def shortened(document: dict, blocks: int) -> dict:
    """A node that lags behind."""
    lagging = copy.deepcopy(document)
    head = HEAD - blocks
    for name, key in (("blocks", "number"), ("logs", "blockNumber")):
        lagging[name] = [one for one in document[name] if int(one[key], 16) <= head]
    return lagging


def read(chain, last=HEAD):
    return [log for batch in chain.logs(VAULT_LOGS, 0, last) for log in batch.logs]


def run(chain, calls):
    """A little of everything that is asked of a chain."""
    head = chain.block("latest")
    return chain.chain_id(), head, read(chain, 900), chain.answer(calls[:100], head)


def test_the_first_node_answers_everything_while_it_can(several, recorded, calls):
    opened = several(Manners(), Manners())
    assert run(opened.chain, calls) == run(recorded, calls)
    assert opened.servers[1].posts == 0
    assert opened.notes == []
    assert opened.chain.label == f"{FIRST} and {SECOND}"


@pytest.mark.parametrize("fault", ["500", "drop", "429 at once", "page", "truncate", "quota",
                                   "unauthorized", "no result"])  # fmt: skip
def test_a_node_that_fails_from_any_request_on_is_replaced(several, recorded, calls, fault):
    expected = run(recorded, calls)
    for since in range(8):
        faults = dict.fromkeys(range(since, 9_999), fault)
        opened = several(Manners(faults=faults), Manners(), log_window=300, batch_size=50)
        assert run(opened.chain, calls) == expected, since
        (note,) = [note for note in opened.notes if "asked to slow down" not in note]
        assert note.startswith(FIRST)
        assert note.endswith(f": going on with {SECOND}")


def test_logs_go_on_after_the_last_block_that_was_handed_out(several, recorded):
    faults = dict.fromkeys(range(8, 9_999), "500")
    opened = several(Manners(faults=faults), Manners(), log_window=200)
    batches = list(opened.chain.logs(VAULT_LOGS, 5, HEAD))
    assert [b.from_block for b in batches[1:]] == [b.to_block + 1 for b in batches[:-1]]
    assert (batches[0].from_block, batches[-1].to_block) == (5, HEAD)
    assert [log for b in batches for log in b.logs] == [
        log for b in recorded.logs(VAULT_LOGS, 5, HEAD) for log in b.logs
    ]
    asked = [p[0] for m, p in opened.servers[1].calls if m == "eth_getLogs"]
    assert int(asked[0]["fromBlock"], 16) > 5
    steps = [(s.done, s.total) for s in opened.seen if s.stage == "logs"]
    assert steps == sorted(steps)
    assert steps[-1] == (HEAD - 4, HEAD - 4)


def test_a_dead_node_costs_one_turn_not_one_a_question(several, recorded, calls):
    opened = several(DEAD, Manners())
    run(opened.chain, calls)
    spent = opened.servers[0].posts
    run(opened.chain, calls)
    assert opened.servers[0].posts == spent <= Settings().max_attempts
    assert len(opened.notes) == 1


def test_a_node_that_hangs_from_the_start_costs_one_timeout(several, recorded, monkeypatch):
    take_the_servers_word(monkeypatch)
    hanging = Manners(faults=dict.fromkeys(range(99), "time is up"))
    opened = several(hanging, Manners())
    assert opened.chain.block("latest") == recorded.block("latest")
    assert opened.servers[0].posts == 1


def test_a_node_that_falls_silent_is_given_up_soon(several, recorded, monkeypatch):
    take_the_servers_word(monkeypatch)
    faults = dict.fromkeys(range(6, 99), "time is up")
    opened = several(Manners(faults=faults), Manners(), log_window=200)
    assert read(opened.chain) == read(recorded)
    assert opened.servers[0].posts <= 6 + Settings().concurrency, "one hangs in each thread"
    assert "it no longer answers" in opened.notes[0]


def test_flaky_nodes_take_turns(several, recorded, calls):
    faults = {number: "500" for number in range(9_999) if number % 14 > 5}
    opened = several(Manners(faults=faults), Manners(faults=faults), log_window=200)
    assert run(opened.chain, calls) == run(recorded, calls)
    assert {note.rpartition(" ")[2] for note in opened.notes} == {"#1", "#2"}


def test_all_nodes_failing_is_one_sentence_with_the_reason_of_each(several):
    opened = several(DEAD, Manners(faults=dict.fromkeys(range(99), "unauthorized")))
    with pytest.raises(AnalyzerError) as raised:
        opened.chain.chain_id()
    assert str(raised.value) == (
        f'no RPC URL has an answer, since {FIRST} keeps failing on its chain id ("HTTP 500: a web '
        f'page"); {SECOND} refuses access ("Unauthorized"): try again later, or use another one'
    )
    assert opened.servers[0].posts == 2 * Settings().max_attempts


def test_nodes_of_different_chains_are_refused(several, document, write_recording):
    other = write_recording(document | {"chain_id": 5})
    opened = several(Manners(faults=dict.fromkeys(range(2, 99), "500")), (other, Manners()))
    opened.chain.block("latest")
    with pytest.raises(AnalyzerError) as raised:
        read(opened.chain)
    assert str(raised.value) == (
        f"{FIRST} is chain 3133701 but {SECOND} is chain 5: give RPC URLs of one chain"
    )


def test_a_node_on_another_fork_never_takes_over(several, document, write_recording):
    fork = write_recording(forked(document, HEAD - 20))
    faults = dict.fromkeys(range(5, 9_999), "500")
    opened = several(Manners(faults=faults), (fork, Manners()), log_window=500)
    opened.chain.block("latest")
    with pytest.raises(
        AnalyzerError, match=rf"{SECOND} has another block {HEAD} than the one that was begun with"
    ):
        read(opened.chain)
    assert opened.servers[1].counts["eth_getLogs"] == 0


def test_a_node_that_lags_behind_never_takes_over(several, document, write_recording, calls):
    lagging = write_recording(shortened(document, 30))
    opened = several(
        Manners(faults=dict.fromkeys(range(2, 9_999), "500")), (lagging, Manners()), Manners()
    )
    head = opened.chain.block("latest")
    opened.chain.answer(calls[:20], head)
    assert [note.rpartition(" ")[2] for note in opened.notes] == ["#2", "#3"]
    assert f"does not have block {HEAD} yet" in opened.notes[1]
    assert opened.servers[1].counts["eth_call"] == 0


def test_the_head_is_pinned_anew_by_the_next_tag(several, document, write_recording):
    lagging = write_recording(shortened(document, 30))
    opened = several(Manners(faults=dict.fromkeys(range(2, 9_999), "500")), (lagging, Manners()))
    assert opened.chain.block("latest").number == HEAD
    assert opened.chain.block("latest").number == opened.servers[1].chain.head < HEAD
    assert opened.chain.block(HEAD - 40).number == HEAD - 40


def test_a_half_read_range_can_be_left(several):
    opened = several(Manners(), Manners(), log_window=10)
    batches = opened.chain.logs(VAULT_LOGS, 0, HEAD)
    next(batches)
    batches.close()
    assert opened.servers[0].posts < 20


# Cross-checks


@pytest.mark.parametrize("every", [1, 3])
def test_nodes_that_agree_are_read_as_one(several, recorded, calls, every):
    sizes = {"log_window": 100, "max_log_window": 100}
    opened = several(Manners(block_timestamps=False), Manners(), cross_check=every, **sizes)
    assert run(opened.chain, calls) == run(recorded, calls)
    assert opened.notes == []
    asked = [p[0] for m, p in opened.servers[1].calls if m == "eth_getLogs"]
    ranges = len([s for s in opened.seen if s.stage == "logs"])
    assert len(asked) == -(-ranges // every)
    assert opened.servers[1].counts["eth_call"] > 0


def place_of_log(document: dict, number: int) -> int:
    """Where a block's first log of the vault stands."""
    wanted = (hex(number), VAULT)
    return [(log["blockNumber"], log["address"]) for log in document["logs"]].index(wanted)


def without(document: dict, *numbers: int) -> dict:
    """The chain as a node tells it that has forgotten a log in each of these blocks."""
    liar = copy.deepcopy(document)
    for number in numbers:
        del liar["logs"][place_of_log(liar, number)]
    return liar


@pytest.fixture(scope="session")
def blocks_with_logs(recorded) -> list[int]:
    return sorted({log.block_number for log in recorded._logs if log.address == VAULT})


def test_the_first_block_of_which_logs_are_missing_is_found(
    several, document, write_recording, blocks_with_logs
):
    low, high = blocks_with_logs[7], blocks_with_logs[11]
    liar = write_recording(without(document, low, high))
    opened = several(Manners(), (liar, Manners()), cross_check=1)
    with pytest.raises(AnalyzerError) as raised:
        read(opened.chain)
    assert f"{FIRST} and {SECOND} give different logs of block {low} (" in str(raised.value)
    assert " of them): one of the two is wrong, so use RPC URLs that agree" in str(raised.value)
    assert opened.servers[1].counts["eth_getLogs"] < 40


def test_logs_that_differ_in_what_they_say_are_told_apart(
    several, document, write_recording, blocks_with_logs
):
    number = blocks_with_logs[3]
    liar = copy.deepcopy(document)
    log = liar["logs"][place_of_log(liar, number)]
    log["data"] = log["data"][:-1] + ("1" if log["data"][-1] == "0" else "0")
    opened = several(Manners(), (write_recording(liar), Manners()), cross_check=1)
    index = int(log["logIndex"], 16)
    with pytest.raises(AnalyzerError, match=rf"of block {number} \(log {index} in its data\)"):
        read(opened.chain)


def forgetful(document: dict, times: int) -> Callable:
    """Leaves out a log so many times, from a block that has more: no bloom can tell."""
    own = [log for log in document["logs"] if log["address"] == VAULT]
    blocks = [log["blockNumber"] for log in own]
    place = next(i for i, number in enumerate(blocks) if blocks.count(number) > 1)
    left = [[log for log in own if log is not own[place]]] * times

    def forget(method, params):
        if method != "eth_getLogs" or not left:
            return None
        first, last = (int(params[0][end], 16) for end in ("fromBlock", "toBlock"))
        return [log for log in left.pop() if first <= int(log["blockNumber"], 16) <= last]

    return forget


@pytest.mark.parametrize("who", [0, 1])
def test_a_difference_that_passes_is_noted_and_the_later_answer_counts(
    several, recorded, document, who
):
    manners = [Manners(), Manners()]
    manners[who] = Manners(answer=forgetful(document, 1))
    opened = several(*manners, cross_check=1)
    assert read(opened.chain) == read(recorded)
    (note,) = opened.notes
    assert note.startswith(f"{FIRST} and {SECOND} gave different logs of blocks 0 to ")
    assert note.endswith("but agree on being asked again")


def test_a_call_that_two_nodes_answer_differently_is_named(
    several, document, write_recording, calls, head
):
    liar = copy.deepcopy(document)
    wanted = next(c for c in liar["calls"] if "result" in c and len(c["result"]) == 66)
    wanted["result"] = f"0x{int(wanted['result'], 16) ^ 1:064x}"
    opened = several(Manners(), (write_recording(liar), Manners()), cross_check=1)
    with pytest.raises(
        AnalyzerError,
        match=rf"different answers to eth_call {wanted['data'][:20]}.* at block {head.number}: ",
    ):
        opened.chain.answer(calls, head)


def test_an_answer_that_differs_only_once_is_noted(several, recorded, calls, head):
    left = ["0x" + "77" * 32]

    def lie(method, params):
        return left.pop() if method == "eth_call" and left else None

    opened = several(Manners(multicall=False), Manners(multicall=False, answer=lie), cross_check=1)
    assert opened.chain.answer(calls[:9], head) == recorded.answer(calls[:9], head)
    assert "answers to 1 reads" in opened.notes[0]


def test_reverts_in_other_words_are_the_same(several, recorded, calls, head):
    opened = several(Manners(), Manners(echo=" (in other words)"), cross_check=1)
    assert opened.chain.answer(calls, head) == recorded.answer(calls, head)
    assert opened.notes == []


def test_different_heads_are_told(several, document, write_recording):
    fork = write_recording(forked(document, HEAD - 20))
    opened = several(Manners(), (fork, Manners()), cross_check=1)
    with pytest.raises(
        AnalyzerError, match=rf"{FIRST} and {SECOND} have different blocks {HEAD} \(0x.*…\): "
    ):
        opened.chain.block("latest")


def test_what_cannot_be_checked_is_no_answer(several, calls, head):
    opened = several(Manners(), DEAD, cross_check=1)
    with pytest.raises(
        AnalyzerError,
        match=rf"what {FIRST} says cannot be cross-checked, since {SECOND} keeps failing",
    ):
        opened.chain.answer(calls[:5], head)


def test_a_third_node_checks_where_the_second_cannot(several, recorded, calls):
    opened = several(Manners(), DEAD, Manners(), cross_check=1)
    assert run(opened.chain, calls) == run(recorded, calls)
    assert opened.servers[2].counts["eth_getLogs"] > 0
