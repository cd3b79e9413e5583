"""Deployments of one's own: each name stands for one of them, and notes are for people."""

import copy

import duckdb
import pytest

VAULT = "0x5FbDB2315678afecb367f032d93F642f64180aa3"
OTHER_VAULT = "0xcf23CE2ffa1DDd9Cc2b445aE6778c4DBD605a1A0"
TABLE = """
[[deployment]]
protocol = "gmx_v1"
name = "local-c"
chain_id = 3133701
start_block = 63
contracts = {{ Vault = "{vault}" }}
options = {{ variant = "C" }}
"""


@pytest.fixture
def index(perpscope, gmx_v1_recording, write_recording):
    def run(**changed):
        recording = copy.copy(gmx_v1_recording)
        first, *rest = recording["deployments"]
        recording["deployments"] = [first | changed, *rest]
        return perpscope("index", "--rpc-url", f"recording:{write_recording(recording)}")

    return run


def test_two_different_deployments_of_one_name_are_refused(index, tmp_path):
    for text in (TABLE.format(vault=OTHER_VAULT), TABLE.format(vault=VAULT).replace("63", "64")):
        (tmp_path / "perpscope.toml").write_text(text)
        ran = index()
        assert (ran.code, ran.out) == (2, "")
        assert ran.err.startswith("error: two different deployments of gmx_v1 on chain 3133701 are")
        assert "'local-c'" in ran.err
        assert not (tmp_path / "perpscope.duckdb").exists()


def test_a_deployment_that_is_named_twice_alike_is_indexed_once(index, tmp_path):
    (tmp_path / "perpscope.toml").write_text(TABLE.format(vault=VAULT.lower()) * 2)
    ran = index()
    assert ran.code == 0, ran.err
    assert ran.err.count("local-c") == 1
    with duckdb.connect(str(tmp_path / "perpscope.duckdb"), read_only=True) as connection:
        assert connection.execute("select count(*) from positions").fetchall() == [(322,)]


def test_notes_in_a_recorded_deployment_are_for_people(index):
    ran = index(comment="the first one", verified=True)
    assert ran.code == 0, ran.err


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ({"protocol": [1]}, "`protocol` in the recording chain.json.gz is [1]"),
        ({"name": 5}, "`name` in the recording chain.json.gz is 5"),
        ({"name": ""}, "it takes a name in quotes"),
        ({"contracts": ["Vault"]}, "must be a table of names and values"),
        ({"contracts": {"Vault": 5}}, "'5' is not an address"),
        ({"options": {"variant": ["C"]}}, "it can be A, B, C"),
        ({"chain_id": "3133701"}, "it takes a whole number"),
    ],
)
def test_a_deployment_of_odd_values_is_refused(index, changed, complaint):
    ran = index(**changed)
    assert (ran.code, ran.out) == (2, "")
    assert complaint in ran.err
    assert ran.err.count("\n") == 1


@pytest.mark.parametrize("deployments", [5, "gmx_v1", [3], {"protocol": "gmx_v1"}])
def test_recorded_deployments_of_another_shape_are_refused(
    perpscope, gmx_v1_recording, write_recording, deployments
):
    recording = gmx_v1_recording | {"deployments": deployments}
    ran = perpscope("index", "--rpc-url", f"recording:{write_recording(recording)}")
    assert (ran.code, ran.out) == (2, "")
    assert "must be a list of objects" in ran.err
