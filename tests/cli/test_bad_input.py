"""Wrong input and broken surroundings: one sentence that names the cure, exit 2, nothing lost."""

import copy
import os
import resource
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

import analyzer.abi
import analyzer.resources
from analyzer.store.schema import SCHEMA_VERSION
from tests.chain.server import Manners, RecordingServer
from tests.conftest import GMX_V1_RECORDING
from tests.databases import contents

RECORDED = f"recording:{GMX_V1_RECORDING}"
ACCOUNT = "0x86c53Eb85D0B7548fea5C4B4F82b4205C8f6Ac18"
DEPLOYMENT = """
[[deployment]]
protocol = "gmx_v1"
name = "mine"
chain_id = 3133701
start_block = 63
contracts = {{ Vault = "{vault}" }}
options = {{ variant = "{variant}" }}
"""


@pytest.fixture
def refused(perpscope, tmp_path):
    """Runs a command that must fail: exit 2, one sentence on stderr, no data, no new database."""

    def run(*arguments):
        before = {path.name for path in tmp_path.iterdir()}
        ran = perpscope(*arguments)
        assert (ran.code, ran.out) == (2, "")
        lines = [
            line
            for line in ran.err.splitlines()
            if line
            and not line.startswith(("Usage:", "Try '"))  # click's own words around a usage error
        ]
        assert len(lines) == 1, ran.err
        assert "Traceback" not in ran.err
        made = {path.name for path in tmp_path.iterdir()} - before
        assert not any(name.endswith((".wal", ".tmp")) for name in made), made
        return lines[0]

    return run


@pytest.fixture
def with_vault(tmp_path):
    """Writes a configuration with a deployment of one's own."""

    def write(vault="0x5FbDB2315678afecb367f032d93F642f64180aa3", variant="C"):
        (tmp_path / "perpscope.toml").write_text(DEPLOYMENT.format(vault=vault, variant=variant))

    return write


@pytest.mark.parametrize(
    ("account", "complaint"),
    [
        ("0x1234", "is not an address: it takes 0x and 40 hexadecimal digits"),
        ("somebody", "is not an address"),
        (ACCOUNT[:-1] + "9", "has a wrong checksum"),
        ("vitalik.eth", "set --mainnet-rpc-url"),
    ],
)
def test_an_account_that_is_none(refused, tmp_path, account, complaint):
    assert complaint in refused("index", "--rpc-url", RECORDED, "--account", account)
    assert not (tmp_path / "perpscope.duckdb").exists()


def test_the_wrong_chain(refused):
    said = refused("index", "--rpc-url", RECORDED, "--chain", "42161")
    assert "is chain 3133701, not 42161: check --chain" in said


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--protocol", "gmx_v9"], "did you mean `gmx_v"),
        (["--deployment", "local-b"], "did you mean `local-"),
        (["--block", "yesterday"], "it takes latest, safe, finalized or a number"),
        (["--block", "999999"], "its highest block is 3131"),
        (["--price", "ETH"], "write it as ETH=3210.5"),
        (["--price", "ETH=1e3"], "write it as ETH=3210.5"),
        (["--rpc-url", "recording:nowhere.json.gz"], "there is no recorded chain"),
    ],
)
def test_an_option_that_cannot_be_meant(refused, arguments, complaint):
    assert complaint in refused("index", "--rpc-url", RECORDED, *arguments) or (
        complaint in refused("index", *arguments)
    )


@pytest.mark.parametrize(
    ("option", "value"),
    [
        *(("--timeout", value) for value in ("nan", "inf", "-inf", "1e12", "0", "-1", "soon")),
        *(("--requests-per-second", value) for value in ("nan", "inf", "1e-300", "0")),
        *(("--max-attempts", value) for value in ("0", "1000000000")),
        *(("--concurrency", value) for value in ("0", "65")),
        *(("--cross-check", value) for value in ("0", "-1", "x")),
    ],
)
def test_a_number_that_is_none_or_out_of_range(refused, option, value):
    said = refused("index", "--rpc-url", RECORDED, option, value)
    assert f"Invalid value for '{option}': " in said
    assert "is not in the range" in said or "is not a valid" in said


@pytest.mark.parametrize("url", ["http://[x]/", "ftp://a", "https://", "http://a b", "nowhere.ipc"])
def test_a_mainnet_url_that_cannot_be_used(refused, url):
    said = refused("index", "--rpc-url", RECORDED, "--account", "a.eth", "--mainnet-rpc-url", url)
    assert "the mainnet RPC URL is not one that can be used: give http(s)://" in said
    assert url not in said


def test_a_cross_check_without_a_second_node(refused):
    for urls in (["http://127.0.0.1:9"], [RECORDED]):
        given = [word for url in urls for word in ("--rpc-url", url)]
        assert "give --rpc-url at least twice" in refused("index", *given, "--cross-check", "5")


def test_the_same_node_twice(refused):
    said = refused("index", "--rpc-url", "http://127.0.0.1:9", "--rpc-url", "http://127.0.0.1:9")
    assert "the same RPC URL is given twice" in said


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--from-block", "90", "--to-block", "80"], "--from-block 90 is above --to-block 80"),
        (["--from-block", "3132"], "begin at block 3132 and end at block 3131 (the head is 3131)"),
        (["--to-block", "62"], "begin at block 63 and end at block 62 (the head is 3131)"),
    ],
)
def test_a_history_without_any_block(refused, tmp_path, options, complaint):
    one = ["--deployment", "local-c", "--positions", "state", "--account", ACCOUNT]
    assert complaint in refused("index", "--rpc-url", RECORDED, *one, *options)
    assert not (tmp_path / "perpscope.duckdb").exists()


def test_no_node_at_all(refused):
    assert "set --rpc-url or ETH_RPC_URL" in refused("index")


def test_a_command_with_a_typing_mistake(refused):
    assert "Did you mean check?" in refused("chekc")


def test_a_dead_node(refused, with_vault):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with_vault()
    said = refused("index", "--rpc-url", f"http://127.0.0.1:{port}", "--max-attempts", "1")
    assert "127.0.0.1" in said


@pytest.mark.parametrize("fault", ["hang", "drop", "page", "truncate", "wrong id", "no result"])
def test_a_node_that_never_answers_well(refused, with_vault, fault):
    with_vault()
    manners = Manners(faults=dict.fromkeys(range(1000), fault))
    with RecordingServer(GMX_V1_RECORDING, manners) as server:
        refused("index", "--rpc-url", server.url, "--timeout", "0.2", "--max-attempts", "2")


def test_a_node_that_wants_another_key(refused, with_vault):
    with_vault()
    manners = Manners(faults=dict.fromkeys(range(1000), "unauthorized"))
    with RecordingServer(GMX_V1_RECORDING, manners) as server:
        refused("index", "--rpc-url", server.url)


def test_a_node_without_the_history(refused, with_vault):
    with_vault()
    with RecordingServer(GMX_V1_RECORDING, Manners(first_log_block=1000)) as server:
        said = refused("index", "--rpc-url", server.url)
    assert "archive" in said or "history" in said


def test_a_node_without_old_state(refused, with_vault):
    with_vault()
    with RecordingServer(GMX_V1_RECORDING, Manners(first_state_block=3200)) as server:
        said = refused("index", "--rpc-url", server.url, "--block", "3131")
    assert "archive" in said


def test_a_node_without_finalized_blocks(refused, with_vault):
    with_vault()
    with RecordingServer(GMX_V1_RECORDING, Manners(tags=("latest",))) as server:
        said = refused("index", "--rpc-url", server.url)
    assert "latest" in said


@pytest.mark.parametrize(
    ("vault", "variant", "found"),
    [
        ("0x9fE46736679d2D9a65F0992F2272dE9f3c7fa6e0", "C", "Vault"),
        ("0x5FbDB2315678afecb367f032d93F642f64180aa3", "A", "vaultUtils"),
        ("0xcf23CE2ffa1DDd9Cc2b445aE6778c4DBD605a1A0", "B", "vaultUtils"),
    ],
)
def test_a_vault_that_is_not_what_the_entry_says(
    refused, with_vault, gmx_v1_recording, write_recording, vault, variant, found, tmp_path
):
    with_vault(vault, variant)
    asked = copy.copy(gmx_v1_recording)
    asked["deployments"] = []
    known = {(call["to"], call["data"]) for call in asked["calls"]}
    vault_calls = [call for call in asked["calls"] if call["to"].startswith("0x5fbdb2")]
    asked["calls"] = [
        *asked["calls"],
        *(
            {"block": call["block"], "to": vault.lower(), "data": call["data"], "result": "0x"}
            for call in vault_calls
            if (vault.lower(), call["data"]) not in known
        ),
    ]
    assert found in refused("index", "--rpc-url", f"recording:{write_recording(asked)}")
    assert not (tmp_path / "perpscope.duckdb").exists()


def test_a_rebuild_of_nothing(refused, tmp_path):
    assert "run `perpscope index` first" in refused("index", "--rebuild", "--db", "typo.duckdb")
    assert not (tmp_path / "typo.duckdb").exists()


@pytest.fixture
def damaged_data(tmp_path, monkeypatch):
    """A copy of the shipped data that a test may damage."""
    home = tmp_path / "data"
    for folder in ("abis", "queries"):
        shutil.copytree(str(analyzer.resources.resource(folder)), home / folder)
    monkeypatch.setattr(analyzer.abi, "resource", home.__truediv__)
    monkeypatch.setattr("analyzer.findings.queries.resource", home.__truediv__)
    analyzer.abi.load_abi.cache_clear()
    yield home
    analyzer.abi.load_abi.cache_clear()


@pytest.mark.parametrize("content", ["", "{", "[{}]", '[{"type": "function", "name": 3}]'])
def test_a_damaged_abi_file(refused, damaged_data, content):
    (damaged_data / "abis" / "gmx_v1" / "Vault.json").write_text(content)
    said = refused("index", "--rpc-url", RECORDED)
    assert "abis/gmx_v1/Vault.json is missing or damaged" in said


@pytest.mark.parametrize(
    "content", ["", "select 1", "/* ---\ntitle = 3\n--- */\nselect 1", "/* ---\n--- */\n"]
)
def test_a_damaged_query_file(perpscope, refused, damaged_data, content):
    perpscope("index", "--rpc-url", RECORDED)
    (damaged_data / "queries" / "findings" / "liquidatable.sql").write_text(content)
    assert "liquidatable.sql" in refused("check")


def test_a_database_of_a_newer_schema(perpscope, refused, tmp_path):
    perpscope("index", "--rpc-url", RECORDED)
    db = tmp_path / "perpscope.duckdb"
    with duckdb.connect(str(db)) as connection:
        connection.execute("update meta set schema_version = ?", [SCHEMA_VERSION + 1])
    before = contents(db)
    for command in (["index", "--rpc-url", RECORDED], ["check"], ["index", "--rebuild"]):
        assert "upgrade perpscope" in refused(*command)
    assert contents(db) == before


def test_two_writers(perpscope, refused, tmp_path):
    perpscope("index", "--rpc-url", RECORDED)
    code = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('held', flush=True); input()"
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "perpscope.duckdb")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert holder.stdout.readline() == "held\n"
        for command in (["index", "--rpc-url", RECORDED], ["check"]):
            assert f"in use by process {holder.pid}" in refused(*command)
    finally:
        holder.communicate("\n")


def test_a_disk_that_is_full(perpscope, tmp_path):
    """A file may not grow beyond a limit: what the disk says when it is full."""
    perpscope("index", "--rpc-url", RECORDED)
    db = tmp_path / "perpscope.duckdb"
    before = contents(db)
    with duckdb.connect(str(db)) as connection:
        connection.execute("delete from checkpoints")
        connection.execute("checkpoint")
    limit = 100_000

    def small_disk():
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    ran = subprocess.run(
        [sys.executable, "-m", "analyzer", "index", "--rpc-url", RECORDED, "--db", db],
        preexec_fn=small_disk,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert ran.returncode == 2, ran.stderr
    assert "free space" in ran.stderr
    assert "Traceback" not in ran.stderr
    with duckdb.connect(str(db)) as connection:
        assert connection.execute("select count(*) from positions").fetchall() == [(322,)]
    perpscope("index", "--rpc-url", RECORDED)
    assert contents(db) == before


def test_a_folder_that_cannot_be_written(refused, tmp_path):
    said = refused("index", "--rpc-url", RECORDED, "--db", tmp_path / "nowhere" / "t.duckdb")
    assert "check the path" in said
