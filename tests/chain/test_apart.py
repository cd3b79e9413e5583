"""A long range of logs is read by a process of its own, and nobody sees a difference."""

import fcntl
import gc
import os
import signal
import socket
import struct
import subprocess
import sys
import termios
import threading
import time
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest

from analyzer.chain import Settings, apart, open_chain
from analyzer.chain.apart import LogProcesses, Task, _cut, _end, _started, can_read_apart
from analyzer.chain.failure import NodeError
from analyzer.chain.messages import send
from analyzer.chain.node import BEGINNING, LONG, open_node
from analyzer.evm import LogFilter
from analyzer.log_columns import LogColumns
from analyzer.payloads import WHOLE, Templates
from tests.chain.conftest import NESTED, RECORDING, VAULT
from tests.chain.manners import Manners
from tests.chain.server import RecordingServer

ROOT = Path(__file__).parents[2]
LIMIT = 60.0
"""Seconds within which what is waited for happens, unless it never does."""
WINDOW = 20
LAST = 1_499
BATCHES = (LAST + 1) // WINDOW
BEGUN = BEGINNING * WINDOW
GATE = 1_000
MARKER = "mARk3rs3crEt"
VAULT_LOGS = [LogFilter((VAULT,))]
HAS_PROC = Path("/proc/self/environ").exists()


class Gate:
    """A node's answers about logs from some block on: they wait until it is opened."""

    def __init__(self, first=GATE):
        self.first = first
        self.reached = threading.Event()
        self.opened = threading.Event()

    def __call__(self, method, params):
        if method == "eth_getLogs" and int(params[0].get("fromBlock", "0x0"), 16) >= self.first:
            self.reached.set()
            self.opened.wait(LIMIT)


@pytest.fixture
def gate():
    one = Gate()
    yield one
    one.opened.set()


def is_ours(command, *_):
    """Whether a command is one of ours: what we are built on may run some as it is imported."""
    return command[0] == sys.executable


@pytest.fixture
def begun(monkeypatch):
    """The processes that were started; when the test ends, so have they, and are waited for."""
    processes = []

    class Noted(subprocess.Popen):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            if is_ours(*arguments):
                processes.append(self)

    monkeypatch.setattr(subprocess, "Popen", Noted)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1}, raising=False)
    monkeypatch.setattr(apart, "LAST_WORD", LIMIT)
    yield processes
    assert [one.returncode is not None for one in processes] == [True] * len(processes)


@pytest.fixture
def far(begun, node):
    """Opens nodes of which a thousand blocks are many."""

    def start(manners=None, recording=RECORDING, path="/", **settings):
        small = {"sleep": None, "log_window": WINDOW, "max_log_window": WINDOW, "backoff": 0.0}
        opened = node(manners, recording, path, **(small | settings))
        hush(opened.server)
        return opened

    return start


def hush(server):
    """A process that is ended hangs up in the middle of a request: the server is not to mind."""
    server._server.handle_error = lambda *_: None


def all_here(opened, filters, first, last, *templates):
    """The same logs, and all batches, where no process may be started."""
    chain = open_node(opened.server.url, opened.chain._settings, is_apart=True)
    batches = list(chain.logs(filters, first, last, *templates))
    chain.close()
    return batches


def up_to(batches, block):
    """Batches up to and with the one that ends there."""
    taken = [next(batches)]
    while taken[-1].to_block != block:
        taken.append(next(batches))
    return taken


def logs_of(batches):
    return LogColumns.join([LogColumns.of(batch.logs) for batch in batches])


def asked(server):
    """The ranges of blocks that were asked for."""
    queries = [params[0] for method, params in server.calls if method == "eth_getLogs"]
    return [(int(q["fromBlock"], 16), int(q["toBlock"], 16)) for q in queries if "fromBlock" in q]


@pytest.mark.parametrize("manners", [Manners(), Manners(block_timestamps=False)])
def test_a_long_range_is_read_by_a_process_as_it_would_be_here(far, begun, filters, manners):
    opened = far(manners)
    batches = list(opened.chain.logs(filters, 0, LAST))
    assert opened.chain.requests == opened.server.posts
    assert len(begun) == 1
    assert opened.chain._rpc.requests < opened.server.posts / 4, "most is asked by the process"
    assert (batches[0].from_block, batches[-1].to_block) == (0, LAST)
    assert all(after.from_block == before.to_block + 1 for before, after in pairwise(batches))
    assert all(batch.blocks[-1].number == batch.to_block for batch in batches)
    assert batches == all_here(opened, filters, 0, LAST)
    assert len(begun) == 1
    assert len(logs_of(batches)) > 500


def test_ranges_that_grow_hold_the_same_logs(far, begun, recorded, filters):
    opened = far(max_log_window=100_000)
    batches = list(opened.chain.logs(filters, 7, 3_131))
    assert len(begun) == 1
    assert (batches[0].from_block, batches[-1].to_block) == (7, 3_131)
    assert all(after.from_block == before.to_block + 1 for before, after in pairwise(batches))
    assert len(batches) < 3_000 / WINDOW
    assert logs_of(batches) == logs_of(recorded.logs(filters, 7, 3_131))


def test_a_range_is_read_by_a_process_a_second_time(far, begun):
    opened = far()
    one, other = (list(opened.chain.logs(VAULT_LOGS, 0, LAST)) for _ in range(2))
    assert one == other
    assert len(begun) == 2
    assert opened.chain.requests == opened.server.posts


def test_progress_is_told_as_of_one_reading(far):
    opened = far()
    seen = []
    opened.chain._report = seen.append
    logs = logs_of(opened.chain.logs(VAULT_LOGS, 0, LAST))
    told = [step for step in seen if step.stage == "logs"]
    assert (told[-1].done, told[-1].total, told[-1].logs) == (LAST + 1, LAST + 1, len(logs))
    assert told[-1].requests == opened.server.posts
    for before, after in pairwise(told):
        assert before.done < after.done
        assert before.requests <= after.requests


def test_a_short_range_starts_no_process(far, begun):
    list(far().chain.logs(VAULT_LOGS, 0, LONG * WINDOW - 2))
    list(far().chain.logs(VAULT_LOGS, 9, 8))
    assert begun == []


def test_whoever_waits_in_a_way_of_its_own_starts_no_process(far, begun):
    opened = far(sleep=lambda _: None)
    assert len(list(opened.chain.logs(VAULT_LOGS, 0, LAST))) == BATCHES
    assert not can_read_apart(opened.chain._settings)
    assert begun == []


def test_a_single_processor_starts_no_process(far, begun, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0}, raising=False)
    list(far().chain.logs(VAULT_LOGS, 0, LAST))
    assert begun == []


def test_what_nobody_has_asked_for_yet_starts_no_process(far, begun):
    opened = far()
    batches = opened.chain.logs(VAULT_LOGS, 0, LAST)
    assert begun == []
    batches.close()
    assert opened.server.posts == 0


def test_what_a_node_refuses_a_process_is_said_as_it_would_be_here(far, begun):
    refusing = Manners(faults=dict.fromkeys(range(60, 5_000), "quota"))
    texts = []
    for start in (True, False):
        opened = far(refusing)
        chain = opened.chain
        if not start:
            chain = open_node(opened.server.url, chain._settings, is_apart=True)
        with pytest.raises(NodeError) as raised:
            list(chain.logs(VAULT_LOGS, 0, LAST))
        chain.close()
        texts.append((str(raised.value), raised.value.reason, raised.value.args))
    assert len(begun) == 1
    assert texts[0] == texts[1]
    assert texts[0][1].startswith("127.0.0.1 says that its quota is used up")
    assert texts[0][0].startswith(texts[0][1])


def test_what_a_node_refuses_before_a_process_is_needed_ends_the_process(far, begun, capfd):
    opened = far(Manners(faults=dict.fromkeys(range(1, 5_000), "quota")))
    with pytest.raises(NodeError, match="quota"):
        list(opened.chain.logs(VAULT_LOGS, 0, LAST))
    assert begun[0].returncode is not None
    assert capfd.readouterr().err == ""


def test_another_node_goes_on_where_a_process_was_refused(far, begun, recorded):
    one, other = far(Manners(faults=dict.fromkeys(range(80, 5_000), "quota"))), far()
    notes = []
    chain = open_chain(
        [one.server.url, other.server.url],
        settings=one.chain._settings,
        progress=lambda step: notes.append(step.note) if step.note else None,
    )
    batches = list(chain.logs(VAULT_LOGS, 0, LAST))
    assert logs_of(batches) == logs_of(recorded.logs(VAULT_LOGS, 0, LAST))
    unanswered = chain.requests - one.server.posts - other.server.posts
    assert 0 <= unanswered <= 4, "what was under way when it was refused"
    chain.close()
    assert len(begun) == 1, "what is left is no long range"
    assert len(notes) == 1
    assert "quota is used up" in notes[0]


@contextmanager
def alone(far, filters, settings=None):
    """What a process reads that is asked for these filters, and nothing before it."""
    opened = far()
    processes = LogProcesses(opened.server.url, "the node", lambda _: None)
    with processes.started() as read:
        yield read(settings or opened.chain._settings, 100, filters, 0, 100, None)


def test_an_error_of_ours_in_a_process_tells_where_it_was_raised(far):
    with alone(far, [None]) as batches, pytest.raises(RuntimeError) as raised:
        list(batches)
    assert str(raised.value) == "AttributeError in the process that reads logs"
    (note,) = raised.value.__notes__
    assert "log_query.py" in note
    assert note.endswith("AttributeError")


def test_a_process_that_can_learn_no_more_ends(far, gate, capfd):
    opened = far(Manners(answer=gate))
    processes = LogProcesses(opened.server.url, "the node", lambda _: None)
    with processes.started() as read:
        batches = read(opened.chain._settings, LAST, VAULT_LOGS, 0, LAST, None)
        next(batches)
        (one,) = processes._running
        send(one.line, "no templates")
        with pytest.raises(NodeError, match=r"has been ended \(exit code 1\)"):
            list(batches)
    assert "in _listen" in capfd.readouterr().err


@pytest.mark.parametrize(
    "said", ["", "01", "02" + "00" * 7, "01" + "00" * 7 + "09" + "00" * 7 + "ff"]
)
def test_a_process_whose_parent_ends_in_the_middle_of_a_word_ends_quietly(begun, capfd, said):
    one = _started()
    with one.line:
        one.line.sendall(bytes.fromhex(said))
        _cut(one)
        assert _end(one) == "exit code 0"
    assert capfd.readouterr().err == ""


def test_how_long_sockets_wait_by_default_is_no_matter(far):
    opened = far()
    processes = LogProcesses(opened.server.url, "the node", lambda _: None)
    with ExitStack() as stack:
        stack.callback(socket.setdefaulttimeout, None)
        socket.setdefaulttimeout(LIMIT)
        read = stack.enter_context(processes.started())
        socket.setdefaulttimeout(None)
        assert processes._running[0].line.gettimeout() is None
        assert list(read(opened.chain._settings, LAST, VAULT_LOGS, 0, 100, None))


def test_what_cannot_be_sent_is_an_error(far):
    with alone(far, [lambda: None]) as batches, pytest.raises((AttributeError, TypeError)):
        list(batches)


def test_what_a_process_waits_for_is_told(far, begun):
    opened = far(Manners(faults={60: "429 at once"}))
    seen = []
    opened.chain._report = seen.append
    list(opened.chain.logs(VAULT_LOGS, 0, LAST))
    assert opened.chain._rpc.requests < 60, "it was not asked here"
    notes = [step.note for step in seen if step.note]
    assert notes == ["127.0.0.1 asked to slow down, going on in 0.0 s"]
    assert opened.chain.requests == opened.server.posts
    assert len(begun) == 1


def test_what_was_learnt_here_a_process_need_not_learn(far, begun, recorded):
    opened = far(Manners(max_range=10, range_wording="infura"), max_log_window=100_000)
    batches = list(opened.chain.logs(VAULT_LOGS, 0, LAST))
    assert len(begun) == 1
    assert logs_of(batches) == logs_of(recorded.logs(VAULT_LOGS, 0, LAST))
    ranges = asked(opened.server)
    assert max(last - first + 1 for first, last in ranges if first < BEGUN) == WINDOW
    assert max(last - first + 1 for first, last in ranges if first >= BEGUN) == 10


def test_what_was_learnt_is_the_settings_of_who_reads_on(node):
    manners = Manners(max_range=100, range_wording="infura", max_batch=7, block_timestamps=False)
    opened = node(manners)
    list(opened.chain.logs(VAULT_LOGS, 1, 1_000))
    settings = Settings(max_attempts=3, sleep=print)
    learnt = opened.chain._logs.learnt(settings)
    assert (learnt.log_window, learnt.max_log_window, learnt.batch_size) == (100, 100, 7)
    assert replace(learnt, log_window=2_000, max_log_window=100_000, batch_size=100) == settings
    assert learnt.sleep is print


def test_nothing_learnt_changes_nothing(node):
    opened = node()
    assert opened.chain._logs.learnt(Settings()) == Settings()


def test_templates_that_are_learnt_meanwhile_hold_what_comes(far, begun, learned, nested, recorded):
    """Each range that is let through once they have been taken in may be held by them."""
    turns, free = threading.Semaphore(0), threading.Event()
    emitters = tuple(sorted({log["address"].lower() for log in nested}))
    first, last = 452, 1_667

    def answer(method, params):
        if method == "eth_getLogs" and int(params[0].get("fromBlock", "0x0"), 16) >= 800:
            while not free.is_set() and not turns.acquire(timeout=0.1):
                pass

    opened = far(
        Manners(answer=answer), NESTED, log_window=4, max_log_window=4, concurrency=1, timeout=LIMIT
    )
    templates = Templates()
    batches = opened.chain.logs([LogFilter(emitters)], first, last, templates)
    taken = up_to(batches, 799)
    assert (logs_of(taken).payloads.which == WHOLE).all()
    templates.learn(learned)
    is_held = False
    (process,) = opened.chain._apart._running
    for batch in iter(partial(take_one, turns, batches, process.line), None):
        taken.append(batch)
        is_held = bool(len(batch.logs)) and (batch.logs.payloads.which != WHOLE).all()
        if is_held:
            break
    assert is_held
    free.set()
    rest = list(batches)
    assert (logs_of(rest).payloads.which != WHOLE).all()
    assert len(begun) == 1
    plain = all_here(opened, [LogFilter(emitters)], first, last)
    assert logs_of([*taken, *rest]) == logs_of(plain)


def take_one(turns, batches, line):
    """The next batch, once the process has taken in what it was told."""
    until = time.monotonic() + LIMIT
    while untaken(line) and time.monotonic() < until:
        time.sleep(0.001)
    time.sleep(0.02)
    turns.release()
    return next(batches, None)


def untaken(end):
    """Bytes that were sent and have not been taken."""
    return struct.unpack("i", fcntl.ioctl(end, termios.TIOCOUTQ, bytes(4)))[0]


def test_templates_that_are_known_at_first_hold_all(far, begun, learned, nested):
    emitters = tuple(sorted({log["address"].lower() for log in nested}))
    opened = far(None, NESTED, log_window=4, max_log_window=4)
    logs = logs_of(opened.chain.logs([LogFilter(emitters)], 452, 1_667, learned))
    assert (logs.payloads.which != WHOLE).all()
    assert len(logs) > 1_000
    assert len(begun) == 1


def test_a_process_that_is_killed_is_an_error_that_says_so(far, begun, gate):
    opened = far(Manners(answer=gate))
    batches = opened.chain.logs(VAULT_LOGS, 0, LAST)
    up_to(batches, GATE - 1)
    assert gate.reached.wait(LIMIT)
    begun[0].send_signal(signal.SIGKILL)
    with pytest.raises(NodeError, match=r"127\.0\.0\.1 has been ended \(SIGKILL\): run again"):
        next(batches)
    assert begun[0].returncode == -signal.SIGKILL
    assert next(batches, None) is None, "it does not begin anew"


def test_a_process_that_is_killed_before_it_is_asked_is_an_error(far, begun):
    opened = far()
    batches = opened.chain.logs(VAULT_LOGS, 0, LAST)
    next(batches)
    begun[0].send_signal(signal.SIGKILL)
    with pytest.raises(NodeError, match="SIGKILL"):
        list(batches)


def test_where_no_process_can_be_started_logs_are_read_without_one(
    far, begun, monkeypatch, recorded
):
    opened = far()
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    batches = opened.chain.logs(VAULT_LOGS, 0, LAST)
    assert logs_of(batches) == logs_of(recorded.logs(VAULT_LOGS, 0, LAST))
    assert begun == []


@pytest.mark.parametrize("taken", [1, 12])
def test_whoever_has_enough_ends_the_process(far, begun, gate, capfd, taken):
    opened = far(Manners(answer=gate))
    batches = opened.chain.logs(VAULT_LOGS, 0, LAST)
    for _ in range(taken):
        next(batches)
    batches.close()
    assert begun[0].returncode is not None
    assert capfd.readouterr().err == ""


def test_logs_that_are_let_go_of_end_the_process(far, begun, gate):
    opened = far(Manners(answer=gate))
    batches = opened.chain.logs(VAULT_LOGS, 0, LAST)
    up_to(batches, BEGUN + WINDOW - 1)
    del batches
    gc.collect()
    assert begun[0].returncode is not None


def test_a_caller_who_fails_at_progress_ends_the_process(far, begun, gate):
    opened = far(Manners(answer=gate))

    def report(step):
        if step.done > BEGUN:
            raise ZeroDivisionError

    opened.chain._report = report
    with pytest.raises(ZeroDivisionError) as raised:
        list(opened.chain.logs(VAULT_LOGS, 0, LAST))
    assert raised.traceback, "it is still looked at"
    assert begun[0].returncode is not None


def test_closing_the_chain_ends_the_process_and_whoever_waits_for_it(far, begun, gate):
    opened = far(Manners(answer=gate))
    batches = opened.chain.logs(VAULT_LOGS, 0, LAST)
    up_to(batches, GATE - 1)
    ended = []

    def wait():
        with pytest.raises(NodeError) as raised:
            next(batches)
        ended.append(raised.value)

    waiting = threading.Thread(target=wait)
    waiting.start()
    assert gate.reached.wait(LIMIT)
    opened.chain.close()
    waiting.join(LIMIT)
    assert not waiting.is_alive()
    assert len(ended) == 1
    assert begun[0].returncode is not None


def test_closing_the_chain_between_batches_is_no_end_of_the_logs(far, begun, gate):
    opened = far(Manners(answer=gate))
    batches = opened.chain.logs(VAULT_LOGS, 0, LAST)
    up_to(batches, BEGUN + WINDOW - 1)
    opened.chain.close()
    assert begun[0].returncode is not None
    with pytest.raises(NodeError):
        list(batches)


def test_nothing_is_left_open(far, begun):
    opened = far()
    list(opened.chain.logs(VAULT_LOGS, 0, LAST))
    opened.chain.close()
    before = sockets()
    for _ in range(2):
        list(open_and_read(opened.server.url, opened.chain._settings))
    gc.collect()
    assert sockets() <= before
    assert [one.returncode for one in begun] == [0, 0, 0]


def open_and_read(url, settings):
    chain = open_chain([url], settings=settings)
    yield from chain.logs(VAULT_LOGS, 0, LAST)
    chain.close()


def sockets():
    """How many pairs of sockets this process holds an end of."""
    table = Path("/proc/self/net/unix")
    if not table.exists():
        return 0
    known = {line.split()[6] for line in table.read_text().splitlines()[1:]}
    held = [str(one.readlink()) for one in Path("/proc/self/fd").iterdir() if one.is_symlink()]
    return sum(name.removeprefix("socket:[").rstrip("]") in known for name in held)


@pytest.mark.skipif(not HAS_PROC, reason="no /proc to look at")
def test_the_url_is_seen_by_nobody(far, begun, gate):
    opened = far(Manners(answer=gate), path=f"/v3/{MARKER}?key={MARKER}")
    batches = opened.chain.logs(VAULT_LOGS, 0, LAST)
    up_to(batches, GATE - 1)
    assert any(last >= BEGUN for _, last in asked(opened.server)), "the process knows it"
    place = Path(f"/proc/{begun[0].pid}")
    assert MARKER.encode() not in (place / "cmdline").read_bytes()
    assert b"127.0.0.1" not in (place / "cmdline").read_bytes()
    own = set((place / "environ").read_bytes().split(b"\0")) - {b""}
    assert {entry.split(b"=")[0] for entry in own - {
        b"%s=%s" % pair for pair in os.environb.items()
    }} <= {b"OPENBLAS_NUM_THREADS"}  # fmt: skip
    assert MARKER.encode() not in b"".join(own)
    batches.close()


def test_a_task_does_not_show_its_url():
    task = Task(f"https://h/{MARKER}", "h", Settings(), 2, VAULT_LOGS, 1, 2, Templates())
    assert MARKER not in repr(task)
    assert MARKER not in str(task)


def test_places_to_import_from_that_are_no_text_do_no_harm(far, begun, monkeypatch):
    monkeypatch.setattr(sys, "path", [Path("/nowhere"), *sys.path])
    assert len(list(far().chain.logs(VAULT_LOGS, 0, LAST))) == BATCHES
    assert len(begun) == 1


def test_another_release_that_lies_nearer_is_not_what_a_process_runs(
    far, begun, monkeypatch, tmp_path
):
    (tmp_path / "analyzer").mkdir()
    (tmp_path / "analyzer" / "__init__.py").write_text("raise SystemExit('another')")
    monkeypatch.syspath_prepend(tmp_path)
    assert len(list(far().chain.logs(VAULT_LOGS, 0, LAST))) == BATCHES
    assert len(begun) == 1


def test_a_frozen_program_starts_no_process(far, begun, monkeypatch):
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    assert len(list(far().chain.logs(VAULT_LOGS, 0, LAST))) == BATCHES
    assert begun == []


PARENT = (
    f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
"""
    """
import os, signal, subprocess, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # what a shell starts may ignore it
os.sched_getaffinity = lambda _: {0, 1}

class Told(subprocess.Popen):
    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        if arguments[0][0] == sys.executable:
            print(self.pid, os.getpgid(self.pid), flush=True)

subprocess.Popen = Told
from analyzer.chain import Settings, open_chain
from analyzer.evm import LogFilter
settings = Settings(log_window=20, max_log_window=20)
chain = open_chain([sys.argv[1]], settings=settings)
batches = chain.logs([LogFilter((sys.argv[2],))], 0, 1_499)
count = 0
"""
)
WAITS = """
for batch in batches:
    count += 1
    if batch.to_block == 999:
        print("waits", flush=True)
"""


@pytest.fixture
def parent(tmp_path):
    """Starts a program whose process waits at a gate; stderr ends when both have ended."""
    running = []

    def start(code, url, *flags, env=None, **options):
        script = tmp_path / "parent.py"
        script.write_text(PARENT + code)
        process = subprocess.Popen(
            [sys.executable, *flags, str(script), url, VAULT],
            env={**os.environ, **(env or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **options,
        )
        running.append(process)
        return process

    yield start
    for process in running:
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=LIMIT)


@pytest.fixture
def gated(gate):
    with RecordingServer(RECORDING, Manners(answer=gate)) as server:
        hush(server)
        yield server
        gate.opened.set()


def test_a_process_ends_with_its_parent(parent, gated, gate):
    process = parent(WAITS, gated.url)
    pid = int(process.stdout.readline().split()[0])
    assert process.stdout.readline() == "waits\n"
    assert gate.reached.wait(LIMIT)
    os.kill(pid, 0)
    process.kill()
    _, err = process.communicate(timeout=LIMIT)
    assert process.returncode == -signal.SIGKILL
    assert err == ""


def test_a_process_that_was_not_asked_yet_ends_with_its_parent(parent, gated, gate):
    """Nothing is asked of the process while its parent waits for the first blocks."""
    gate.first = 0
    process = parent(WAITS, gated.url)
    pid = int(process.stdout.readline().split()[0])
    assert gate.reached.wait(LIMIT)
    os.kill(pid, 0)
    process.kill()
    _, err = process.communicate(timeout=LIMIT)
    assert err == ""


def test_an_interrupt_is_the_parents_to_answer(parent, gated, gate):
    heeded = "signal.signal(signal.SIGINT, lambda *_: print('interrupted', flush=True))\n"
    process = parent(
        heeded + WAITS + "chain.close()\nprint(count)\n", gated.url, start_new_session=True
    )
    pid, group = map(int, process.stdout.readline().split())
    assert process.stdout.readline() == "waits\n"
    assert gate.reached.wait(LIMIT)
    assert group == pid != os.getpgid(process.pid)
    os.killpg(process.pid, signal.SIGINT)
    assert process.stdout.readline() == "interrupted\n"
    gate.opened.set()
    out, err = process.communicate(timeout=LIMIT)
    assert (out, err, process.returncode) == (f"{BATCHES}\n", "", 0)


@pytest.mark.parametrize("first", [0, GATE])
def test_an_interrupt_ends_all_quietly(parent, gated, gate, first):
    gate.first = first
    caught = "\n".join("    " + line for line in WAITS.splitlines())
    code = f"print('begins', flush=True)\ntry:{caught}\nexcept KeyboardInterrupt:\n    pass\n"
    process = parent(code + "chain.close()\nprint('closed')", gated.url, start_new_session=True)
    assert process.stdout.readline() == "begins\n"
    process.stdout.readline()
    assert gate.reached.wait(LIMIT)
    if first:
        assert process.stdout.readline() == "waits\n"
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=LIMIT)
    assert (out, err, process.returncode) == ("closed\n", "", 0)


def test_whoever_is_stopped_goes_on(parent, gated, gate):
    process = parent(WAITS + "chain.close()\nprint(count)\n", gated.url)
    process.stdout.readline()
    assert process.stdout.readline() == "waits\n"
    assert gate.reached.wait(LIMIT)
    process.send_signal(signal.SIGSTOP)
    gate.opened.set()
    process.send_signal(signal.SIGCONT)
    out, err = process.communicate(timeout=LIMIT)
    assert (out, err) == (f"{BATCHES}\n", "")


@pytest.mark.parametrize("name", ["numpy", "socket", "pickle", "analyzer", "sitecustomize"])
def test_modules_that_lie_about_are_not_imported(parent, gated, gate, tmp_path, name):
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    (folder / f"{name}.py").write_text("raise SystemExit('imported')")
    gate.opened.set()
    process = parent(WAITS + "chain.close()\nprint(count)\n", gated.url, cwd=folder)
    out, err = process.communicate(timeout=LIMIT)
    assert out.splitlines()[1:] == ["waits", str(BATCHES)]
    assert err == ""


@pytest.mark.real_clock  # -E: what mends sleeping on a shifted clock is not looked at either
def test_what_a_parent_does_not_look_at_its_process_does_not_either(parent, gated, gate):
    gate.opened.set()
    environment = {"PYTHONHOME": "/nowhere", "PYTHONWARNINGS": "error"}
    process = parent(WAITS + "chain.close()\nprint(count)\n", gated.url, "-E", env=environment)
    out, err = process.communicate(timeout=LIMIT)
    assert out.splitlines()[1:] == ["waits", str(BATCHES)]
    assert err == ""


def test_what_a_process_is_told_of_its_node_it_does_not_find_out(far):
    one, other = far(), far()
    told = open_node(one.server.url, one.chain._settings, is_apart=True)
    told.is_known(LAST)
    assert told._rpc.has_answered, "silence is now waited for as long as by who started it"
    alone = open_node(other.server.url, other.chain._settings, is_apart=True)
    for chain in (told, alone):
        list(chain.logs(VAULT_LOGS, 0, 10))
        chain.close()
    assert told.requests == alone.requests - 1
