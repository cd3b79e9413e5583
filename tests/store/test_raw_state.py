"""State reads are stored once, when they change, and answer a rebuild exactly."""

import pytest

from analyzer.evm import NOT_READ, Answer, Block, Call, Slot
from analyzer.protocol import Deployment
from analyzer.store import raw_state
from analyzer.store.database import open_for_writing
from tests.databases import contents

DEPLOYMENT = Deployment("toy", "one", 1, 0, {})
PRICE = Call("0x" + "11" * 20, b"\x01")
SUPPLY = Call("0x" + "11" * 20, b"\x02", "0x" + "22" * 20)
WORD = Slot("0x" + "11" * 20, 2**255)


@pytest.fixture
def database(tmp_path):
    with open_for_writing(tmp_path / "t.duckdb") as connection:
        yield connection


def take(connection, number, answers):
    raw = raw_state.RawSnapshot(
        sequence=raw_state.next_sequence(connection),
        chain_id=1,
        protocol="toy",
        deployment="one",
        block=Block(number, f"0x{number:064x}", f"0x{number - 1:064x}", 1_000 + number),
        accounts=(),
        source="state",
        with_logs=False,
        prices={"ETH": 10**40},
    )
    raw_state.store_snapshot(connection, DEPLOYMENT, raw, answers)
    return raw


def count(connection, table):
    return connection.execute(f"select count(*) from {table}").fetchall()[0][0]


def test_what_was_read_is_answered_again(database):
    answers = {PRICE: Answer(b"\xff" * 32), SUPPLY: Answer(b"", "no"), WORD: Answer(b"\x00" * 32)}
    raw = take(database, 7, answers)
    answer = raw_state.stored_answers(database, raw)
    assert dict(zip(answers, answer(list(answers)), strict=True)) == answers


def test_what_was_not_read_is_unknown_and_not_an_older_value(database):
    take(database, 7, {PRICE: Answer(b"a"), SUPPLY: Answer(b"b")})
    later = take(database, 8, {PRICE: Answer(b"a")})
    assert raw_state.stored_answers(database, later)([PRICE, SUPPLY]) == [Answer(b"a"), NOT_READ]


def test_a_read_that_did_not_change_is_not_stored_again(database):
    for number in range(5):
        take(database, number, {PRICE: Answer(b"a"), SUPPLY: Answer(b"b")})
    assert (count(database, "raw_reads"), count(database, "raw_calls")) == (2, 2)
    take(database, 9, {PRICE: Answer(b"c"), SUPPLY: Answer(b"b")})
    assert (count(database, "raw_reads"), count(database, "raw_results")) == (3, 3)


def test_each_snapshot_keeps_its_own_values_whatever_the_order_of_blocks(database):
    taken = {
        number: take(database, number, {PRICE: Answer(value)})
        for number, value in ((5, b"five"), (9, b"nine"), (7, b"five"), (8, b"nine"))
    }
    values = {
        number: raw_state.stored_answers(database, raw)([PRICE])[0].data
        for number, raw in taken.items()
    }
    assert values == {5: b"five", 9: b"nine", 7: b"five", 8: b"nine"}


def test_dropping_a_snapshot_leaves_the_others_as_they_were(database):
    take(database, 5, {PRICE: Answer(b"a")})
    take(database, 9, {PRICE: Answer(b"b")})
    last = take(database, 7, {PRICE: Answer(b"b")})
    raw_state.forget_after(database, DEPLOYMENT, 8)
    assert [raw.block.number for raw in raw_state.raw_snapshots(database, DEPLOYMENT)] == [5, 7]
    assert raw_state.stored_answers(database, last)([PRICE]) == [Answer(b"b")]


def test_a_stored_snapshot_comes_back_whole(database):
    raw = take(database, 7, {PRICE: Answer(b"a")})
    assert raw_state.raw_snapshots(database, DEPLOYMENT) == [raw]


def test_a_transcript_asks_each_request_once():
    asked = []

    def answer(requests):
        asked.extend(requests)
        return [Answer(b"x") for _ in requests]

    transcript = raw_state.Transcript(answer)
    assert transcript([PRICE, PRICE, SUPPLY]) == [Answer(b"x")] * 3
    assert transcript([SUPPLY, WORD]) == [Answer(b"x")] * 2
    assert asked == [PRICE, SUPPLY, WORD]


def test_what_a_database_is_compared_by_holds_no_read_of_a_forgotten_snapshot(tmp_path):
    listed = {}
    for name, values in (("turned", (b"a", b"lost", b"b")), ("straight", (b"a", b"b"))):
        with open_for_writing(tmp_path / name) as connection:
            for number, value in enumerate(values):
                take(connection, number, {PRICE: Answer(value), SUPPLY: Answer(b"s")})
                if value == b"lost":
                    raw_state.forget_after(connection, DEPLOYMENT, number - 1)
        listed[name] = [(row[4], row[7]) for row in contents(tmp_path / name)["state"]]
    assert listed["straight"] == [(b"a", 0), (b"b", 1), (b"s", 0), (b"s", 1)]
    assert listed["turned"] == [(b"a", 0), (b"b", 2), (b"s", 0), (b"s", 2)]
