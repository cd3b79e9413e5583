"""`perpscope verify` says what it compared, what it did not and why, and names whom it means."""

import copy
import json
import shutil
from hashlib import sha256

import duckdb
import pytest

from analyzer.abi import load_abi
from analyzer.chain import open_chain
from analyzer.chain.recording import RecordedChain
from analyzer.evm import Answer
from analyzer.indexer.deployments import deployment_of
from analyzer.indexer.plan import Plan
from analyzer.indexer.run import index
from analyzer.indexer.verify import verify_database
from tests.conftest import FIXTURES, GMX_V1_RECORDING

URL = f"recording:{GMX_V1_RECORDING}"
PERP_V2 = f"recording:{FIXTURES / 'demo' / 'perp_v2.json.gz'}"
GMX_V2 = f"recording:{FIXTURES / 'demo' / 'gmx_v2.json.gz'}"
LAST = 3131
CHAIN = RecordedChain(GMX_V1_RECORDING).chain_id()
COMPLAINT = "chain_id, protocol, deployment, block_number, -1, 'position_difference', 'x', 'y'"
REASON = "a log of it cannot be read"


@pytest.fixture(scope="module")
def databases(tmp_path_factory):
    """Databases of recorded chains, each indexed once."""
    folder, made = tmp_path_factory.mktemp("databases"), {}

    def database(url, names):
        path = folder / f"{len(made)}.duckdb"
        if (url, names) not in made:
            chain = open_chain([url])
            tables = [t for t in chain.deployments if not names or t["name"] in names]
            found = [deployment_of(table, "the recording", for_people=True) for table in tables]
            for outcome in index(chain, path, Plan(deployments=found)):
                assert outcome.error is None
            made[url, names] = path
        return made[url, names]

    return database


@pytest.fixture
def indexed(databases, tmp_path):
    """A copy of such a database, where the commands look for one."""

    def copied(url=URL, *names):
        shutil.copy(databases(url, names), tmp_path / "perpscope.duckdb")

    return copied


@pytest.fixture
def change(tmp_path):
    """Changes the stored rows."""

    def run(sql):
        with duckdb.connect(str(tmp_path / "perpscope.duckdb")) as connection:
            connection.execute("set timezone = 'UTC'")
            connection.execute(sql)

    return run


def tallies(ran):
    return {one["deployment"]: one for one in json.loads(ran.out)}


def test_it_says_what_each_half_compared_and_what_has_no_view(perpscope, indexed, tmp_path):
    indexed()
    before = sha256((tmp_path / "perpscope.duckdb").read_bytes()).digest()
    ran = perpscope("verify", "--rpc-url", URL)
    assert (ran.code, ran.err) == (0, "")
    heads = [line for line in ran.out.splitlines() if not line.startswith(" ")]
    assert heads[0].startswith(f"gmx_v1 local-a at block {LAST:,}: 148 verdicts, ")
    assert heads[0].endswith(" 37 liquidation prices compared; 0 differ, 0 skipped")
    assert "  with the contracts' own answers: 74 verdicts, 378 values\n" in ran.out
    assert "  with what this node's state comes to: 74 verdicts, " in ran.out
    assert (
        "  not compared with a contract's own, none tells them: 37 liquidation prices, "
        "37 verdicts at execution time\n"
    ) in ran.out
    one = tallies(perpscope("verify", "--rpc-url", URL, "-f", "json"))["local-a"]
    assert (one["not_compared"], one["skipped"]) == (74, 0)
    assert sha256((tmp_path / "perpscope.duckdb").read_bytes()).digest() == before


@pytest.mark.parametrize(
    ("sql", "kind", "shown"),
    [
        ("update margin_accounts set state = 'liquidatable'", "verdict", "state"),
        ("update margin_accounts set state_stored = 'liquidatable'", "verdict", "state_stored"),
        (
            "update positions set liquidation_below = price where side = 'long'",
            "flip", "liquidation price",
        ),
        ("update positions set price = price + 1e-18", "value", "price"),
        ("update margin_accounts set buffer_usd = buffer_usd - 1e-18", "value", "buffer_usd"),
        ("update prices set price_max = price_min", "value", "price_max"),
        ("update prices set observed_at = observed_at - interval 1 second", "value", "observed_at"),
        ("update funding set funding_rate = 0", "value", "funding_rate"),
        ("update tokens set decimals = decimals + 1", "value", "decimals"),
        ("update snapshots set block_time = block_time + interval 1 day", "value", "block_time"),
        ("update margin_legs set slope = slope + 1", "value", "slope"),
        ("delete from prices where source = 'oracle'", "value", "row"),
        ("delete from positions where side = 'long'", "value", "row"),
        ("delete from tokens", "value", "row"),
        ("update margin_accounts set reason = 'because'", "value", "reason"),
        (
            "update markets set parameters = json_merge_patch(parameters, '{\"maxLeverage\": 1}')",
            "value", "parameters.maxLeverage",
        ),
        (f"insert into data_quality select {COMPLAINT} from snapshots", "value", "row"),
    ],
)  # fmt: skip
def test_a_stored_row_that_is_not_what_the_state_comes_to(
    perpscope, indexed, change, sql, kind, shown
):
    indexed(URL, "local-a")
    change(sql)
    ran = perpscope("verify", "--rpc-url", URL, "-f", "json")
    assert ran.code == 1
    one = tallies(ran)["local-a"]
    assert one[f"{kind}_mismatches"] > 0
    assert f" {shown} ({kind}): ours " in ran.err
    assert "this node's " in ran.err
    assert ran.err.startswith("gmx_v1 local-a: ")


def test_a_liquidation_price_or_verdict_that_was_not_known_is_skipped(perpscope, indexed, change):
    indexed(URL, "local-a")
    one = "margin_id = (select min(margin_id) from positions)"
    change(f"update positions set liquidation_kind = 'unknown' where {one}")
    change(
        f"update margin_accounts set state_stored = 'unknown', reason = 'nobody knows' where {one}"
    )
    ran = perpscope("verify", "--rpc-url", URL, "-f", "json")
    assert ran.code == 2
    tally = tallies(ran)["local-a"]
    assert (tally["skipped"], tally["flips"], tally["value_mismatches"]) == (2, 36, 0)
    assert "liquidation price is unknown to us (it could not be told), by this node it" in ran.err
    assert "state_stored is unknown to us (nobody knows), by this node it is safe" in ran.err


@pytest.mark.parametrize("recording", sorted((FIXTURES / "demo").glob("*.json.gz")))
def test_reverts_in_other_words_come_to_the_same(databases, tmp_path, recording):
    """Nodes word them differently, and some give no reason at all."""

    class Silent(Counting):
        def answer(self, requests, block):
            found = super().answer(requests, block)
            return [one if one.error is None else Answer(error="") for one in found]

    path = databases(f"recording:{recording}", ())
    for one in verify_database(Silent(recording), path):
        assert one.recomputed.differences == []
        assert one.recomputed.compared > 1000


def test_a_margin_account_that_is_missing_is_a_wrong_verdict(perpscope, indexed, change):
    indexed(PERP_V2)
    change("delete from margin_accounts where state = 'liquidatable'")
    ran = perpscope("verify", "--rpc-url", PERP_V2, "-f", "json")
    assert ran.code == 1
    assert tallies(ran)["local"]["verdict_mismatches"] > 0
    assert "row (verdict): ours not there, this node's liquidatable" in ran.err


def test_an_account_without_a_verdict_is_skipped_by_name(perpscope, indexed, change, tmp_path):
    indexed(URL, "local-c")
    with duckdb.connect(str(tmp_path / "perpscope.duckdb"), read_only=True) as connection:
        (one,) = connection.execute(
            "select margin_id, account, market from positions order by all limit 1"
        ).fetchall()
    margin_id, account, market = one
    unknown = f'{{"unknown": "{REASON}"}}'
    change(
        "update margin_accounts set state = 'unknown', state_stored = 'unknown',"
        f" reason = '{REASON}', equity_usd = null where margin_id = '{margin_id}'"
    )
    change(
        "update positions set liquidation_kind = 'unknown',"
        ' inputs = json_merge_patch(inputs, \'{"size": null, "realisedPnl": null}\'),'
        f' outputs = \'{{"stored": {unknown}, "executable": {unknown}}}\''
        f" where margin_id = '{margin_id}'"
    )
    ran = perpscope("verify", "--rpc-url", URL, "-f", "json")
    assert ran.code == 2
    found = tallies(ran)["local-c"]
    assert (found["verdict_mismatches"], found["value_mismatches"], found["skipped"]) == (0, 0, 2)
    for line in ran.err.splitlines():
        assert line.startswith(f"gmx_v1 local-c: skipped: account {account} ")
        assert f" in {market}" in line
        assert REASON in line


def test_accounts_are_skipped_by_name_where_a_price_was_not_read(
    perpscope, gmx_v1_recording, write_recording, tmp_path
):
    feed = load_abi("gmx_v1", "VaultPriceFeed").functions["getPrice"].selector.hex()
    without = copy.copy(gmx_v1_recording)
    without["calls"] = [
        {**call, "result": "0x"} if call["data"].startswith(f"0x{feed}") else call
        for call in without["calls"]
    ]
    url = f"recording:{write_recording(without)}"
    assert perpscope("index", "--rpc-url", url, "--deployment", "local-a").code == 0
    with duckdb.connect(str(tmp_path / "perpscope.duckdb")) as connection:
        assert connection.execute("select distinct state from margin_accounts").fetchall() == [
            ("unknown",)
        ]
        accounts = connection.execute("select account from margin_accounts").fetchall()
        connection.execute("delete from prices")
    ran = perpscope("verify", "--rpc-url", URL, "-f", "json")
    assert tallies(ran)["local-a"]["skipped"] >= len(accounts)
    assert "state is unknown to us (" in ran.err
    assert "by this node it is safe" in ran.err


def test_one_deployment_that_cannot_be_asked_does_not_silence_the_others(
    perpscope, indexed, change
):
    indexed()
    change("update snapshots set block_number = 4000 where deployment = 'local-a'")
    ran = perpscope("verify", "--rpc-url", URL, "-f", "json")
    assert ran.code == 2
    assert ran.err == (
        "error: gmx_v1 local-a: block 4000 is not in the recording gmx_v1.json.gz: its highest "
        f"block is {LAST}\n"
    )
    assert tallies(ran)["local-a"]["verdicts"] == 0
    assert tallies(ran)["local-c"]["verdicts"] == 1140


def test_a_half_that_cannot_be_asked_leaves_the_other(perpscope):
    """The Reader was recorded at executed prices, and not at a user's own."""
    price = "0xb7f8bc63bbcad18155201308c8f3540b07f84f5e=1000"
    assert perpscope("index", "--rpc-url", GMX_V2, "--price", price).code == 0
    ran = perpscope("verify", "--rpc-url", GMX_V2, "-f", "json")
    assert ran.code == 2
    assert "error: gmx_v2 local: the recording gmx_v2.json.gz does not hold" in ran.err
    one = tallies(ran)["local"]
    assert (one["flips"], one["flip_mismatches"], one["value_mismatches"]) == (78, 0, 0)
    assert (one["verdicts"], one["verdict_mismatches"]) == (2 * 78, 0)


def test_snapshots_of_accounts_that_share_a_block_are_verified_together(
    perpscope, indexed, tmp_path
):
    indexed(URL, "local-c")
    with duckdb.connect(str(tmp_path / "perpscope.duckdb"), read_only=True) as connection:
        counts = connection.execute(
            "select account, count(*) from positions group by account order by 2 desc, 1 limit 2"
        ).fetchall()
    for account, _ in counts:
        scope = ("--deployment", "local-c", "--account", account)
        assert perpscope("index", "--rpc-url", URL, *scope, "--db", "two.duckdb").code == 0
    ran = perpscope("verify", "--rpc-url", URL, "--db", "two.duckdb", "-f", "json")
    assert ran.code == 0, ran.err
    assert tallies(ran)["local-c"]["flips"] == sum(count for _, count in counts)


class Counting:
    """A recorded chain that remembers what it was asked."""

    def __init__(self, recording=GMX_V1_RECORDING):
        self.chain, self.asked = RecordedChain(recording), []

    def __getattr__(self, name):
        return getattr(self.chain, name)

    def answer(self, requests, block):
        self.asked += requests
        return self.chain.answer(requests, block)


def test_every_read_of_the_snapshot_is_asked_again_and_once(tmp_path):
    chain, path = Counting(), tmp_path / "x.duckdb"
    deployment = deployment_of(chain.deployments[0], "the recorded chain", for_people=True)
    index(chain, path, Plan(deployments=[deployment]))
    read, chain.asked = set(chain.asked), []
    verify_database(chain, path)
    assert read < set(chain.asked)
    assert len(chain.asked) == len(set(chain.asked))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--protocol", "perp_v2"), f"name no snapshot of chain {CHAIN}: "),
        (("--deployment", "gmx"), f"duckdb holds gmx_v1 local-a of chain {CHAIN}, gmx_v1 local-c"),
        (("--block", "5"), "perpscope.duckdb holds no snapshot at or below block 5: run"),
    ],
)
def test_nothing_was_compared_says_why(perpscope, indexed, options, said):
    indexed()
    ran = perpscope("verify", "--rpc-url", URL, *options)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("error: nothing was compared: ")
    assert said in ran.err


def test_another_chains_node_is_told_from_this_ones(perpscope, indexed, change):
    indexed()
    for table in ("snapshots", "raw_deployments", "raw_snapshots"):
        change(f"update {table} set chain_id = 5")
    ran = perpscope("verify", "--rpc-url", URL)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith(
        f"error: nothing was compared: recording gmx_v1.json.gz is chain {CHAIN}, and "
        "perpscope.duckdb holds gmx_v1 local-a of chain 5, gmx_v1 local-c of chain 5: name that "
        "chain's node with --rpc-url"
    )
