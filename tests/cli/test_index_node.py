"""A node over HTTP, with the manners of real providers, gives the database that the file gives."""

import copy

import pytest

from analyzer.__main__ import main
from tests.chain.server import Manners, RecordingServer
from tests.conftest import GMX_V1_RECORDING
from tests.databases import contents

RUDE = {
    "a plain node": Manners(),
    "100 blocks, alchemy": Manners(max_range=100, range_wording="alchemy"),
    "100 blocks, infura": Manners(max_range=100, range_wording="infura"),
    "100 blocks, quicknode": Manners(max_range=100, range_wording="quicknode"),
    "100 blocks, optimism": Manners(max_range=100, range_wording="optimism"),
    "100 blocks, wording never seen": Manners(max_range=100, range_wording="unheard of"),
    "100 blocks, a lie about the range": Manners(max_range=100, range_wording="lying"),
    "100 logs, infura": Manners(max_logs=100, result_wording="infura"),
    "100 logs, reth": Manners(max_logs=100, result_wording="reth"),
    "100 logs, entity too large": Manners(max_logs=100, result_wording="entity"),
    "no multicall": Manners(multicall=False),
    "no multicall, no batches": Manners(multicall=False, batches=False),
    "no calls by block hash": Manners(block_hash_calls=False),
    "no block times in logs": Manners(block_timestamps=False),
    "small multicalls and batches": Manners(max_multicall=50, max_batch=3),
}
FAULTY = {
    "a 429 with Retry-After": {4: "429 at once"},
    "one hang": {4: "hang"},
    "one dropped connection": {4: "drop"},
    "truncated JSON": {5: "truncate"},
    "one of each": {
        3: "429 at once",
        4: "drop",
        6: "500",
        7: "truncate",
        9: "429 date",
        11: "hang",
    },
}


@pytest.fixture(scope="session")
def deployments_toml(gmx_v1_recording):
    """The recording's deployments as a user would write them."""
    return "".join(
        f"""
        [[deployment]]
        protocol = "{d["protocol"]}"
        name = "{d["name"]}"
        chain_id = {d["chain_id"]}
        start_block = {d["start_block"]}
        contracts = {{ Vault = "{d["contracts"]["Vault"]}" }}
        options = {{ variant = "{d["options"]["variant"]}" }}
        """
        for d in gmx_v1_recording["deployments"]
    )


@pytest.fixture
def configured(perpscope, tmp_path, deployments_toml):
    """The command line with the recording's deployments as a user's own."""
    (tmp_path / "perpscope.toml").write_text(deployments_toml)
    return perpscope


@pytest.fixture(scope="session")
def expected(tmp_path_factory):
    """What the file itself gives."""
    db = tmp_path_factory.mktemp("expected") / "t.duckdb"
    url = f"recording:{GMX_V1_RECORDING}"
    with pytest.raises(SystemExit) as exited:
        main(["-q", "index", "--rpc-url", url, "--db", str(db)])
    assert exited.value.code == 0
    return contents(db)


@pytest.mark.parametrize("name", RUDE)
def test_the_database_is_the_same_whatever_the_nodes_manners(configured, tmp_path, expected, name):
    with RecordingServer(GMX_V1_RECORDING, RUDE[name]) as server:
        ran = configured("index", "--rpc-url", server.url)
    assert (ran.code, ran.out) == (0, ""), ran.err
    assert contents(tmp_path / "perpscope.duckdb") == expected


@pytest.mark.parametrize("name", FAULTY)
def test_the_database_is_the_same_whatever_goes_wrong_once(configured, tmp_path, expected, name):
    manners = Manners(faults=FAULTY[name])
    with RecordingServer(GMX_V1_RECORDING, manners) as server:
        ran = configured("index", "--rpc-url", server.url, "--timeout", "1")
        assert server.posts > max(FAULTY[name])
    assert (ran.code, ran.out) == (0, ""), ran.err
    assert contents(tmp_path / "perpscope.duckdb") == expected


def test_state_reads_take_few_requests(configured):
    with RecordingServer(GMX_V1_RECORDING) as server:
        assert configured("index", "--rpc-url", server.url).code == 0
        methods = server.counts
    assert methods["eth_call"] <= 20, methods


def test_verify_over_http_agrees_as_well(configured):
    with RecordingServer(GMX_V1_RECORDING) as server:
        configured("index", "--rpc-url", server.url)
        ran = configured("verify", "--rpc-url", server.url)
    assert ran.code == 0, ran.err
    assert "0 differ, 0 skipped" in ran.out


def test_a_reorg_is_rolled_back_and_replaced(
    configured, tmp_path, gmx_v1_recording, write_recording, expected
):
    """A first run sees the last 40 blocks otherwise: other hashes, and no logs in them."""
    head = 3131
    fork = copy.deepcopy(gmx_v1_recording)
    fork["logs"] = [log for log in fork["logs"] if int(log["blockNumber"], 16) <= head - 40]
    for block in fork["blocks"]:
        if int(block["number"], 16) > head - 40:
            block["hash"] = "0xf0f0" + block["hash"][6:]
            block["logsBloom"] = "0x" + "00" * 256
            if int(block["number"], 16) > head - 39:
                block["parentHash"] = "0xf0f0" + block["parentHash"][6:]
    with RecordingServer(write_recording(fork)) as server:
        assert configured("index", "--rpc-url", server.url).code == 0
    assert contents(tmp_path / "perpscope.duckdb") != expected
    with RecordingServer(GMX_V1_RECORDING) as server:
        ran = configured("index", "--rpc-url", server.url)
    assert ran.code == 0, ran.err
    assert contents(tmp_path / "perpscope.duckdb") == expected
