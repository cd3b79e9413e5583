"""Reading an answer in bulk is reading it log by log: the same logs, or the same refusal."""

import gzip
import json
import random
from functools import partial

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.chain import wire
from analyzer.chain.bulk import MOST_NEW, log_columns, scan
from analyzer.chain.text_layout import MOST_BYTES, MOST_KEPT, TextLayouts
from analyzer.reads import MalformedError
from tests.conftest import FIXTURES

HEX = st.binary(max_size=40).map(lambda raw: "0x" + raw.hex())
WORD = st.binary(min_size=32, max_size=32).map(lambda raw: "0x" + raw.hex())
NUMBER = st.integers(0, 2**63 - 1).map(hex)
LOG = st.fixed_dictionaries(
    {
        "address": st.binary(min_size=20, max_size=20).map(lambda raw: "0x" + raw.hex().upper()),
        "topics": st.lists(WORD, max_size=4),
        "data": HEX,
        "blockNumber": NUMBER,
        "blockHash": WORD,
        "transactionHash": WORD,
        "transactionIndex": st.integers(0, 300).map(hex),
        "logIndex": st.integers(0, 300).map(hex),
    },
    optional={
        "blockTimestamp": st.none() | NUMBER | st.just("0x0"),
        "removed": st.just(False),
        "logType": st.sampled_from(["", 'a "quoted" {word}', "0x12", '"data":"0x"']),
    },
)
SEPARATORS = st.sampled_from([(",", ":"), (", ", ": "), (",\n ", " : ")])
DAMAGE = b'0fxX"{}[],:\\ g-\xff'


def outcome(read, raw):
    """The logs, or the words of the refusal."""
    try:
        return list(read(raw))
    except MalformedError as error:
        return str(error)


def one_by_one(raw):
    try:
        return wire.logs(msgspec.json.decode(raw))
    except (ValueError, RecursionError):
        raise MalformedError("JSON that is damaged") from None


@pytest.fixture(scope="module")
def recorded():
    with gzip.open(FIXTURES / "demo" / "gmx_v1.json.gz", "rt") as file:
        return json.load(file)["logs"][:200]


@given(st.lists(LOG, max_size=6), SEPARATORS, st.sampled_from(["", " ", "\n\t"]))
def test_logs_written_in_any_way_are_read_alike(logs, separators, space):
    raw = (space + json.dumps(logs, separators=separators) + space).encode()
    assert outcome(log_columns, raw) == outcome(one_by_one, raw)


def test_a_layout_is_learned_once_and_few_are_kept(recorded):
    known = TextLayouts()
    for _ in range(2):
        for log in recorded:
            log_columns(json.dumps([log]).encode(), known)
    shapes = {len(json.dumps(log)) for log in recorded}
    assert set(known.by_size) == {size + 1 for size in shapes}
    assert len(recorded) > sum(map(len, known.by_size.values()))
    for size in range(MOST_KEPT + 10):
        log_columns(json.dumps([recorded[0] | {"data": "0x" + "00" * size}]).encode(), known)
    assert sum(map(len, known.by_size.values())) <= MOST_KEPT


def test_an_answer_of_many_layouts_is_read_by_layout_once_they_are_met(recorded):
    logs = [recorded[0] | {"data": "0x" + "00" * size} for size in range(2 * MOST_NEW + 10)]
    raw = json.dumps(logs, separators=(",", ":")).encode()
    known = TextLayouts()
    with pytest.raises(ValueError, match="too many layouts"):
        scan(raw, known)
    assert list(log_columns(raw, known)) == wire.logs(logs)
    assert list(scan(raw, known)) == wire.logs(logs)


@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": ")])
def test_real_answers_need_no_reader_of_json(recorded, separators):
    raw = json.dumps(recorded, separators=separators).encode()
    assert list(scan(raw, TextLayouts())) == one_by_one(raw)
    alone = json.dumps(recorded[:1]).encode()
    assert list(scan(alone, TextLayouts())) == wire.logs(recorded[:1])
    assert outcome(log_columns, b" [ ] ") == []


def test_damaged_answers_are_refused_as_they_always_were(recorded):
    """Bytes of an answer are changed, taken away or repeated: 6,000 of them, the same each time."""
    chance = random.Random(20)
    refused, known = 0, TextLayouts()
    for _ in range(6_000):
        logs = chance.sample(recorded, chance.randint(1, 4))
        raw = bytearray(json.dumps(logs, separators=(",", ":")).encode())
        for _ in range(chance.randint(1, 3)):
            place = chance.randrange(len(raw))
            match chance.randrange(4):
                case 0:
                    raw[place] = chance.choice(DAMAGE)
                case 1:
                    del raw[place : place + chance.randint(1, 40)]
                case 2:
                    raw[place:place] = raw[place : place + chance.randint(1, 200)]
                case 3:
                    other = chance.randrange(len(raw))
                    raw[place : place + 66] = raw[other : other + 66]
            if not raw:
                break
        expected = outcome(one_by_one, bytes(raw))
        assert outcome(log_columns, bytes(raw)) == expected, bytes(raw)
        assert outcome(partial(log_columns, known=known), bytes(raw)) == expected, bytes(raw)
        refused += isinstance(expected, str)
    assert 1_000 < refused < 6_000


@pytest.mark.parametrize(
    "change",
    [
        {"removed": True},
        {"topics": ["0x" + "11" * 32] * 5},
        {"topics": "0x"},
        {"data": "0x1"},
        {"data": None},
        {"logIndex": "0x8000000000000000"},
        {"logIndex": 7},
        {"blockNumber": "0x"},
        {"blockHash": "0x" + "11" * 31},
        {"address": "0x" + "zz" * 20},
    ],
    ids=repr,
)
def test_one_bad_log_among_good_ones_is_refused_by_its_words(recorded, change):
    for place in (0, 1, 2):
        logs = [dict(log) for log in recorded[:3]]
        logs[place] |= change
        raw = json.dumps(logs).encode()
        assert isinstance(outcome(log_columns, raw), str)
        assert outcome(log_columns, raw) == outcome(one_by_one, raw)


def written(log):
    return json.dumps(log, separators=(",", ":")).encode()


@pytest.mark.parametrize("end", [b"{}", b"{", b"{ }", b"{1:2}"])
def test_what_is_too_short_for_a_log_is_refused_wherever_the_one_before_it_ends(recorded, end):
    for size in range(8):
        raw = b"[" + written(recorded[0] | {"note": "x" * size}) + b"," + end + b"]"
        assert outcome(log_columns, raw) == outcome(one_by_one, raw)


def test_a_key_that_is_written_in_two_ways_is_read_as_json_reads_it(recorded):
    """The last one counts, and it is the one that nobody finds by its letters."""
    known, last = TextLayouts(), recorded[0]["blockHash"]
    second = b',"block\\u0048ash":"' + last.encode() + b'"}'
    logs = [recorded[0], recorded[0] | {"blockHash": "0x" + "11" * 32}]
    raw = [written(log)[:-1] + second for log in logs]
    for answer in (b"[" + raw[0] + b"]", b"[" + raw[1] + b"]", b"[" + b",".join(raw) + b"]"):
        assert outcome(partial(log_columns, known=known), answer) == outcome(one_by_one, answer)


@pytest.mark.parametrize("space", [b"\x0b", b"\x0c", b"\x1c", b"\x85", b"\0"])
def test_white_space_that_json_does_not_know_is_damage(recorded, space):
    logs = [written(log) for log in recorded[:2]]
    parts = [b"", b"[", *logs[:1], b",", *logs[1:], b"]", b""]
    for place in range(1, len(parts)):
        raw = b"".join(parts[:place]) + space + b"".join(parts[place:])
        assert outcome(log_columns, raw) == outcome(one_by_one, raw) == "JSON that is damaged"


def test_lists_that_are_nested_without_end_are_damage(recorded):
    deep = "[" * 5_000 + "]" * 5_000
    good = written(recorded[0])
    bad = good[:-1] + f',"note":{deep}}}'.encode()
    for raw in (deep.encode(), b"[" + bad + b"]", b"[" + good + b"," + bad + b"]"):
        assert outcome(log_columns, raw) == outcome(one_by_one, raw) == "JSON that is damaged"


def test_layouts_of_long_logs_are_not_kept_beyond_their_bytes(recorded):
    known, size = TextLayouts(), MOST_BYTES // 6
    for number in range(10):
        long = recorded[0] | {"data": "0x" + "00" * (size // 2), "note": "x" * number}
        assert len(log_columns(b"[" + written(long) + b"]", known)) == 1
        kept = [layout for layouts in known.by_size.values() for layout in layouts]
        assert 0 < sum(layout.mask.nbytes for layout in kept) <= MOST_BYTES
