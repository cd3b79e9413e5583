"""A node over HTTP, with the manners of real providers, gives the database that the file gives."""

import copy

import pytest

from analyzer.__main__ import main
from tests.chain.patience import take_the_servers_word
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
INCREASE_POSITION = "0x2fe68525253654c21998f35787a8d0f361905ef647c854092430ab65f2f15022"
FAULTY = {
    "a 429 with Retry-After": {4: "429 at once"},
    "one hang": {4: "time is up"},
    "one dropped connection": {4: "drop"},
    "truncated JSON": {5: "truncate"},
    "one of each": {
        3: "429 at once",
        4: "drop",
        6: "500",
        7: "truncate",
        9: "429 date",
        11: "time is up",
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
def test_the_database_is_the_same_whatever_goes_wrong_once(
    configured, tmp_path, expected, monkeypatch, name
):
    take_the_servers_word(monkeypatch)
    manners = Manners(faults=FAULTY[name])
    with RecordingServer(GMX_V1_RECORDING, manners) as server:
        ran = configured("index", "--rpc-url", server.url)
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


@pytest.mark.parametrize("separator", [" ", ",", ", ", "\n"])
@pytest.mark.parametrize("name", ["PERPSCOPE_RPC_URL", "ETH_RPC_URL"])
def test_several_urls_may_stand_in_the_variable(
    configured, tmp_path, expected, monkeypatch, name, separator
):
    dead = Manners(faults=dict.fromkeys(range(12, 999), "unauthorized"))
    with (
        RecordingServer(GMX_V1_RECORDING, dead) as first,
        RecordingServer(GMX_V1_RECORDING) as second,
    ):
        monkeypatch.setenv(name, f"{first.url}{separator}{second.url}")
        ran = configured("index")
        assert first.posts == 14
        assert second.posts > 0
    assert (ran.code, ran.out) == (0, ""), ran.err
    assert ran.err.startswith("127.0.0.1 #1 refuses access")
    assert "going on with 127.0.0.1 #2" in ran.err
    assert contents(tmp_path / "perpscope.duckdb") == expected


def test_an_url_with_a_space_in_the_variable_is_one_that_cannot_be_used(configured, monkeypatch):
    monkeypatch.setenv("ETH_RPC_URL", "http://127.0.0.1:9/a b")
    ran = configured("index")
    assert ran.code == 2
    assert "the RPC URL is not one that can be used" in ran.err
    assert "a b" not in ran.err


@pytest.mark.parametrize("every", [1, 4])
def test_a_cross_checked_run_gives_the_same_database(configured, tmp_path, expected, every):
    with (
        RecordingServer(GMX_V1_RECORDING, Manners(max_range=500)) as first,
        RecordingServer(GMX_V1_RECORDING, Manners(block_timestamps=False)) as second,
    ):
        urls = ["--rpc-url", first.url, "--rpc-url", second.url]
        ran = configured("index", *urls, "--cross-check", every)
    assert (ran.code, ran.out) == (0, ""), ran.err
    assert contents(tmp_path / "perpscope.duckdb") == expected
    assert second.counts["eth_getLogs"] > 0


def test_a_log_that_only_one_node_has_stops_a_cross_checked_run(
    configured, gmx_v1_recording, write_recording
):
    liar = copy.deepcopy(gmx_v1_recording)
    wanted = (liar["deployments"][0]["contracts"]["Vault"].lower(), INCREASE_POSITION)
    place = [(log["address"], log["topics"][0]) for log in liar["logs"]].index(wanted)
    number = int(liar["logs"].pop(place)["blockNumber"], 16)
    with (
        RecordingServer(GMX_V1_RECORDING) as first,
        RecordingServer(write_recording(liar)) as second,
    ):
        urls = ["--rpc-url", first.url, "--rpc-url", second.url]
        ran = configured("index", *urls, "--cross-check", 1)
    assert ran.code == 2
    assert f"127.0.0.1 #1 and 127.0.0.1 #2 give different logs of block {number} (" in ran.err


def test_confirmations_count_from_the_newest_block(configured, tmp_path):
    with RecordingServer(GMX_V1_RECORDING) as server:
        refused = configured(
            "index", "--rpc-url", server.url, "--confirmations", "5", "--block", "9"
        )
        assert refused.code == 2
        assert "--confirmations counts from the newest block" in refused.err
        asked = configured("-v", "index", "--rpc-url", server.url, "--confirmations", "5")
        headers = [params[0] for method, params in server.calls if method.endswith("ByNumber")]
    assert headers[:2] == ["latest", hex(3131 - 5)]
    assert "block 3,126" in asked.err
