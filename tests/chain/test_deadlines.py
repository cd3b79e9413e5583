"""A request ends when its time is up, however a node drags it out, and at once when we close."""

import gzip
import socket
import subprocess
import sys
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress

import pytest
from websockets.sync.server import serve

from analyzer.chain.failure import Kind
from analyzer.chain.over_http import HttpTransport
from analyzer.chain.over_sockets import IpcTransport, WebSocketTransport
from analyzer.chain.pool import DaemonPool
from analyzer.chain.settings import Settings
from analyzer.chain.transport import LostError, Reply

ANSWER = b'{"jsonrpc":"2.0","id":1,"result":"0x' + b"ab" * 5_000 + b'"}'
HEAD = b"HTTP/1.1 200 OK\r\n"
WAIT = 0.05
SHORT = Settings(timeout=0.4)
PATIENT = Settings(timeout=600)


class Script:
    """What a server does with a connection once a request is in: send, trickle, wait."""

    def __init__(self, connection: socket.socket, stopped: threading.Event) -> None:
        self._connection = connection
        self._stopped = stopped

    def send(self, data: bytes) -> None:
        self._connection.sendall(data)

    def trickle(self, data: bytes) -> None:
        """A byte at a time: for far longer than the test has patience, but not for ever."""
        for place in range(len(data)):
            if self._stopped.wait(WAIT):
                return
            self._connection.sendall(data[place : place + 1])

    def wait(self) -> None:
        self._stopped.wait()

    def end(self) -> None:
        self._connection.shutdown(socket.SHUT_RDWR)


Play = Callable[[Script], object]


@pytest.fixture
def server() -> Iterator[Callable[[Play], str]]:
    """A server that plays a script for each connection; tells its URL."""
    with ExitStack() as stack:

        def start(play: Play) -> str:
            listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            stopped = threading.Event()

            def accept() -> None:
                while not stopped.is_set():
                    connection, _ = listener.accept()
                    with connection:
                        while not stopped.is_set() and _request_in(connection):
                            try:
                                play(Script(connection, stopped))
                            except OSError:
                                break

            thread = threading.Thread(target=accept)
            thread.start()

            def stop() -> None:
                stopped.set()
                with socket.create_connection(listener.getsockname()):
                    pass
                thread.join()

            stack.callback(stop)
            return f"http://127.0.0.1:{listener.getsockname()[1]}/"

        yield start


def _request_in(connection: socket.socket) -> bool:
    got = b""
    while b"\r\n\r\n" not in got:
        try:
            more = connection.recv(65_536)
        except OSError:
            return False
        if not more:
            return False
        got += more
    return True


def whole(body: bytes, *headers: bytes) -> bytes:
    lines = [*headers, b"Content-Length: %d" % len(body)]
    return HEAD + b"\r\n".join(lines) + b"\r\n\r\n" + body


def chunked(body: bytes, size: int) -> bytes:
    parts = [body[start : start + size] for start in range(0, len(body), size)]
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts)
    return HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n"


def exchange(url: str, settings: Settings) -> Reply:
    transport = HttpTransport(url, settings)
    try:
        return transport.exchange(b"{}")
    finally:
        transport.close()


TRICKLED: dict[str, Play] = {
    "headers": lambda s: s.trickle(whole(ANSWER)),
    "a header without end": lambda s: (s.send(HEAD + b"X: "), s.trickle(b"x" * 200)),
    "a body of known length": lambda s: (s.send(whole(ANSWER)[:-200]), s.trickle(ANSWER[-200:])),
    "a chunked body": lambda s: (
        s.send(chunked(ANSWER, 1_000)[:-200]),
        s.trickle(chunked(ANSWER, 1_000)[-200:]),
    ),
    "a compressed body": lambda s: (
        s.send(whole(gzip.compress(ANSWER, 0), b"Content-Encoding: gzip")[:-200]),
        s.trickle(bytes(200)),
    ),
    "a body until the connection ends": lambda s: (s.send(HEAD + b"\r\n"), s.trickle(ANSWER[:200])),
    "nothing": lambda s: s.wait(),
}


@pytest.mark.parametrize("play", TRICKLED.values(), ids=TRICKLED)
def test_a_response_that_trickles_ends_when_its_time_is_up(server, play):
    with pytest.raises(LostError) as lost:
        exchange(server(play), SHORT)
    assert lost.value.kind is Kind.TIMEOUT
    assert lost.value.detail == "no answer within 0.4 s"


WHOLE: dict[str, bytes] = {
    "plain": whole(ANSWER),
    "chunked": chunked(ANSWER, 777),
    "gzip": whole(gzip.compress(ANSWER), b"Content-Encoding: gzip"),
    "deflate": whole(zlib.compress(ANSWER), b"Content-Encoding: deflate"),
}


@pytest.mark.parametrize("raw", WHOLE.values(), ids=WHOLE)
def test_a_body_is_whole_however_it_is_sent(server, raw):
    assert exchange(server(lambda s: s.send(raw)), PATIENT).body == ANSWER


@pytest.mark.parametrize("raw", WHOLE.values(), ids=WHOLE)
def test_a_body_that_is_too_large_is_not_taken(server, raw):
    with pytest.raises(LostError) as lost:
        exchange(server(lambda s: s.send(raw)), Settings(max_response_bytes=len(ANSWER) - 1))
    assert lost.value.kind is Kind.TOO_MANY_RESULTS


def test_a_small_body_that_unpacks_to_a_large_one_is_not_taken(server):
    bomb = gzip.compress(bytes(50_000_000))
    with pytest.raises(LostError) as lost:
        exchange(
            server(lambda s: s.send(whole(bomb, b"Content-Encoding: gzip"))),
            Settings(max_response_bytes=1_000_000),
        )
    assert lost.value.kind is Kind.TOO_MANY_RESULTS


def test_the_body_of_a_redirect_is_bounded_too(server):
    bomb = gzip.compress(bytes(50_000_000))
    raw = whole(bomb, b"Content-Encoding: gzip\r\nLocation: /elsewhere")
    with pytest.raises(LostError) as lost:
        exchange(
            server(lambda s: s.send(raw.replace(b"200 OK", b"307 Temporary Redirect", 1))),
            Settings(max_response_bytes=1_000_000),
        )
    assert lost.value.kind is Kind.TOO_MANY_RESULTS


def test_a_body_that_breaks_off_is_a_lost_connection(server):
    def break_off(script: Script) -> None:
        script.send(whole(ANSWER)[:-10])
        raise OSError

    with pytest.raises(LostError) as lost:
        exchange(server(break_off), PATIENT)
    assert lost.value.kind is Kind.TRANSIENT


def test_a_connection_is_used_again_with_its_whole_time(server):
    """What is left of one answer's time is not what the next one has."""
    transport = HttpTransport(server(lambda s: s.send(whole(ANSWER))), PATIENT)
    for _ in range(3):
        assert transport.exchange(b"{}").body == ANSWER
    (used,) = transport._sockets
    assert used.gettimeout() == pytest.approx(600, abs=590)
    transport.close()


def ends_at_once(transport, begun: threading.Event) -> LostError:
    """How a request that hangs ends when the transport is closed."""
    pool = DaemonPool(1)
    asked = pool.submit(transport.exchange, b"{}")
    begun.wait()
    transport.close()
    error = asked.exception(timeout=60)
    pool.shutdown()
    assert isinstance(error, LostError)
    return error


def test_closing_ends_an_http_request_that_hangs(server):
    begun = threading.Event()
    url = server(lambda s: (begun.set(), s.wait()))
    ends_at_once(HttpTransport(url, PATIENT), begun)


def test_closing_ends_a_websocket_request_that_hangs():
    begun, ended = threading.Event(), threading.Event()

    def hang(connection) -> None:
        connection.recv()
        begun.set()
        ended.wait()

    with serve(hang, "127.0.0.1", 0, close_timeout=0.1) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        port = server.socket.getsockname()[1]
        ends_at_once(WebSocketTransport(f"ws://127.0.0.1:{port}", PATIENT), begun)
        ended.set()
        server.shutdown()
        thread.join()


@pytest.fixture
def ipc(tmp_path) -> Iterator[Callable[[Play], str]]:
    """The path of a socket file behind which a script is played for each line that comes in."""
    with ExitStack() as stack:

        def start(play: Play) -> str:
            path = str(tmp_path / "node.ipc")
            listener = stack.enter_context(socket.socket(socket.AF_UNIX))
            listener.bind(path)
            listener.listen()
            stopped = threading.Event()

            def accept() -> None:
                connection, _ = listener.accept()
                with connection, connection.makefile("rb") as lines, suppress(OSError):
                    for _ in lines:
                        play(Script(connection, stopped))

            thread = threading.Thread(target=accept, daemon=True)
            thread.start()
            stack.callback(thread.join)
            stack.callback(stopped.set)
            return path

        yield start


def break_off(script: Script) -> None:
    script.send(ANSWER[:-10])
    script.end()


IPC: dict[str, tuple[Play, Kind]] = {
    "nothing": (Script.wait, Kind.TIMEOUT),
    "a trickle": (lambda s: (s.send(ANSWER[:-200]), s.trickle(ANSWER[-200:])), Kind.TIMEOUT),
    "a part": (break_off, Kind.TRANSIENT),
    "too much": (lambda s: s.send(ANSWER * 200), Kind.TOO_MANY_RESULTS),
    "nested": (lambda s: s.send(b"[" * 5_000 + b"]" * 5_000), Kind.TIMEOUT),
}


@pytest.mark.enable_socket  # pytest-socket's list of hosts has no place for a socket file
@pytest.mark.parametrize(("play", "kind"), IPC.values(), ids=IPC)
def test_an_ipc_answer_is_whole_and_in_time_or_none(ipc, play, kind):
    seconds = SHORT.timeout if kind is Kind.TIMEOUT else PATIENT.timeout
    settings = Settings(timeout=seconds, max_response_bytes=1_000_000)
    transport = IpcTransport(ipc(play), settings)
    with pytest.raises(LostError) as lost:
        transport.exchange(b"{}")
    transport.close()
    assert lost.value.kind is kind


@pytest.mark.enable_socket
def test_ipc_answers_follow_one_another(ipc):
    """In pieces that end like an answer, with and without a line's end."""
    answers = iter([b'{"result":[{}', b', {"a":"}"}]}\n', b'{"result":2}', b'\n[{"result":3}]'])
    trickles = iter([True])

    def play(script: Script) -> None:
        script.send(next(answers))
        if next(trickles, False):
            script.trickle(next(answers))

    transport = IpcTransport(ipc(play), PATIENT)
    got = [transport.exchange(b"{}").body.strip() for _ in range(3)]
    transport.close()
    assert got == [b'{"result":[{}, {"a":"}"}]}', b'{"result":2}', b'[{"result":3}]']


@pytest.mark.enable_socket
def test_closing_ends_an_ipc_request_that_hangs(ipc):
    begun = threading.Event()
    ends_at_once(IpcTransport(ipc(lambda s: (begun.set(), s.wait())), PATIENT), begun)


def test_a_pool_hands_over_results_and_errors_and_drops_what_is_cancelled():
    pool = DaemonPool(1)
    gate = threading.Event()
    first = pool.submit(gate.wait)
    broken, never = pool.submit(int, "x"), pool.submit(int, "7")
    never.cancel()
    gate.set()
    assert first.result()
    assert isinstance(broken.exception(), ValueError)
    begun = threading.Event()
    held = pool.submit(lambda: (begun.set(), threading.Event().wait()))
    left = pool.submit(int, "8")
    begun.wait()
    pool.shutdown(wait=False, cancel_futures=True)
    assert left.cancelled()
    assert not held.done()
    with pytest.raises(RuntimeError, match="closed"):
        pool.submit(int, "9")


def test_lists_in_lists_without_end_do_not_end_the_process():
    """In a process of its own, as a stack that is overrun takes the whole process with it."""
    script = (
        "from analyzer.chain import over_sockets, replies, transport\n"
        "from analyzer.chain.hiding import Hider\n"
        "reply = transport.Reply(b'{\"id\": 1, \"error\": ' + b'[' * 10**6)\n"
        "reader = replies.ReplyReader(Hider('ws://127.0.0.1'), lambda: 0.0)\n"
        "print(reader.single({'id': 1, 'method': 'eth_call'}, reply).kind)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, f"{Kind.MALFORMED}\n"), done.stderr
