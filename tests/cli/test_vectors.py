"""Files of recorded contract answers: each is judged by itself, and a bad one says why."""

import gzip
import json

import pytest

from tests.conftest import FIXTURES

GOOD = FIXTURES / "perp_v1" / "vectors.json.gz"


@pytest.fixture
def written(tmp_path):
    def write(content, name="odd.json"):
        text = content if isinstance(content, str) else json.dumps(content)
        (tmp_path / name).write_text(text)
        return tmp_path / name

    return write


def test_an_unreadable_file_does_not_discard_the_others(perpscope, written):
    bad = written("{")
    ran = perpscope("verify", "--vectors", bad, GOOD, "nowhere.json", "-f", "json")
    assert ran.code == 2
    (report,) = json.loads(ran.out)
    assert (report["file"], report["verdict_mismatches"]) == ("vectors.json.gz", 0)
    first, second = ran.err.splitlines()
    assert first.startswith("error: odd.json cannot be read as vectors")
    assert second.startswith("error: there is no vectors file at nowhere.json")


def test_a_difference_wins_over_a_file_that_cannot_be_read(perpscope, written, tmp_path):
    with gzip.open(GOOD, "rt") as file:
        document = json.load(file)
    document["snapshots"][0]["positions"][0]["marginRatio"] = ["1"]
    assert perpscope("verify", "--vectors", written(document), "nowhere.json").code == 1


ODD = [
    "", "[]", "null", "5", "[" * 3_000, '{"protocol": ["gmx_v1"]}', '{"protocol": "gmx_v9"}',
    '{"protocol": "gmx_v1", "vectors": 5}',
    '{"protocol": "gmx_v1", "vectors": [5]}',
    '{"protocol": "gmx_v1", "vectors": [{"id": 1, "expect": []}]}',
    '{"protocol": "gmx_v1", "price_vectors": {"a": 1}}',
    '{"protocol": "gmx_v2", "release": {}, "vectors": []}',
    '{"protocol": "gmx_v2", "release": "2b", "vectors": [[]]}',
    '{"protocol": "perp_v1", "snapshots": [{"block": 1e999}]}',
    '{"protocol": "perp_v1", "snapshots": "none"}',
    '{"protocol": "perp_v2", "meta": [], "snapshots": []}',
    '{"protocol": "perp_v2", "snapshots": {"0": 1}}',
    '{"protocol": "perp_v2", "snapshots": [{"block": null}]}',
]  # fmt: skip


@pytest.mark.parametrize("text", ODD)
def test_odd_json_is_refused_in_one_sentence(perpscope, written, text):
    ran = perpscope("verify", "--vectors", written(text))
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("error: odd.json")
    assert ran.err.count("\n") == 1
    assert "a case it does not know" not in ran.err


def test_a_file_without_answers_is_not_called_compared(perpscope, written):
    ran = perpscope("verify", "--vectors", written({"protocol": "gmx_v1"}))
    assert ran.code == 2
    assert "nothing was compared: check the files" in ran.err


def test_a_damaged_archive_is_refused(perpscope, tmp_path):
    damaged = bytearray(GOOD.read_bytes())
    damaged[5000] ^= 0xFF
    (tmp_path / "damaged.json.gz").write_bytes(damaged)
    ran = perpscope("verify", "--vectors", "damaged.json.gz")
    assert ran.code == 2
    assert ran.err.startswith("error: damaged.json.gz cannot be read as vectors")
