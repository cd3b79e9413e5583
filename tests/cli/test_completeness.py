"""`perpscope doctor --completeness` and `--against`: what is damaged is named, and only that."""

import copy
import shutil

import duckdb
import pytest

from analyzer.__main__ import main
from tests.chain.server import Manners, RecordingServer
from tests.conftest import GMX_V1_RECORDING
from tests.databases import contents

RECORDED = f"recording:{GMX_V1_RECORDING}"
INDEX = ("index", "--rpc-url", RECORDED)
ACCOUNT = "0x489ee077994B6658eAfA855C308275EAd8097C4A"
PART = ("--deployment", "local-c", "--positions", "state", "--account", ACCOUNT)
UP_TO = (*PART, "--to-block")
LOCAL_C = "0x5FbDB2315678afecb367f032d93F642f64180aa3"
DEPLOYMENT = """
[[deployment]]
protocol = "gmx_v1"
name = "{name}"
chain_id = 3133701
start_block = {start}
contracts = {{ Vault = "{vault}" }}
options = {{ variant = "C" }}
"""
C = "filter = (select filter from checkpoints where deployment = 'local-c' limit 1)"
ONE_LOG = f"{C} and block_number = 1757 and log_index = 0"


def run(*arguments):
    """The exit code of a command of a fixture that many tests share."""
    with pytest.raises(SystemExit) as exited:
        main(["-q", *map(str, arguments)])
    return exited.value.code


@pytest.fixture(scope="session")
def recorded_db(tmp_path_factory):
    """The recorded chain, indexed once."""
    db = tmp_path_factory.mktemp("recorded") / "t.duckdb"
    assert run(*INDEX, "--db", db) == 0
    return db


@pytest.fixture(scope="session")
def stepped_db(tmp_path_factory):
    """The same chain indexed in four runs, so in four ranges.

    A run up to a block stops where state is to be read that was not recorded; its logs are stored.
    """
    db = tmp_path_factory.mktemp("stepped") / "s.duckdb"
    for end in (500, 1500, 3000):
        assert run(*INDEX, *UP_TO, end, "--db", db) == 2
    assert run(*INDEX, "--db", db) == 0
    return db


@pytest.fixture
def db(recorded_db, tmp_path):
    """A copy that a test may damage."""
    return shutil.copy(recorded_db, tmp_path / "t.duckdb")


@pytest.fixture
def in_steps(stepped_db, tmp_path):
    """A copy that a test may damage."""
    return shutil.copy(stepped_db, tmp_path / "s.duckdb")


@pytest.fixture
def damaged():
    """Changes a database by hand."""

    def change(path, *statements):
        with duckdb.connect(str(path)) as connection:
            for sql in statements:
                ((changed,),) = connection.execute(sql).fetchall()
                assert changed > 0, sql

    return change


def failures(ran):
    assert "Traceback" not in ran.err
    return [line for line in ran.out.splitlines() if line.startswith("FAIL")]


@pytest.fixture
def complaints(perpscope):
    """What the check of completeness complains of; the exit code says the same."""

    def check(path, *more):
        ran = perpscope("doctor", "--completeness", "--db", path, *more)
        found = failures(ran)
        assert ran.code == (2 if found else 0), ran.err
        return found

    return check


@pytest.fixture
def parting(perpscope):
    """What the comparison of two databases complains of."""

    def compare(path, other):
        ran = perpscope("doctor", "--db", path, "--against", other)
        found = failures(ran)
        assert ran.code == (2 if found else 0), ran.err
        return found

    return compare


def test_a_sound_database_is_said_to_be_one(perpscope, db):
    ran = perpscope("doctor", "--completeness", "--db", db, "--rpc-url", RECORDED)
    assert ran.code == 0
    lines = ran.out.splitlines()
    assert [line for line in lines if not line.startswith("ok ")] == [
        "note  completeness: books that balance prove positions, not their history; index again",
        "      through another node and compare the two with --against for logs left out",
    ]
    found = [line for line in lines if line.startswith("ok    gmx_v1 local-c")]
    name = "ok    gmx_v1 local-c"
    assert found[1:] == [
        f"{name} ranges: blocks 63 to 3,131, 2,344 logs; finished ranges 1, gaps 0, overlaps 0",
        f"{name} digests: 1 of 1 finished ranges hold the logs of their count and digest",
        f"{name} replay: every log up to block 3,131 is replayed",
        f"{name} events: 2,344 rows in 8 tables, one of each decoded log",
        f"{name} books: 24 of 24 totals of the contracts are what the positions add up to",
        f"{name} hashes: 1,465 blocks known by hash, 69 parent links, 0 contradictions",
        f"{name} missing: nothing up to the chain's finalized block",
    ]
    assert all(len(line) <= 100 for line in found)


def test_the_check_writes_nothing(perpscope, db):
    before = db.read_bytes()
    assert perpscope("doctor", "--completeness", "--db", db).code == 0
    assert db.read_bytes() == before


def test_ranges_cut_by_several_runs_are_complete_and_agree(complaints, parting, db, in_steps):
    with duckdb.connect(str(in_steps), read_only=True) as connection:
        ((ranges,),) = connection.execute(
            "select count(*) from checkpoints where deployment = 'local-c'"
        ).fetchall()
    assert ranges == 4
    assert complaints(in_steps) == []
    assert parting(in_steps, db) == parting(db, in_steps) == []


def test_a_node_with_small_windows_agrees_with_the_file(perpscope, tmp_path, parting, db):
    (tmp_path / "perpscope.toml").write_text(
        DEPLOYMENT.format(name="mine", start=63, vault=LOCAL_C)
    )
    with RecordingServer(GMX_V1_RECORDING, Manners(max_range=100)) as server:
        ran = perpscope(
            "index", "--rpc-url", server.url, "--deployment", "mine", "--db", "n.duckdb"
        )
    assert ran.code == 0, ran.err
    assert parting("n.duckdb", db) == []
    ran = perpscope("doctor", "--db", "n.duckdb", "--against", db)
    assert "ok    gmx_v1 mine agreement: the same 2,344 logs in blocks 63 to 3,131" in ran.out
    assert "ok    gmx_v1 mine agreement: the same 810 rows made of them" in ran.out
    assert "ok    gmx_v1 local-a agreement: is only in t.duckdb, so not compared" in ran.out


DAMAGES = {
    "a payload": ("update raw_logs set data = data || unhex('00')", "another length of data"),
    "a value": (
        "update raw_logs set data = unhex('FF' || substr(hex(data), 3))", "another payload",
    ),
    "an address": ("update raw_logs set address = unhex(repeat('ab', 20))", "another address"),
    "a topic": ("update raw_logs set topic0 = unhex(repeat('ab', 32))", "another topic"),
    "no topic": ("update raw_logs set topic0 = null", "another number of topics"),
    "a transaction": ("update raw_logs set tx_hash = block_hash", "another transaction hash"),
    "its place": ("update raw_logs set tx_index = tx_index + 1", "another transaction index"),
    "a row less": ("delete from raw_logs", "2 logs here, 3 there, log 0 is missing here"),
    "a row twice": (
        "insert into raw_logs select * from raw_logs", "log 0 is stored twice here",
    ),
    "a row more": (
        "insert into raw_logs select * replace (9 as log_index) from raw_logs",
        "4 logs here, 3 there, log 9 is missing there",
    ),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_changed_log_is_noticed_and_its_block_is_named(
    complaints, parting, damaged, db, in_steps, damage
):
    change, words = DAMAGES[damage]
    damaged(in_steps, f"{change} where {ONE_LOG}")
    assert complaints(db) == []
    found = complaints(in_steps)
    assert [line for line in found if "local-a" in line] == []
    assert "FAIL  gmx_v1 local-c digest: blocks 1,501 to 3,000: " in found[0]
    assert found[1].startswith("FAIL  gmx_v1 local-c digests: 3 of 4 finished ranges")
    (said,) = parting(in_steps, db)
    assert said.startswith("FAIL  gmx_v1 local-c agreement: block 1,757 is the first to differ: ")
    assert words in said


def test_a_changed_block_hash_is_another_fork(complaints, parting, damaged, db, recorded_db):
    damaged(db, f"update raw_logs set block_hash = tx_hash where {C} and block_number = 2905")
    assert any("two hashes of block 2,905 are stored" in line for line in complaints(db))
    (said,) = parting(db, recorded_db)
    assert "block 2,905 is the first to differ" in said
    assert "another block hash, so one follows another fork" in said


def test_a_changed_block_time_is_noticed(complaints, parting, damaged, db, recorded_db):
    damaged(db, f"update raw_logs set block_time = block_time + 1 where {ONE_LOG}")
    found = complaints(db)
    assert found[0].startswith("FAIL  gmx_v1 local-c time: two times of block 1,757 are stored")
    assert len(found) == 2
    (said,) = parting(db, recorded_db)
    assert "block 1,757 is the first to differ" in said
    assert "another block time" in said


def test_a_broken_parent_link_is_noticed(complaints, damaged, db):
    damaged(
        db,
        "update raw_blocks set parent_hash = '0x' || repeat('ab', 32)"
        " where deployment = 'local-c' and number = 2611",
    )
    found = complaints(db)
    assert found[0].startswith("FAIL  gmx_v1 local-c hash: two hashes of block 2,610 are stored")
    assert len(found) == 2


def test_the_first_of_several_differing_blocks_is_named(parting, damaged, db, recorded_db):
    for block in (2905, 1759, 1757, 2611):
        damaged(db, f"delete from raw_logs where {C} and block_number = {block}")
    (said,) = parting(db, recorded_db)
    assert "block 1,757 is the first to differ: 0 logs here, 3 there" in said


def test_the_very_last_log_is_compared(parting, damaged, db, recorded_db):
    last = f"(select max((block_number, log_index)) from raw_logs where {C})"
    damaged(db, f"delete from raw_logs where {C} and (block_number, log_index) = {last}")
    (said,) = parting(db, recorded_db)
    (back,) = parting(recorded_db, db)
    assert "block 2,905 is the first to differ" in said
    assert "is missing here" in said
    assert "is missing there" in back


def test_a_row_that_is_no_log_is_refused(complaints, parting, damaged, db, recorded_db):
    damaged(db, f"update raw_logs set address = unhex('00') where {ONE_LOG}")
    found = complaints(db)
    assert any("1 rows are no logs, the first of block 1,757" in line for line in found), found
    (said,) = parting(recorded_db, db)
    assert "1 rows there are no logs" in said


def test_a_missing_checkpoint_is_a_gap(complaints, parting, damaged, db, in_steps):
    damaged(in_steps, "delete from checkpoints where deployment = 'local-c' and from_block = 501")
    found = complaints(in_steps)
    assert found[0] == (
        "FAIL  gmx_v1 local-c gap: blocks 501 to 1,500 are in no finished range: "
        "run `perpscope index --db NEW`"
    )
    assert "logs of blocks 5" in found[1]
    assert "are of no finished range" in found[1]
    assert "finished ranges 3, gaps 1, overlaps 0" in found[2]
    assert len(found) == 3
    assert parting(in_steps, db) == []


def test_a_range_stored_twice_is_an_overlap(complaints, damaged, in_steps):
    damaged(
        in_steps,
        "update checkpoints set from_block = 400 where deployment = 'local-c' and from_block = 501",
    )
    found = complaints(in_steps)
    assert "overlap: blocks 400 to 500 are in more than one finished range" in found[0]
    assert any("digest: blocks 400 to 1,500: " in line for line in found)


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ("delete from checkpoints where {}", "ends at block 500, the next begins at block 1501"),
        (
            "update checkpoints set from_block = 400 where {}",
            "ends at block 500, the next begins at block 400",
        ),
    ],
)
def test_ranges_that_do_not_meet_are_not_gone_on_from(perpscope, damaged, in_steps, change, place):
    damaged(in_steps, change.format("deployment = 'local-c' and from_block = 501"))
    before = contents(in_steps)
    ran = perpscope(*INDEX, *PART, "--to-block", "3131", "--db", in_steps)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.splitlines()[-1] == (
        f"error: gmx_v1 local-c: the finished ranges of local-c do not follow each other (one "
        f"{place}), so logs are missing or stored twice: run `perpscope index --db NEW`"
    )
    assert contents(in_steps) == before


@pytest.mark.parametrize(
    "change", ["digest = upper(digest)", "digest = ''", "logs = logs + 1", "logs = 0"]
)
def test_a_changed_checkpoint_is_noticed(complaints, damaged, in_steps, change):
    damaged(in_steps, f"update checkpoints set {change} where from_block = 501")
    found = complaints(in_steps)
    assert found[0].startswith("FAIL  gmx_v1 local-c digest: blocks 501 to 1,500: ")
    assert len(found) == 2


def test_logs_without_any_checkpoint_are_noticed(complaints, damaged, db):
    damaged(db, "delete from checkpoints")
    found = complaints(db)
    assert sum("are of no finished range" in line for line in found) == 2
    assert sum("the logs that its snapshot at block 3,131 rests on" in line for line in found) == 2


def test_missing_event_rows_are_noticed_and_rebuilt(perpscope, complaints, damaged, db):
    damaged(db, "delete from event_gmx_v1_increase_position where block_number = 1757")
    found = complaints(db)
    assert all("run `perpscope index --rebuild`" in line for line in found)
    assert "event_gmx_v1_increase_position has" in found[0]
    assert perpscope("index", "--rebuild", "--db", db).code == 0
    assert complaints(db) == []


def test_an_unfinished_replay_is_noticed_and_continued(perpscope, complaints, damaged, db):
    before = contents(db)
    damaged(db, "delete from replays", "delete from replay_state")
    found = complaints(db)
    assert "replay: logs of blocks 63 to 3,131 are not replayed: run `perpscope index`" in found[1]
    assert len(found) == 2
    assert perpscope("index", "--rpc-url", RECORDED, "--db", db).code == 0
    assert complaints(db) == []
    assert contents(db) == before


def test_rows_made_of_the_same_logs_are_compared(parting, damaged, db, recorded_db):
    damaged(
        db,
        "delete from position_events where deployment = 'local-c' and block_number = "
        "(select max(block_number) from position_events where deployment = 'local-c')",
    )
    (said,) = parting(db, recorded_db)
    assert "is the first whose position_events differ (0 rows here, " in said


def test_what_is_not_read_is_said(perpscope, db, damaged, gmx_v1_recording, write_recording):
    longer = copy.copy(gmx_v1_recording)
    newest = max(longer["blocks"], key=lambda block: int(block["number"], 16))
    head = {**newest, "number": hex(4000), "hash": "0x" + "cd" * 32}
    longer["blocks"] = [*longer["blocks"], head]
    chain = f"recording:{write_recording(longer)}"
    ran = perpscope("doctor", "--completeness", "--db", db, "--rpc-url", chain)
    said = "missing: not read: blocks 3,132 to 4,000 up to the chain's finalized one"
    assert f"ok    gmx_v1 local-c {said}" in ran.out


def test_coverage_that_does_not_meet_is_not_called_agreement(perpscope, tmp_path):
    for name, start, end in (("low", 63, 1000), ("high", 1001, 3131)):
        perpscope(*INDEX, *PART, "--from-block", start, "--to-block", end, "--db", f"{name}.duckdb")
        with duckdb.connect(str(tmp_path / f"{name}.duckdb"), read_only=True) as connection:
            found = connection.execute("select from_block, to_block from checkpoints").fetchall()
        assert found == [(start, end)]
    ran = perpscope("doctor", "--db", "low.duckdb", "--against", "high.duckdb")
    assert ran.code == 2
    assert "only covered here, so not compared: blocks 63 to 1,000" in ran.out
    assert "only covered there, so not compared: blocks 1,001 to 3,131" in ran.out
    assert failures(ran) == [
        (
            "FAIL  agreement: nothing in high.duckdb could be compared: "
            "index the same deployments and blocks"
        )
    ]


def test_a_part_in_common_is_compared_and_the_rest_is_said(perpscope, damaged, db):
    perpscope(*INDEX, *UP_TO, 1758, "--db", "part.duckdb")
    ran = perpscope("doctor", "--db", "part.duckdb", "--against", db)
    assert ran.code == 0
    assert "logs in blocks 63 to 1,758" in ran.out
    assert "local-c agreement: only covered there, so not compared: blocks 1,759 to" in ran.out
    damaged(db, f"delete from raw_logs where {C} and block_number = 1759")
    assert perpscope("doctor", "--db", "part.duckdb", "--against", db).code == 0
    damaged(db, f"delete from raw_logs where {C} and block_number = 1757")
    ran = perpscope("doctor", "--db", "part.duckdb", "--against", db)
    assert "local-c agreement: block 1,757 is the first to differ: 3 logs here, 0" in ran.out


def test_logs_of_older_filters_are_neither_complete_nor_compared(
    perpscope, complaints, damaged, db, recorded_db
):
    older = "set filter = 'older' where filter = (select filter from checkpoints"
    of_c = "where deployment = 'local-c')"
    for table in ("raw_logs", "raw_blocks", "replays", "checkpoints"):
        damaged(db, f"update {table} {older} {of_c}")
    found = complaints(db)
    assert found[0] == (
        "FAIL  gmx_v1 local-c filters: blocks 63 to 3,131 were read under other filters than "
        "today's: run `perpscope index`, which reads them again"
    )
    ran = perpscope("doctor", "--db", db, "--against", recorded_db)
    assert "local-c agreement: only covered there, so not compared: blocks 63 to 3,131" in ran.out
    assert perpscope(*INDEX, "--db", db).code == 0
    assert complaints(db) == []


def test_databases_of_different_deployments_do_not_agree(perpscope, tmp_path):
    for name in ("local-a", "local-c"):
        ran = perpscope(
            "index", "--rpc-url", RECORDED, "--deployment", name, "--db", f"{name}.duckdb"
        )
        assert ran.code == 0, ran.err
    ran = perpscope("doctor", "--db", "local-a.duckdb", "--against", "local-c.duckdb")
    assert ran.code == 2
    assert "gmx_v1 local-a agreement: is not in local-c.duckdb, so not compared" in ran.out
    assert "gmx_v1 local-c agreement: is only in local-c.duckdb, so not compared" in ran.out
    assert len(failures(ran)) == 1


@pytest.mark.parametrize("content", [None, b"", b"no database", b"\0" * 20_000])
def test_a_file_that_is_no_database_is_refused(perpscope, db, tmp_path, content):
    other = tmp_path / "other.duckdb"
    if content is not None:
        other.write_bytes(content)
    ran = perpscope("doctor", "--db", db, "--against", other)
    assert ran.code == 2
    assert ran.err.startswith("error: ")
    assert len(ran.err.splitlines()) == 1
    assert other.exists() is (content is not None)


def test_a_file_whose_bytes_have_changed_is_said_to_be_damaged(perpscope, db, recorded_db):
    sound = recorded_db.read_bytes()
    noticed = 0
    for at in range(len(sound) // 20, len(sound), len(sound) // 20):
        db.write_bytes(sound[:at] + bytes([sound[at] ^ 0xFF]) + sound[at + 1 :])
        ran = perpscope("doctor", "--completeness", "--db", db)
        assert "Traceback" not in ran.err
        if ran.code != 0:
            noticed += 1
            assert ran.code == 2
            assert ran.err.startswith("error: t.duckdb is damaged, its bytes are not those that ")
            both = perpscope("doctor", "--db", recorded_db, "--against", db)
            assert both.code in (0, 2)
            assert "Traceback" not in both.err
    assert noticed > 0


def test_a_database_is_not_compared_with_itself(perpscope, db):
    ran = perpscope("doctor", "--db", db, "--against", db)
    assert ran.code == 2
    assert "--against names the database itself" in ran.err


def test_no_database_is_not_called_complete(perpscope, tmp_path):
    ran = perpscope("doctor", "--completeness", "--db", "nowhere.duckdb")
    assert ran.code == 2
    assert "run `perpscope index` first" in ran.err
