"""An RPC URL is a secret: it appears in no output, error, log, database or export."""

import pytest

from tests.chain.server import Manners, RecordingServer
from tests.conftest import GMX_V1_RECORDING

KEY = "s3cr3tM4rk3rKey0123456789abcdef"
CONFIG = """
rpc_url = "{url}"
[[deployment]]
protocol = "gmx_v1"
name = "mine"
chain_id = 3133701
start_block = 63
contracts = {{ Vault = "0x5FbDB2315678afecb367f032d93F642f64180aa3" }}
options = {{ variant = "C" }}
"""
ECHO = f" (you asked http://user:{KEY}@node/v2/{KEY}?apikey={KEY})"


def secret_url(server):
    host = server.url.removeprefix("http://").split("/")[0]
    return f"http://user:{KEY}@{host}/v2/{KEY}?apikey={KEY}"


def leaks(ran, tmp_path):
    """Every place in which the key stands."""
    found = [name for name, text in (("stdout", ran.out), ("stderr", ran.err)) if KEY in text]
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    return found + [
        path.name
        for path in files
        if path.name != "perpscope.toml" and KEY.encode() in path.read_bytes()
    ]


@pytest.mark.parametrize("verbosity", ["-q", "-v", "-vv", "--traceback"])
def test_a_run_that_goes_well_does_not_tell(perpscope, tmp_path, verbosity):
    with RecordingServer(GMX_V1_RECORDING) as server:
        (tmp_path / "perpscope.toml").write_text(CONFIG.format(url=secret_url(server)))
        for command in (
            ["index", "--record", "again.json.gz"],
            ["check"],
            ["verify"],
            ["doctor"],
            ["export"],
            ["show", "positions"],
        ):
            ran = perpscope(verbosity, *command)
            assert ran.code in (0, 1), ran.err
            assert leaks(ran, tmp_path) == []


@pytest.mark.parametrize(
    "manners",
    [
        Manners(faults=dict.fromkeys(range(99), fault), echo=ECHO)
        for fault in (
            "hang",
            "drop",
            "page",
            "truncate",
            "unauthorized",
            "quota",
            "500",
            "429 date",
        )
    ]
    + [
        Manners(logs_disabled=True, echo=ECHO),
        Manners(first_log_block=1000, echo=ECHO),
        Manners(first_state_block=9999, echo=ECHO),
        Manners(max_range=400, range_wording="unheard of", echo=ECHO),
        Manners(tags=("latest",), echo=ECHO),
        Manners(answer=lambda method, _: ECHO if method == "eth_chainId" else None),
    ],
)
def test_a_run_that_fails_does_not_tell(perpscope, tmp_path, manners):
    with RecordingServer(GMX_V1_RECORDING, manners) as server:
        (tmp_path / "perpscope.toml").write_text(CONFIG.format(url=secret_url(server)))
        arguments = ["--timeout", "0.2", "--max-attempts", "1"]
        for command in (["index"], ["doctor"]):
            for verbosity in ([], ["-vv"], ["--traceback"]):
                ran = perpscope(*verbosity, *command, *arguments)
                assert leaks(ran, tmp_path) == []


@pytest.mark.parametrize(
    "url",
    [
        f"http://127.0.0.1:1/{KEY}",
        f"ws://127.0.0.1:1/{KEY}",
        f"https://{KEY}.invalid/v2/{KEY}",
        f"ftp://host/{KEY}",
        f"http://[{KEY}",
        f"{KEY}",
        f"/nowhere/{KEY}.ipc",
        f"http://user:{KEY}@127.0.0.1:99999/",
    ],
)
def test_a_url_that_leads_nowhere_is_not_repeated(perpscope, tmp_path, url):
    for verbosity in ([], ["--traceback"]):
        ran = perpscope(
            *verbosity, "index", "--rpc-url", url, "--max-attempts", "1", "--timeout", "0.2"
        )
        assert ran.code == 2
        assert leaks(ran, tmp_path) == []
