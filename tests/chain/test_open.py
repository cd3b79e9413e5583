"""What may stand in --rpc-url, and what a chain costs before it is asked anything."""

import asyncio
import json
import socket
import subprocess
import sys
import threading

import pytest
from websockets.sync.server import serve

from analyzer.chain import Settings, open_chain
from analyzer.chain.hiding import Hider
from analyzer.chain.rpc import ALLOWED, Rpc
from analyzer.errors import AnalyzerError
from analyzer.evm import LogFilter
from tests.chain.conftest import PATIENCE, RECORDING, VAULT
from tests.chain.server import Manners, RecordingServer


@pytest.fixture
def played():
    """Answers requests out of the recording, without HTTP."""
    server = RecordingServer(RECORDING, Manners())
    yield lambda text: json.dumps(server.respond(json.loads(text))[1])
    server._server.server_close()


def check(chain, recorded, calls):
    head = chain.block("latest")
    filters = [LogFilter((VAULT,))]
    assert head == recorded.block("latest")
    got = [log for batch in chain.logs(filters, 0, 900) for log in batch.logs]
    assert got == [log for batch in recorded.logs(filters, 0, 900) for log in batch.logs]
    assert chain.answer(calls, head) == recorded.answer(calls, head)


def test_a_node_is_read_through_a_websocket(played, recorded, calls):
    def serve_one(connection):
        for message in connection:
            connection.send(played(message))

    with serve(serve_one, "127.0.0.1", 0, compression=None) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        chain = open_chain([f"ws://127.0.0.1:{server.socket.getsockname()[1]}/secret"])
        check(chain, recorded, calls)  # the server takes 1 MiB a message: multicalls have to shrink
        chain.close()
        server.shutdown()
        thread.join()


def test_a_websocket_that_hangs_and_one_that_breaks_are_retried(played, monkeypatch):
    seen, is_up = [], threading.Event()

    async def until_it_is_up(answer, timeout):
        asked = asyncio.ensure_future(answer)
        while not asked.done():
            if is_up.is_set():
                is_up.clear()
                asked.cancel()
                raise TimeoutError
            await asyncio.wait([asked], timeout=0.01)
        return asked.result()

    monkeypatch.setattr(asyncio, "wait_for", until_it_is_up)

    def serve_one(connection):
        for message in connection:
            seen.append(message)
            if len(seen) == 1:
                is_up.set()
                continue
            if len(seen) == 2:
                return
            connection.send(played(message))

    with serve(serve_one, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        url = f"ws://127.0.0.1:{server.socket.getsockname()[1]}"
        chain = open_chain([url], settings=Settings(sleep=lambda _: None))
        assert chain.chain_id() == 3133701
        assert len(seen) == 3
        chain.close()
        server.shutdown()
        thread.join()


def test_a_websocket_nobody_listens_at_is_told():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    chain = open_chain([f"ws://127.0.0.1:{port}/secret"], settings=Settings(sleep=lambda _: None))
    with pytest.raises(AnalyzerError, match=r"cannot be reached \(no WebSocket can be opened\)"):
        chain.chain_id()
    chain.close()


@pytest.mark.enable_socket  # pytest-socket's list of hosts has no place for a socket file
def test_a_node_is_read_through_its_ipc_socket(played, recorded, calls, tmp_path):
    path = tmp_path / "node.ipc"
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()

    def answer_all():
        connection, _ = listener.accept()
        with connection, connection.makefile("rw") as stream:
            for line in stream:
                stream.write(played(line) + "\n")
                stream.flush()

    thread = threading.Thread(target=answer_all)
    thread.start()
    chain = open_chain([str(path)], settings=Settings(timeout=PATIENCE))
    check(chain, recorded, calls)
    chain.close()
    thread.join()
    listener.close()


@pytest.mark.parametrize(
    ("urls", "message"),
    [
        ([], "no chain to read from: set --rpc-url; give http"),
        (["http://a", "http://a"], "the same RPC URL is given twice"),
        (["http://a", f"recording:{RECORDING}"], "a recorded chain is read by itself"),
        (["http://a", "b"], "not one that can be used"),
        (["http://a b"], "not one that can be used"),
        (["http://a\n.b"], "not one that can be used"),
        (["rpc.example.com"], "not one that can be used: give http"),
        (["https://"], "not one that can be used"),
        (["http://[::1"], "not one that can be used"),
        (["http://h:99999"], "not one that can be used"),
        (["recording:/nowhere/x.json.gz"], r"there is no recorded chain at /nowhere/x.json.gz"),
    ],
)
def test_what_cannot_be_opened_says_what_can(urls, message):
    with pytest.raises(AnalyzerError, match=message):
        open_chain(urls)


def test_a_recording_never_imports_web3_and_opens_fast():
    code = (
        "import sys; from analyzer.chain import open_chain; import analyzer.chain.recording; "
        f"c = open_chain(['recording:{RECORDING}']); c.block('latest'); "
        "print(sorted({'web3', 'eth_abi', 'requests', 'msgspec', 'websockets'} & set(sys.modules)))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


class Silent:
    """A transport that notes what would leave."""

    def __init__(self):
        self.sent = []

    def exchange(self, payload):
        self.sent.append(payload)
        raise AssertionError

    def close(self):
        pass


@pytest.mark.parametrize(
    "method",
    ["eth_sendRawTransaction", "eth_sendTransaction", "eth_sign", "personal_sign", "eth_accounts",
     "debug_traceCall", "web3_clientVersion", "eth_estimateGas", "anvil_setBalance", ""],
)  # fmt: skip
def test_nothing_but_reads_can_leave(method):
    transport = Silent()
    rpc = Rpc(transport, Hider("http://h"), Settings(), lambda _: None)
    with pytest.raises(PermissionError, match="not on the list of read-only methods"):
        rpc.call(method, [])
    with pytest.raises(PermissionError):
        rpc.many([("eth_chainId", []), (method, [])])
    assert transport.sent == []


def test_the_list_of_methods_is_the_documented_one():
    assert sorted(ALLOWED) == [
        "eth_blockNumber", "eth_call", "eth_chainId", "eth_getBlockByHash", "eth_getBlockByNumber",
        "eth_getBlockReceipts", "eth_getCode", "eth_getLogs", "eth_getStorageAt", "eth_subscribe",
        "net_version",
    ]  # fmt: skip
