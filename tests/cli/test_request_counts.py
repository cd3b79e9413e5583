"""What a run costs on a provider is counted in requests: one account takes a handful of them."""

import gzip
import json
from pathlib import Path

import duckdb
import pytest
from eth_abi import encode
from eth_utils import function_signature_to_4byte_selector as selector

from analyzer.__main__ import main
from tests.chain.server import RecordingServer, RpcError
from tests.conftest import FIXTURES

DEMOS = FIXTURES / "demo"
NOT_RECORDED = -32097
GET_POSITION = selector("getPosition(address,address,address,bool)").hex()
COUNT = selector("getBytes32Count(bytes32)").hex()
VALUES_AT = selector("getBytes32ValuesAt(bytes32,uint256,uint256)").hex()

MOST = {"gmx_v1": 16, "gmx_v2": 16, "perp_v1": 6, "perp_v2": 10}
"""HTTP requests of a first run for one account, all deployments together; GMX v1 has two here."""


class AccountServer(RecordingServer):
    """Answers what only a run for one account asks, which the recordings of whole runs lack.

    GMX v1: a position that is none is eight zeros. GMX v2: the list of the account's positions.
    """

    keys: tuple[bytes, ...] = ()

    def _call(self, call: dict, number: int) -> str:
        try:
            return super()._call(call, number)
        except RpcError as error:
            if error.error["code"] != NOT_RECORDED:
                raise
            match call["data"][2:10]:
                case name if name == GET_POSITION:
                    return "0x" + bytes(8 * 32).hex()
                case name if name == COUNT:
                    return "0x" + encode(["uint256"], [len(self.keys)]).hex()
                case name if name == VALUES_AT:
                    return "0x" + encode(["bytes32[]"], [self.keys]).hex()
            raise


def toml(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {toml(one)}" for key, one in value.items()) + "}"
    return json.dumps(value)


@pytest.fixture
def served(perpscope, tmp_path):
    """A recorded chain behind a node, its deployments as a user's own, and its busiest account."""

    def start(name: str) -> tuple[AccountServer, str]:
        path = DEMOS / f"{name}.json.gz"
        with gzip.open(path, "rt") as file:
            tables = json.load(file)["deployments"]
        (tmp_path / "perpscope.toml").write_text(
            "".join(
                "[[deployment]]\n" + "".join(f"{key} = {toml(one)}\n" for key, one in table.items())
                for table in tables
            )
        )
        account, keys = busiest(path, tmp_path / "whole.duckdb")
        server = AccountServer(path)
        server.keys = keys
        return server, account

    return start


def busiest(recording: Path, db: Path) -> tuple[str, tuple[bytes, ...]]:
    """The account with the most positions, and their keys."""
    with pytest.raises(SystemExit):
        main(["-q", "index", "--rpc-url", f"recording:{recording}", "--db", str(db)])
    with duckdb.connect(db, read_only=True) as connection:
        rows = connection.sql("select account, position_id from positions").fetchall()
    accounts = [account for account, _ in rows]
    chosen = max(sorted(set(accounts)), key=accounts.count)
    keys = [key for account, key in rows if account == chosen]
    return chosen, tuple(bytes.fromhex(k[2:]) for k in keys if k.startswith("0x") and len(k) == 66)


@pytest.mark.parametrize("name", MOST)
def test_one_account_takes_a_handful_of_requests(perpscope, served, name):
    server, account = served(name)
    with server:
        ran = perpscope("index", "--rpc-url", server.url, "--account", account, "--db", "a.duckdb")
        counts, posts = server.counts, server.posts
    assert ran.code == 0, ran.err
    assert " 0 open positions" not in ran.err
    assert counts["eth_chainId"] == counts["eth_getCode"] == 1
    assert posts <= MOST[name], counts
