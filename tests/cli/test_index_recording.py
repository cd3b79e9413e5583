"""From a recorded chain to a database, and nothing but what the contracts emitted and answered."""

import copy

import duckdb
import pytest
from eth_abi import decode, encode
from eth_utils import keccak

from analyzer.store.schema import RAW_VERSION
from tests.conftest import GMX_V1_RECORDING
from tests.databases import contents, counts

VERDICTS = [
    "validateLiquidation(address,address,address,bool,bool)",
    "getPositionDelta(address,address,address,bool)",
    "getPositionLeverage(address,address,address,bool)",
    "getPositions(address,address,address[],address[],bool[])",
    "liquidatePosition(address,address,address,bool,address)",
]
VERDICT_SELECTORS = {"0x" + keccak(text=signature)[:4].hex() for signature in VERDICTS}
GET_POSITION = "0x" + keccak(text="getPosition(address,address,address,bool)")[:4].hex()


def index(perpscope, recording, db="t.duckdb", *more):
    ran = perpscope("index", "--rpc-url", f"recording:{recording}", "--db", db, *more)
    assert (ran.code, ran.out) == (0, ""), ran.err
    return ran


def test_every_open_position_is_exactly_as_the_contract_says(perpscope, tmp_path, gmx_v1_recording):
    index(perpscope, GMX_V1_RECORDING)
    with duckdb.connect(str(tmp_path / "t.duckdb"), read_only=True) as connection:
        ours = {
            (vault.lower(), account, collateral, market, side == "long"): fields
            for vault, account, collateral, market, side, *fields in connection.execute(
                "select d.contracts ->> 'Vault', account, collateral_token, market, side,"
                " inputs ->> 'size', inputs ->> 'collateral', inputs ->> 'averagePrice',"
                " inputs ->> 'entryFundingRate', inputs ->> 'reserveAmount',"
                " inputs ->> 'realisedPnl', inputs ->> 'lastIncreasedTime'"
                " from positions inner join deployments as d using (protocol, deployment)"
            ).fetchall()
        }
    theirs = {}
    for call in gmx_v1_recording["calls"]:
        if call["data"].startswith(GET_POSITION):
            key = decode(
                ["address", "address", "address", "bool"], bytes.fromhex(call["data"][10:])
            )
            size, collateral, price, rate, reserve, pnl, is_profit, time = decode(
                ["uint256"] * 6 + ["bool", "uint256"], bytes.fromhex(call["result"][2:])
            )
            signed = pnl if is_profit else -pnl
            fields = [size, collateral, price, rate, reserve, signed, time]
            theirs[call["to"], *key] = [str(field) for field in fields]
    assert len(theirs) == 322
    assert ours == theirs


def test_verdict_and_account_value_calls_are_never_read(
    perpscope, tmp_path, gmx_v1_recording, write_recording
):
    blind = copy.copy(gmx_v1_recording)
    blind["calls"] = [
        call for call in gmx_v1_recording["calls"] if call["data"][:10] not in VERDICT_SELECTORS
    ]
    assert len(gmx_v1_recording["calls"]) - len(blind["calls"]) == 1_346
    index(perpscope, GMX_V1_RECORDING, "seeing.duckdb")
    index(perpscope, write_recording(blind), "blind.duckdb")
    assert contents(tmp_path / "blind.duckdb") == contents(tmp_path / "seeing.duckdb")


def test_verify_agrees_with_every_recorded_answer(perpscope):
    index(perpscope, GMX_V1_RECORDING)
    ran = perpscope(
        "verify", "--rpc-url", f"recording:{GMX_V1_RECORDING}", "--db", "t.duckdb", "-f", "json"
    )
    assert ran.code == 0, ran.err
    assert '"verdicts": 1140' in ran.out
    assert '"verdicts": 148' in ran.out


def test_verify_reports_an_answer_that_differs(perpscope, gmx_v1_recording, write_recording):
    index(perpscope, GMX_V1_RECORDING)
    selector = "0x" + keccak(text=VERDICTS[0])[:4].hex()
    lying = copy.deepcopy(gmx_v1_recording)
    victim = next(
        call
        for call in lying["calls"]
        if call["data"].startswith(selector) and call["data"].endswith("0") and "result" in call
    )
    state, fees = decode(["uint256", "uint256"], bytes.fromhex(victim["result"][2:]))
    victim["result"] = "0x" + encode(["uint256", "uint256"], [state, fees + 1]).hex()
    ran = perpscope(
        "verify", "--rpc-url", f"recording:{write_recording(lying)}", "--db", "t.duckdb"
    )
    assert ran.code == 1
    assert "1 differ" in ran.out
    assert str(fees + 1) in ran.err


def test_a_second_run_changes_nothing(perpscope, tmp_path):
    index(perpscope, GMX_V1_RECORDING)
    before = contents(tmp_path / "t.duckdb")
    ran = index(perpscope, GMX_V1_RECORDING)
    assert "0 new logs" in ran.err
    assert contents(tmp_path / "t.duckdb") == before


def test_a_rebuild_from_raw_equals_what_was_stored(perpscope, tmp_path):
    index(perpscope, GMX_V1_RECORDING)
    before = contents(tmp_path / "t.duckdb")
    with duckdb.connect(str(tmp_path / "t.duckdb")) as connection:
        connection.execute("delete from positions")
        connection.execute("update margin_accounts set state = 'safe'")
    ran = perpscope("index", "--rebuild", "--db", "t.duckdb")
    assert ran.code == 0, ran.err
    assert contents(tmp_path / "t.duckdb") == before


def test_a_rebuild_brings_an_older_database_up_to_date(perpscope, tmp_path):
    index(perpscope, GMX_V1_RECORDING)
    before = contents(tmp_path / "t.duckdb")
    with duckdb.connect(str(tmp_path / "t.duckdb")) as connection:
        connection.execute("alter table prices drop column role")
        connection.execute("update meta set schema_version = ?", [RAW_VERSION])
    ran = perpscope("check", "--db", "t.duckdb")
    assert (ran.code, "perpscope index --rebuild" in ran.err) == (2, True)
    ran = perpscope("index", "--rebuild", "--db", "t.duckdb")
    assert ran.code == 0, ran.err
    assert contents(tmp_path / "t.duckdb") == before
    assert perpscope("check", "--db", "t.duckdb").code == 1


def test_a_state_read_that_is_gone_rebuilds_as_unknown(perpscope, tmp_path):
    index(perpscope, GMX_V1_RECORDING)
    selector = keccak(text="getMinPrice(address)")[:4]
    with duckdb.connect(str(tmp_path / "t.duckdb")) as connection:
        connection.execute(
            "update raw_calls set address = '0xgone' where substr(hex(data), 1, 8) = ?",
            [selector.hex().upper()],
        )
    perpscope("index", "--rebuild", "--db", "t.duckdb")
    with duckdb.connect(str(tmp_path / "t.duckdb"), read_only=True) as connection:
        found = connection.execute(
            "select p.side, m.state_stored, min(m.reason) from margin_accounts as m"
            " inner join positions as p using (deployment, margin_id) group by all"
        ).fetchall()
    longs = [(state, reason) for side, state, reason in found if side == "long"]
    assert longs
    assert all(state == "unknown" and "not read" in reason for state, reason in longs)


@pytest.mark.parametrize("first", ["1500", "3000", "3130"])
def test_stopping_early_and_going_on_equals_one_run(perpscope, tmp_path, first):
    """A run up to a block ends where state is needed that was not recorded; its logs are kept."""
    index(perpscope, GMX_V1_RECORDING, "once.duckdb")
    recorded = f"recording:{GMX_V1_RECORDING}"
    nobody = ("--positions", "state", "--account", "0x" + "11" * 20)
    ran = perpscope(
        "index", "--rpc-url", recorded, "--db", "t.duckdb", "--to-block", first, *nobody
    )
    assert ran.code == 2
    assert "does not hold eth_call" in ran.err
    with duckdb.connect(str(tmp_path / "t.duckdb"), read_only=True) as connection:
        ends = connection.execute("select distinct to_block from checkpoints").fetchall()
    assert ends == [(int(first),)]
    index(perpscope, GMX_V1_RECORDING)
    assert contents(tmp_path / "t.duckdb") == contents(tmp_path / "once.duckdb")


def test_an_account_is_read_from_the_same_logs(perpscope, tmp_path):
    index(perpscope, GMX_V1_RECORDING)
    with duckdb.connect(str(tmp_path / "t.duckdb"), read_only=True) as connection:
        account, size = connection.execute(
            "select account, count(*) from positions group by account order by 2 desc, 1"
        ).fetchall()[0]
    index(perpscope, GMX_V1_RECORDING, "one.duckdb", "--account", account)
    assert counts(tmp_path / "one.duckdb")["positions"] == size


def test_a_recording_of_a_recording_answers_the_same(perpscope, tmp_path):
    index(perpscope, GMX_V1_RECORDING, "t.duckdb", "--record", "again.json.gz")
    index(perpscope, tmp_path / "again.json.gz", "again.duckdb")
    assert contents(tmp_path / "again.duckdb") == contents(tmp_path / "t.duckdb")
