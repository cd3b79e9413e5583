"""A few seeds of the fault rig, and that it sees what it looks for; ``make soak`` runs many."""

import shutil
from collections import Counter

import duckdb
import pytest

from analyzer.chain.classify import classify
from analyzer.chain.failure import Kind
from tests.conftest import GMX_V1_RECORDING
from tests.databases import contents
from tests.faults.plan import CLASSES, draw
from tests.faults.rig import Result, differences, run
from tests.faults.tally import report
from tests.faults.wordings import (
    ADDRESSES,
    LAG,
    RANGE,
    RATE,
    RESULTS,
    TRANSIENT,
    WORDINGS,
    Asked,
)

SEEDS = (2, 3, 4, 6)
"""Half of them read with a process of its own, and all meet many faults."""
ASKED = Asked(first=100, last=199, limit=50, fits=149, addresses=3)
MEANINGS = {
    RANGE: {Kind.RANGE_TOO_LARGE},
    RESULTS: {Kind.TOO_MANY_RESULTS, Kind.TIMEOUT},
    ADDRESSES: {Kind.TOO_MANY_ADDRESSES},
    RATE: {Kind.RATE_LIMIT},
    LAG: {Kind.HEADER_LAG, Kind.STATE_MISSING},
    TRANSIENT: {Kind.TRANSIENT, Kind.TIMEOUT, Kind.AUTH, Kind.UNKNOWN},
}


@pytest.mark.parametrize("seed", SEEDS)
def test_faults_reorgs_and_kills_leave_the_database_of_a_clean_run(seed):
    result = run(seed)
    assert result.is_good, "\n".join(result.problems)
    assert result.rows > 500
    assert len(result.faults) > 3


@pytest.mark.parametrize("wording", WORDINGS, ids=lambda w: f"{w.kind}: {w.provider}")
def test_every_wording_means_to_us_what_the_provider_meant(wording):
    error = wording.error(ASKED)
    found = classify("eth_getLogs", error["message"], error["code"], wording.status)
    assert found in MEANINGS[wording.kind]


def test_a_seed_draws_the_same_plan_again_and_two_seeds_do_not():
    assert draw(7) == draw(7) != draw(8)


def test_what_is_left_out_is_not_drawn_and_changes_nothing_else():
    left_out = set(CLASSES) - {"hang"}
    assert set(draw(0, left_out).faults) <= {"hang"}
    assert draw(0, left_out).provider == draw(0).provider
    assert draw(0, left_out).blocks == draw(0).blocks


def test_a_row_that_is_missing_added_or_changed_is_counted(
    tmp_path,
    perpscope,
):
    perpscope("index", "--rpc-url", f"recording:{GMX_V1_RECORDING}", "--db", "clean.duckdb")
    expected = contents(tmp_path / "clean.duckdb")
    for change, count in (
        ("delete from raw_logs where rowid = 0", 1),
        ("insert into raw_logs select * from raw_logs limit 2", 2),
        ("update raw_logs set block_hash = ''::blob where rowid = 0", 2),
        ("update raw_results set data = '\\x00'::blob where result_id = 1", 2),
    ):
        spoilt = tmp_path / "spoilt.duckdb"
        shutil.copy(tmp_path / "clean.duckdb", spoilt)
        with duckdb.connect(str(spoilt)) as connection:
            connection.execute(change)
        assert len(list(differences(expected, contents(spoilt)))) >= count
        spoilt.unlink()
    assert list(differences(expected, contents(tmp_path / "clean.duckdb"))) == []


def test_the_report_counts_what_was_met_and_names_the_seeds_that_failed():
    good = Result(3, faults=Counter(hang=2), depths=Counter({64: 1}), rows=10)
    bad = Result(4, faults=Counter(hang=1), counts=Counter(kills=2), rows=5, differing=1)
    said = "\n".join(report([good, bad], ["413"]))
    assert "3 faults and refusals" in said
    assert "413                        left out" in said
    assert "33 to 64: 1" in said
    assert "2 kills" in said
    assert "15 rows compared, 1 differing rows" in said
    assert "failed: 4" in said


def test_in_the_end_a_block_comes():
    for seed in range(200):
        last = draw(seed).stages[-1]
        *_, move = [last.before, *(move for _, move in last.moves)]
        assert move.grows > 0
