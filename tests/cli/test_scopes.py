"""A run for some accounts never hides what a run for all of them has read."""

import copy
import json

import duckdb
import pytest

from analyzer.rows import TABLES
from tests.conftest import FIXTURES, GMX_V1_RECORDING
from tests.databases import contents

LAST = 3131
PERP_V2_RECORDING = FIXTURES / "demo" / "perp_v2.json.gz"


@pytest.fixture
def at_block(gmx_v1_recording, write_recording):
    """The recorded chain with a copy of its last block, and of all that was read at it, on top."""

    def write(number):
        moved = copy.copy(gmx_v1_recording)
        moved["blocks"] = [
            *moved["blocks"],
            {
                **next(b for b in moved["blocks"] if int(b["number"], 16) == LAST),
                "number": hex(number),
                "hash": f"0x{number:064x}",
            },
        ]
        moved["calls"] = [
            *moved["calls"],
            *({**c, "block": hex(number)} for c in moved["calls"] if int(c["block"], 16) == LAST),
        ]
        return write_recording(moved, f"at-{number}.json.gz")

    return write


@pytest.fixture
def index(perpscope):
    def run(recording, *accounts, db="perpscope.duckdb", block="latest"):
        named = [word for account in accounts for word in ("--account", account)]
        where = ("--rpc-url", f"recording:{recording}", "--db", db, "--block", block)
        ran = perpscope("index", *where, *named)
        assert ran.code == 0, ran.err

    return run


@pytest.fixture
def rows(tmp_path):
    """Asks the database as a dashboard would."""

    def ask(sql, db="perpscope.duckdb"):
        with duckdb.connect(str(tmp_path / db), read_only=True) as connection:
            return connection.execute(sql).fetchall()

    return ask


BY_ACCOUNT = "select account, block_number, count(*) from current_positions group by all"


@pytest.fixture
def traders(index, rows):
    """Two accounts with positions in the recording, and how many each account has."""
    index(GMX_V1_RECORDING, db="all.duckdb")
    found = {account: count for account, _, count in rows(BY_ACCOUNT, "all.duckdb")}
    one, other, *_ = sorted(found, key=lambda account: (-found[account], account))
    return one, other, found


def current(rows, db="perpscope.duckdb"):
    tables = [name for (name,) in rows("select view_name from duckdb_views()", db)]
    return {
        name: sorted(map(repr, rows(f"select * from {name}", db)))
        for name in tables
        if name.startswith("current_") and name != "current_scopes"
    }


def keys_are_unique(rows):
    for row_type, table in TABLES.items():
        names = ", ".join(row_type.KEY)
        assert not rows(f"select {names} from {table} group by all having count(*) > 1"), table
        entity = ", ".join(name for name in row_type.KEY if name != "block_number")
        views = rows(f"select view_name from duckdb_views() where view_name = 'current_{table}'")
        if views and table != "snapshots":
            assert not rows(
                f"select {entity} from current_{table} group by all having count(*) > 1"
            )


def rebuild_changes_nothing(perpscope, tmp_path, rows):
    before, views = contents(tmp_path / "perpscope.duckdb"), current(rows)
    assert perpscope("index", "--rebuild").code == 0
    assert contents(tmp_path / "perpscope.duckdb") == before
    assert current(rows) == views


@pytest.mark.parametrize("recording", [GMX_V1_RECORDING, PERP_V2_RECORDING])
def test_at_the_same_block_it_changes_nothing(perpscope, tmp_path, index, rows, recording):
    index(recording)
    before = {table: rows(f"select * from {table} order by all") for table in TABLES.values()}
    (account,) = rows("select min(account) from positions")[0]
    for _ in range(2):
        index(recording, account)
        after = {table: rows(f"select * from {table} order by all") for table in TABLES.values()}
        assert after == before
        rebuild_changes_nothing(perpscope, tmp_path, rows)
    index(recording)
    assert rows("select count(*) from raw_snapshots") == rows("select count(*) from snapshots")


def test_at_a_later_block_it_answers_for_its_own_accounts_alone(
    perpscope, tmp_path, index, rows, traders, at_block
):
    one, other, counts = traders
    index(GMX_V1_RECORDING)
    markets = rows("select * from current_markets order by all")
    index(at_block(4000), one)
    assert {(account, block): count for account, block, count in rows(BY_ACCOUNT)} == {
        (account, 4000 if account == one else LAST): count for account, count in counts.items()
    }
    assert rows("select * from current_markets order by all") == markets
    keys_are_unique(rows)
    rebuild_changes_nothing(perpscope, tmp_path, rows)
    for account, block in ((other, "3,131"), (one, "4,000")):
        ran = perpscope("show", "positions", "--account", account)
        assert ran.code == 0
        assert len(ran.out.splitlines()) == counts[account]
        assert all(f"block {block} of chain" in line for line in _places(ran.err))
    assert len(perpscope("show", "positions").out.splitlines()) == sum(counts.values())
    assert len(perpscope("show", "positions", "--block", "3999").out.splitlines()) == 322


def _places(text):
    return [line for line in text.splitlines() if not line.startswith(" ")]


def test_what_was_read_anew_is_not_called_old(perpscope, index, traders, at_block, rows, tmp_path):
    one, other, _ = traders
    index(GMX_V1_RECORDING)
    index(at_block(4000), one)
    (old,) = rows("select min(block_time) from snapshots")[0]
    with duckdb.connect(str(tmp_path / "perpscope.duckdb")) as connection:
        connection.execute(
            "update snapshots set block_time = now()::timestamp where block_number = 4000"
        )
    assert perpscope("check", "stale_data", "--account", one).code == 0
    for scope in ((), ("--account", other), ("--account", one, "--account", other)):
        ran = perpscope("check", "stale_data", *scope)
        assert {json.loads(line)["block_number"] for line in ran.out.splitlines()} == {LAST}, old


def test_at_an_earlier_block_it_is_not_shown(perpscope, tmp_path, index, rows, traders, at_block):
    later = at_block(4000)
    index(later)
    before = current(rows)
    index(later, traders[0], block=LAST)
    assert len(rows("select * from snapshots where block_number = 3131")) == 2
    assert current(rows) == before
    rebuild_changes_nothing(perpscope, tmp_path, rows)


@pytest.mark.parametrize("later", [LAST, 4000])
def test_accounts_read_one_after_the_other_are_all_there(
    perpscope, tmp_path, index, rows, traders, at_block, later
):
    one, other, counts = traders
    index(GMX_V1_RECORDING, one)
    index(GMX_V1_RECORDING if later == LAST else at_block(later), other)
    assert {(account, block): count for account, block, count in rows(BY_ACCOUNT)} == {
        (one, LAST): counts[one],
        (other, later): counts[other],
    }
    keys_are_unique(rows)
    rebuild_changes_nothing(perpscope, tmp_path, rows)
    for account in (one, other):
        ran = perpscope("show", "positions", "--account", account)
        assert len(ran.out.splitlines()) == counts[account]
    absent = next(account for account in counts if account not in (one, other))
    assert perpscope("check", "--account", absent).code == 2


def test_a_full_run_takes_the_place_of_those_for_accounts(
    perpscope, index, rows, traders, at_block
):
    one, other, _ = traders
    index(GMX_V1_RECORDING, one)
    index(GMX_V1_RECORDING, other)
    index(GMX_V1_RECORDING)
    assert current(rows) == current(rows, "all.duckdb")
    assert {scope for (scope,) in rows("select scope from snapshots")} == {"all"}


def test_every_account_is_explained_and_verified_at_its_own_block(
    perpscope, index, traders, at_block
):
    one, _, counts = traders
    index(GMX_V1_RECORDING)
    later = at_block(4000)
    index(later, one)
    ran = perpscope("explain", one, "-f", "json")
    explained = json.loads(ran.out)
    assert len(explained) == counts[one]
    assert all("block 4,000" in line["heading"] for line in explained)
    ran = perpscope("verify", "--rpc-url", f"recording:{later}", "-f", "json")
    assert ran.code == 0, ran.err
    compared = json.loads(ran.out)
    positions = {LAST: 0, 4000: 0}
    for tally in compared:
        positions[tally["block_number"]] += tally["flips"]
    assert positions == {LAST: 322, 4000: counts[one]}
    of_contracts, anew = 2 * 322, 2 * (322 + counts[one])
    assert sum(tally["verdicts"] for tally in compared) == of_contracts + anew
    assert "local-c" in perpscope("doctor").out


def test_the_lines_that_say_which_blocks_answer_fit_a_terminal(perpscope, index):
    index(GMX_V1_RECORDING)
    said = perpscope("check", "liquidatable").err
    assert "prices: VaultPriceFeed.getPrice without AMM price, at the block" in " ".join(
        said.split()
    )
    assert all(len(line) <= 100 for line in said.splitlines())
