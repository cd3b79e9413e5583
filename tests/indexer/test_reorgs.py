"""Whatever way the chain takes, the database is one that was indexed cleanly from it."""

import duckdb
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from analyzer.errors import ReorganisedError
from analyzer.evm import Block, LogBatch
from analyzer.indexer.history import follow_logs
from analyzer.indexer.plan import Plan, Silent
from analyzer.indexer.reorgs import check_link, last_shared, roll_back
from analyzer.store.database import open_for_writing
from tests.databases import contents
from tests.indexer.chains import DEPLOYMENT, VAULT, Chain

WORKING = "select state_key, after from replay_state order by all"
COUNTED = "select sum(logs), max(to_block) from checkpoints"


def follow(chain, db, **plan):
    """Bring a database up to the chain's head; what ``index`` does before it reads state."""
    for _ in range(5):
        head = chain.block("latest")
        accounts = (VAULT,) if plan else ()
        wanted = Plan(deployments=[DEPLOYMENT], accounts=accounts, **plan)
        with open_for_writing(db) as connection:
            try:
                roll_back(chain, connection, DEPLOYMENT, head)
                source = "logs" if not plan else "state"
                return follow_logs(chain, connection, DEPLOYMENT, wanted, source, head, Silent())
            except ReorganisedError:
                continue
    raise AssertionError("the chain never rested")


def everything(db):
    with duckdb.connect(str(db), read_only=True) as connection:
        work = [connection.execute(sql).fetchall() for sql in (WORKING, COUNTED)]
    return contents(db) | {"work": work}


def clean(chain, folder):
    folder.mkdir()
    fresh = Chain(chain.height, dict(chain.forks), step=11)
    follow(fresh, folder / "clean.duckdb")
    return everything(folder / "clean.duckdb")


@pytest.mark.parametrize("depth", [1, 2, 7, 20, 49])
def test_a_reorg_of_any_depth_is_rolled_back_to_the_fork(tmp_path, depth):
    chain, db = Chain(), tmp_path / "t.duckdb"
    follow(chain, db)
    before = everything(db)
    chain.fork(chain.height - depth + 1, "b")
    chain.height += 5
    follow(chain, db)
    assert everything(db) == clean(chain, tmp_path / "clean") != before


def test_rows_before_the_fork_are_not_read_again(tmp_path):
    chain, db = Chain(height=1_000), tmp_path / "t.duckdb"
    chain.step = 100
    follow(chain, db)
    chain.fork(991, "b")
    chain.asked.clear()
    follow(chain, db)
    assert min(chain.asked) >= 900, "the last stored header before the fork is block 901's"
    assert len(chain.asked) < 10


def test_a_fork_of_the_same_height_is_noticed(tmp_path):
    chain, db = Chain(), tmp_path / "t.duckdb"
    follow(chain, db)
    chain.fork(chain.height, "b")
    follow(chain, db)
    assert everything(db) == clean(chain, tmp_path / "clean")


def test_a_head_that_went_back_on_the_same_chain_drops_nothing(tmp_path):
    chain, db = Chain(), tmp_path / "t.duckdb"
    follow(chain, db)
    before = everything(db)
    chain.height -= 10
    history = follow(chain, db)
    assert everything(db) == before
    chain.height += 10
    assert follow(chain, db).state != history.state


def test_a_shorter_fork_is_rolled_back_too(tmp_path):
    chain, db = Chain(), tmp_path / "t.duckdb"
    follow(chain, db)
    chain.fork(30, "b")
    chain.height = 40
    follow(chain, db)
    assert everything(db) == clean(chain, tmp_path / "clean")


@pytest.mark.parametrize(("first", "noticed"), [(20, 21), (22, 50)])
def test_a_reorg_while_logs_are_read_is_noticed_by_the_parent_hash(tmp_path, first, noticed):
    chain, db = Chain(), tmp_path / "t.duckdb"
    chain.torn = {22: (first, "b")}
    head, plan = chain.block("latest"), Plan(deployments=[DEPLOYMENT])
    stopped = pytest.raises(ReorganisedError, match=f"block {noticed} was reorganised")
    with open_for_writing(db) as connection, stopped:
        follow_logs(chain, connection, DEPLOYMENT, plan, "logs", head, Silent())
    follow(chain, db)
    assert everything(db) == clean(chain, tmp_path / "clean")


def test_a_batch_must_follow_the_block_before_it():
    chain = Chain()
    batch = LogBatch(8, 14, [], [chain.block(8), chain.block(14)])
    head = chain.block(50)
    check_link(batch, chain.hash(7), head)
    check_link(batch, None, head)
    with pytest.raises(ReorganisedError, match="block 7 was reorganised"):
        check_link(batch, chain.hash(6), head)
    with pytest.raises(ReorganisedError, match="block 14 was reorganised"):
        check_link(batch, chain.hash(7), Block(14, chain.hash(13), "", 0))


@settings(
    max_examples=8,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.data())
def test_any_sequence_of_runs_growth_and_reorgs_equals_one_clean_run(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("fuzz")
    chain, db, highest = Chain(height=20), folder / "t.duckdb", 20
    for turn in range(data.draw(st.integers(1, 5), "turns")):
        chain.step = data.draw(st.integers(1, 20), "step")
        if data.draw(st.booleans(), "reorg"):
            chain.fork(data.draw(st.integers(1, chain.height), "fork"), f"fork {turn}")
        chain.height += data.draw(st.integers(-5, 9), "growth")
        highest = max(highest, chain.height)
        numbers = st.integers(1, chain.height)
        chain.torn = data.draw(
            st.dictionaries(numbers, st.tuples(numbers, st.just(f"torn {turn}")), max_size=1),
            "torn",
        )
        follow(chain, db)
        chain.torn = {}
    chain.height = highest + 1
    follow(chain, db)
    assert everything(db) == clean(chain, folder / "clean")


@given(st.integers(0, 300), st.integers(-1, 300))
def test_the_fork_is_found_with_few_questions(count, fork):
    """``count`` known blocks, of which those above ``fork`` are no longer the chain's."""
    asked = []

    def hash_of(number):
        asked.append(number)
        return "same" if number <= fork else "other"

    def known(skipped):
        return (count - 1 - skipped, "same") if skipped < count else None

    expected = min(fork, count - 1)
    assert last_shared(known, hash_of) == ((expected, "same") if expected >= 0 else (-1, ""))
    assert len(asked) <= 2 * (count + 1).bit_length() + 2


def test_logs_are_stored_once_whatever_ranges_are_asked_for(tmp_path):
    chain, db = Chain(), tmp_path / "t.duckdb"
    follow(chain, db, from_block=20, to_block=30)
    follow(chain, db, from_block=40, to_block=45)
    follow(chain, db, from_block=25, to_block=35)
    follow(chain, db, from_block=10, to_block=42)
    with duckdb.connect(str(db), read_only=True) as connection:
        places = connection.execute("select block_number, log_index from raw_logs").fetchall()
        ranges = connection.execute(
            "select min(from_block), max(to_block) from checkpoints group by filter"
        ).fetchall()
    assert len(places) == len(set(places))
    assert ranges == [(10, 42)]
    follow(chain, db)
    found = everything(db)
    expected = clean(chain, tmp_path / "clean")
    assert found == expected
