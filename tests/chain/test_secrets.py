"""The RPC URL, its key and its login appear nowhere: not in errors, names, logs or recordings."""

import gzip
import logging
import traceback

import pytest

from analyzer.chain import open_chain
from analyzer.chain.hiding import Hider, host_label
from analyzer.chain.recorder import Recorder
from analyzer.chain.settings import Settings
from analyzer.errors import AnalyzerError
from analyzer.evm import LogFilter
from tests.chain.conftest import RECORDING, VAULT
from tests.chain.manners import FAULTS, Manners
from tests.chain.server import RecordingServer

MARKER = "mARk3rs3crEt"
PATH = f"/v3/{MARKER}?key={MARKER}q"
ECHO = f" at https://user:{MARKER}@rpc.example.com/v3/{MARKER}?key={MARKER}q or {MARKER}"


def everything_about(error: BaseException) -> str:
    """What a traceback would show, and what hides behind it."""
    texts = ["".join(traceback.format_exception(error))]
    seen = error
    while seen is not None:
        texts += [repr(seen), str(seen), repr(getattr(seen, "__dict__", ""))]
        seen = seen.__cause__ or seen.__context__
    return "\n".join(texts)


def ask_all(chain, calls):
    for ask in (
        chain.chain_id,
        lambda: chain.block("latest"),
        lambda: chain.block(99_999),
        lambda: list(chain.logs([LogFilter((VAULT,))], 0, 3_000)),
        lambda: chain.answer(calls[:40], chain.block(3_131)),
    ):
        try:
            ask()
        except AnalyzerError as error:
            yield error


def login_url(server: RecordingServer) -> str:
    return server.url.replace("http://", f"http://user{MARKER}:pass{MARKER}@")


@pytest.mark.parametrize("fault", [*FAULTS, None])
def test_no_error_holds_the_secret(calls, fault, caplog, capfd):
    caplog.set_level(logging.DEBUG)
    faults = dict.fromkeys(range(500), fault) if fault else {}
    limited = Manners(faults=faults, echo=ECHO, first_log_block=10, first_state_block=9_999)
    notes = []
    with RecordingServer(RECORDING, limited, PATH) as server:
        settings = Settings(timeout=0.1, max_attempts=2, sleep=lambda _: None)
        chain = open_chain([login_url(server)], settings=settings, progress=notes.append)
        errors = list(ask_all(chain, calls))
        assert MARKER.lower() not in (repr(chain) + str(chain) + chain.label).lower()
        chain.close()
    assert len(errors) >= 3
    shown = "\n".join(everything_about(error) for error in errors) + repr(notes)
    out, err = capfd.readouterr()
    assert MARKER.lower() not in (shown + caplog.text + out + err).lower()


@pytest.mark.parametrize("wrap", [str, lambda text: [text], lambda text: {"number": text}])
def test_no_error_holds_a_secret_that_stands_in_a_result(calls, wrap):
    """A node may echo the URL anywhere, also where a number or a log should be."""
    manners = Manners(answer=lambda method, _: wrap(f"0x{MARKER} of {method}"))
    with RecordingServer(RECORDING, manners, PATH) as server:
        settings = Settings(max_attempts=2, sleep=lambda _: None)
        chain = open_chain([server.url], settings=settings)
        errors = list(ask_all(chain, calls))
        chain.close()
    assert len(errors) == 5
    assert MARKER.lower() not in "".join(map(everything_about, errors)).lower()


def test_the_test_would_notice():
    assert MARKER in everything_about(AnalyzerError(PATH))


@pytest.mark.parametrize(
    "url",
    [f"ftp://x/{MARKER}", f"rpc.example.com/{MARKER}", f"/{MARKER}.ipc",
     f"http://[{MARKER}", f"https://h:{MARKER}/", f"{MARKER}"],
)  # fmt: skip
def test_an_url_that_cannot_be_used_is_not_repeated(url):
    with pytest.raises(AnalyzerError) as raised:
        open_chain([url])
    assert MARKER not in everything_about(raised.value)


def test_a_recording_holds_no_host(tmp_path, calls):
    path = tmp_path / "recorded.json.gz"
    with RecordingServer(RECORDING, Manners(), PATH) as server:
        chain = open_chain([login_url(server)], record=path)
        assert isinstance(chain, Recorder)
        list(chain.logs([LogFilter((VAULT,))], 0, 500))
        chain.answer(calls[:20], chain.block("latest"))
        chain.close()
        text = gzip.decompress(path.read_bytes()).decode()
        assert MARKER not in text
        assert "127.0.0.1" not in text


@pytest.mark.parametrize(
    ("url", "label"),
    [
        ("https://arb1.arbitrum.io/rpc", "arb1.arbitrum.io"),
        ("https://mainnet.infura.io/v3/0123456789abcdef", "mainnet.infura.io"),
        ("https://user:password@node.example.com:8545/x?y=z#w", "node.example.com"),
        ("http://127.0.0.1:8545", "127.0.0.1"),
        ("ws://[::1]:8546", "::1"),
        ("https://abcdef0123456789abcdef.rpc.example.com", "***.rpc.example.com"),
        ("https://a1b2c3d4e5.rpc.example.com", "***.rpc.example.com"),
        ("/home/me/geth.ipc", "the node"),
    ],
)
def test_a_node_is_named_by_its_host(url, label):
    assert host_label(url) == label


def test_provider_texts_lose_secrets_and_line_breaks():
    hider = Hider(f"https://me:pw@h.example.com/v3/{MARKER}?key=ab&t=12")
    text = hider.clear(
        f"bad\nkey {MARKER} of me, ab, pw\x1b[31m; see https://h.example.com/{MARKER}/x"
    )
    assert text == "bad key *** of ***, ***, *** [31m; see h.example.com"


def test_short_secrets_do_not_eat_words():
    assert (
        Hider("https://h.example.com/v2/x?a=1").clear("query of 1000 logs") == "query of 1000 logs"
    )


def test_provider_texts_are_of_bounded_length():
    assert len(Hider("http://h").clear("x" * 10_000)) == 200
