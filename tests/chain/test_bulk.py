"""Reading an answer in bulk is reading it log by log: the same logs, or the same refusal."""

import gzip
import json
import random
import re
from collections import Counter
from functools import partial

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.chain import bulk, wire
from analyzer.chain.bulk import MOST_NEW, log_columns, scan
from analyzer.chain.text_layout import MOST_BYTES, MOST_KEPT, MOST_SIZES, TextLayouts
from analyzer.event_columns import decode, shortened
from analyzer.payloads import NO_KEY, WHOLE, Template, Templates
from analyzer.protocols.gmx_v2.event_data import known_events
from analyzer.protocols.gmx_v2.replay import HANDLERS
from analyzer.reads import MalformedError
from tests.chain.conftest import learned_of
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
ONE = {
    "address": "0x" + "aa" * 20, "topics": ["0x" + "11" * 32], "blockNumber": "0x7",
    "blockHash": "0x" + "22" * 32, "transactionHash": "0x" + "33" * 32, "transactionIndex": "0x0",
    "logIndex": "0x1",
}  # fmt: skip
SEPARATORS = st.sampled_from([(",", ":"), (", ", ": "), (",\n ", " : ")])
DAMAGE = b'0fxX"{}[],:\\ g-\xff'


def outcome(read, raw):
    """The logs, or the words of the refusal."""
    try:
        return list(read(raw))
    except MalformedError as error:
        return str(error)


def written(log):
    return json.dumps(log, separators=(",", ":")).encode()


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


@st.composite
def answers_of_one_node(draw):
    """Answers with the same few logs, some of one size that have more data and less of a note."""
    pool = draw(st.lists(LOG, min_size=1, max_size=3))
    for size in draw(st.lists(st.integers(0, 4), max_size=4)):
        note, data = {"note": "x" * (8 - 2 * size)}, {"data": "0x" + "ab" * size}
        behind = {name: value for name, value in pool[0].items() if name != "data"}
        pool.append(draw(st.sampled_from([pool[0] | data | note, note | behind | data])))
    logs = st.lists(st.sampled_from(pool), max_size=5)
    return draw(st.lists(st.tuples(logs, SEPARATORS), min_size=1, max_size=4))


@given(answers_of_one_node())
def test_an_answer_is_read_alike_whatever_was_read_before_it(answers):
    known = TextLayouts()
    for logs, separators in answers:
        raw = json.dumps(logs, separators=separators).encode()
        assert outcome(partial(log_columns, known=known), raw) == outcome(one_by_one, raw)


def without_digits(log):
    """A log's text without its data, all digits zero: the same for those that are written alike."""
    text = json.dumps(log | {"data": "0x"})
    return re.sub("(?<=0x)[0-9a-f]+", lambda digits: "0" * len(digits[0]), text)


def test_a_layout_is_learned_once_whatever_the_size_of_the_data(recorded):
    known = TextLayouts()
    for _ in range(2):
        for log in recorded:
            scan(b"[" + written(log) + b"]", known, Templates())
        assert len(known.every) == len({without_digits(log) for log in recorded})
    assert set(known.by_size) == {len(written(log)) + 1 for log in recorded}
    assert len(known.every) < len(known.by_size)
    assert not any(has_twice(layouts) for layouts in known.by_size.values())


def has_twice(layouts):
    return len({id(layout) for layout in layouts}) < len(layouts)


def test_few_layouts_are_kept_and_the_newest_of_them(recorded):
    known = TextLayouts()
    for size in range(2 * MOST_KEPT + 10):
        scan(b"[" + written(recorded[0] | {"note": "x" * size}) + b"]", known, Templates())
        assert 0 < len(known.every) <= MOST_KEPT
        assert not has_twice(known.every)
        kept = {id(layout) for layouts in known.by_size.values() for layout in layouts}
        assert kept == {id(layout) for layout in known.every}
        newest = known.every[-1]
        assert known.by_size[newest.before + newest.after + len(recorded[0]["data"]) - 2] == [
            newest
        ]


def test_data_of_any_size_is_of_one_layout_and_few_sizes_are_kept(recorded):
    known, sizes = TextLayouts(), range(MOST_SIZES + 10)
    logs = [recorded[0] | {"data": "0x" + "00" * size} for size in sizes]
    raw = b"[" + b",".join(map(written, logs)) + b"]"
    for _ in range(2):
        assert [len(log.data) for log in scan(raw, known, Templates())] == [*sizes]
        assert len(known.every) == 1
        assert 0 < len(known.by_size) <= MOST_SIZES
        assert all(layouts == known.every for layouts in known.by_size.values())


def test_logs_that_differ_in_another_value_only_are_read_by_layouts_side_by_side(recorded):
    """Their digits are in the same places; some nodes number a transaction's logs themselves."""
    known = TextLayouts()
    logs = [recorded[0] | {"transactionLogIndex": hex(number)} for number in range(16)]
    for answer in (logs[:1], logs[1:2], logs[:3], logs, logs[::-1], logs * 2):
        raw = b"[" + b",".join(map(written, answer)) + b"]"
        assert list(scan(raw, known, Templates())) == wire.logs(answer)
    assert len(known.every) == len(logs)
    longer = [log | {"data": log["data"] + "00" * 32} for log in logs]
    raw = b"[" + b",".join(map(written, longer)) + b"]"
    assert list(scan(raw, known, Templates())) == wire.logs(longer)
    assert len(known.every) == len(logs)
    assert [len(layouts) for layouts in known.by_size.values()] == [len(logs)] * 2
    assert not any(has_twice(layouts) for layouts in known.by_size.values())


def test_an_answer_of_many_layouts_is_read_by_layout_once_they_are_met(recorded):
    logs = [recorded[0] | {"note": "x" * size} for size in range(2 * MOST_NEW + 10)]
    raw = json.dumps(logs, separators=(",", ":")).encode()
    known = TextLayouts()
    with pytest.raises(ValueError, match="too many layouts"):
        scan(raw, known, Templates())
    assert list(log_columns(raw, known)) == wire.logs(logs)
    assert list(scan(raw, known, Templates())) == wire.logs(logs)


@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": ")])
def test_real_answers_need_no_reader_of_json(recorded, separators):
    raw = json.dumps(recorded, separators=separators).encode()
    assert list(scan(raw, TextLayouts(), Templates())) == one_by_one(raw)
    alone = json.dumps(recorded[:1]).encode()
    assert list(scan(alone, TextLayouts(), Templates())) == wire.logs(recorded[:1])
    assert outcome(log_columns, b" [ ] ") == []


def damage(chance, raw, place):
    """Bytes at a place are changed, taken away, repeated, or become those of another place."""
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


def test_damaged_answers_are_refused_as_they_always_were(recorded):
    """Bytes of an answer are changed, taken away or repeated: 6,000 of them, the same each time."""
    chance = random.Random(20)
    refused, known = 0, TextLayouts()
    for _ in range(6_000):
        logs = chance.sample(recorded, chance.randint(1, 4))
        raw = bytearray(json.dumps(logs, separators=(",", ":")).encode())
        for _ in range(chance.randint(1, 3)):
            damage(chance, raw, chance.randrange(len(raw)))
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


def test_long_layouts_are_not_kept_beyond_their_bytes(recorded):
    known, size = TextLayouts(), MOST_BYTES // 6
    for number in range(10):
        long = recorded[0] | {"note": "x" * (size + number)}
        assert len(scan(b"[" + written(long) + b"]", known, Templates())) == 1
        assert 0 < sum(layout.mask.nbytes for layout in known.every) <= MOST_BYTES
    assert 1 < len(known.every) < 10


def test_a_layout_is_no_longer_for_long_data(recorded):
    known = TextLayouts()
    for size in (MOST_BYTES, 1):
        long = recorded[0] | {"data": "0x" + "00" * size}
        (log,) = scan(b"[" + written(long) + b"]", known, Templates())
        assert log.data == bytes(size)
    assert [layout.mask.nbytes < 2_000 for layout in known.every] == [True]


@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": ")])
def test_reading_with_templates_is_reading_without(nested, learned, separators):
    raw = json.dumps(nested, separators=separators).encode()
    held = scan(raw, TextLayouts(), learned)
    plain = scan(raw, TextLayouts(), Templates())
    assert held == plain
    assert list(held) == one_by_one(raw)
    assert plain.payloads.templates == ()
    assert (held.payloads.which != WHOLE).all()
    assert 8 * len(held.payloads.data) < len(plain.payloads.data)


def test_data_is_held_as_decoding_it_would_hold_it(nested, learned):
    raw = json.dumps(nested).encode()
    held = scan(raw, TextLayouts(), learned).payloads
    plain = scan(raw, TextLayouts(), Templates())
    by_layout = shortened(decode(known_events(list(HANDLERS)), plain)).payloads
    assert held.keys.tobytes() == by_layout.keys.tobytes()
    assert held.data.tobytes() == by_layout.data.tobytes()
    assert held.offsets.tolist() == by_layout.offsets.tolist()


def test_most_of_what_comes_is_held_by_the_templates_of_what_came(nested):
    known, later = learned_of(nested[:200]), nested[200:]
    columns = scan(json.dumps(later).encode(), TextLayouts(), known)
    assert list(columns) == wire.logs(later)
    assert (columns.payloads.which != WHOLE).mean() > 0.9


@pytest.mark.parametrize("count", [1, 2, 3])
def test_short_answers_are_held_by_templates_too(nested, learned, count):
    """The last log of an answer is read by itself."""
    known = TextLayouts()
    for start in range(0, 60, count):
        part = nested[start : start + count]
        columns = scan(json.dumps(part).encode(), known, learned)
        assert list(columns) == wire.logs(part)
        assert (columns.payloads.which != WHOLE).all()


@pytest.mark.parametrize("size", [1, 7, 8, 100, 5_000])
def test_it_does_not_matter_how_much_is_read_at_a_time(nested, learned, monkeypatch, size):
    monkeypatch.setattr(bulk, "CACHED", size)
    raw = json.dumps(nested[:20]).encode()
    columns = scan(raw, TextLayouts(), learned)
    assert list(columns) == one_by_one(raw)
    assert (columns.payloads.which != WHOLE).all()


def one_template(*words):
    """A template of these words, in digits; those that are not given are brought."""
    data = b"".join(bytes.fromhex(word or "00" * 32) for word in words)
    brought = np.array([number for number, word in enumerate(words) if not word])
    return Template(np.frombuffer(data, np.uint8), brought)


A, B, C = "ab" * 32, "cd" * 32, "12" * 32
BETWEEN = one_template(A, "", B)
HELD = {"as it is": A + C + B, "capitals in a word it brings": A + A.upper() + B}
NOT_HELD = {
    "another first digit": "b" + A[1:] + C + B,
    "another last digit": A + C + B[:-1] + "c",
    "a capital in a word of the template": A + C + "C" + B[1:],
    "words in another order": B + C + A,
    "a word more": A + C + B + C,
    "a word less": A + C,
    "nothing": "",
}
REFUSED = {
    "a digit less": (A + C + B)[:-1],
    "a digit more": A + C + B + "0",
    "no digit in a word it brings": A + "g" + C[1:] + B,
    "no digit in a word of the template": A + C + "g" + B[1:],
    "a quotation mark": A + C[:-1] + '"' + B,
}


def answers_with(digits):
    """Data as that of the only log of an answer, of the first, of the last, and in between."""
    one, other = ONE | {"data": "0x" + digits}, ONE | {"data": "0x" + A + B + B}
    for logs in ([one], [one, other], [other, one], [other, one, other]):
        yield logs.index(one), b"[" + b",".join(map(written, logs)) + b"]"


@pytest.mark.parametrize("digits", [*HELD.values(), *NOT_HELD.values()], ids=[*HELD, *NOT_HELD])
def test_data_is_held_by_a_template_where_it_has_all_its_digits(digits):
    known = Templates()
    known.learn([BETWEEN])
    for place, raw in answers_with(digits):
        columns = scan(raw, TextLayouts(), known)
        assert list(columns) == one_by_one(raw)
        assert columns.payloads.held_by(BETWEEN)[place] == (digits in HELD.values())


@pytest.mark.parametrize("digits", REFUSED.values(), ids=REFUSED)
def test_what_is_no_data_is_refused_with_templates_too(digits):
    known = Templates()
    known.learn([BETWEEN])
    for _, raw in answers_with(digits):
        bare = raw.replace(b'\\"', b'"')
        expected = outcome(one_by_one, bare)
        assert isinstance(expected, str)
        assert outcome(partial(log_columns, templates=known), bare) == expected


def test_of_templates_that_fit_the_newest_one_holds():
    made = [one_template("", B), one_template(A, ""), one_template("", C), one_template("", "")]
    for count in range(1, 5):
        known = Templates()
        known.learn(made[:count])
        for _, raw in answers_with(A + B):
            columns = scan(raw, TextLayouts(), known)
            newest = (made[0], made[1], made[1], made[3])[count - 1]
            assert columns.payloads.held_by(newest).sum() == 1
            assert list(columns) == one_by_one(raw)


TEXTS = st.sampled_from(["00" * 32, "ab" * 32, bytes(range(200, 232)).hex()])
"""Words of data, as digits."""
WRITTEN = [str, str, str, str.upper, lambda text: text[:-1], lambda text: text[:-1] + "g"]
"""As nodes write digits, in capitals, one too few, and one that is none."""


@st.composite
def templates_and_digits(draw):
    """Templates of few sizes, and digits of data that have them, but for a word or the last one."""
    made, digits = [], []
    for size in draw(st.lists(st.integers(1, 4), min_size=1, max_size=4)):
        words = draw(st.lists(TEXTS, min_size=size, max_size=size))
        brought = draw(st.sets(st.integers(0, size - 1), min_size=1))
        data = [bytes(32) if n in brought else bytes.fromhex(w) for n, w in enumerate(words)]
        made.append(Template(np.frombuffer(b"".join(data), np.uint8), np.array(sorted(brought))))
        for _ in range(draw(st.integers(0, 3))):
            alike = [draw(TEXTS) if n in brought else word for n, word in enumerate(words)]
            alike[draw(st.integers(0, size - 1))] = draw(TEXTS)
            digits.append(draw(st.sampled_from(WRITTEN))("".join(alike)))
    digits += draw(st.lists(st.lists(TEXTS, max_size=5).map("".join), max_size=2))
    return made, draw(st.permutations(digits))


def template_by_digits(known, text):
    """The newest template whose digits are all in the text, or none."""
    for one in known.of(len(text) // 2):
        fixed = np.setdiff1d(np.arange(len(text) // 64), one.words)
        places = [slice(64 * word, 64 * word + 64) for word in fixed]
        if all(text[place] == one.data.tobytes().hex()[place] for place in places):
            return one
    return None


@given(templates_and_digits())
def test_data_is_held_by_the_newest_template_whose_digits_it_has(drawn):
    made, digits = drawn
    known = Templates()
    known.learn(made)
    logs = [ONE | {"data": "0x" + text} for text in digits]
    raw = json.dumps(logs).encode()
    expected = outcome(one_by_one, raw)
    assert outcome(partial(log_columns, templates=known), raw) == expected
    if logs and isinstance(expected, list):
        columns = scan(raw, TextLayouts(), known)
        found = [template_by_digits(known, text) for text in digits]
        keys = b"".join(one.key if one else NO_KEY for one in found)
        assert list(columns) == expected
        assert columns.payloads.keys.tobytes() == keys


def test_damaged_answers_are_refused_as_without_templates(nested, learned):
    """As above, the damage now in data, by turns in what a template has and what a log brings.

    Some of it moves words, so that data has a template's length but not its content.
    """
    chance, known = random.Random(21), TextLayouts()
    refused, held = Counter(), Counter()
    for number in range(3_000):
        logs = [dict(log) for log in chance.sample(nested, chance.randint(1, 3))]
        log = chance.choice(logs)
        digits = bytearray(log["data"][2:].encode())
        template = template_by_digits(learned, log["data"][2:])
        fixed = np.setdiff1d(np.arange(len(digits) // 64), template.words)
        words = (template.words, fixed)[number % 2].tolist()
        for _ in range(chance.randint(1, 2)):
            place, other = (64 * chance.choice(words) for _ in range(2))
            if chance.randrange(3):
                damage(chance, digits, min(place + chance.randrange(64), len(digits) - 1))
            else:
                digits[place : place + 64] = digits[other : other + 64]
        marked = "damaged data"
        log["data"] = "0x" + marked
        raw = written(logs).replace(marked.encode(), bytes(digits))
        expected = outcome(one_by_one, raw)
        assert outcome(partial(log_columns, templates=learned), raw) == expected, raw
        read = partial(log_columns, known=known, templates=learned)
        assert outcome(read, raw) == expected, raw
        refused[number % 2] += isinstance(expected, str)
        if isinstance(expected, list):
            which = read(raw).payloads.which[logs.index(log)]
            held[number % 2, bool(which != WHOLE)] += 1
    assert all(300 < refused[where] < 1_200 for where in (0, 1))
    assert held[0, True] > 300
    assert held[1, False] > 300


def test_more_braces_than_logs_are_refused_before_they_take_up_memory(recorded):
    for raw in (b"[" + b"{" * 100_000 + b"]", b"[" + written(recorded[0]) + b"," + b"{" * 100_000):
        with pytest.raises(ValueError, match="more braces than logs"):
            scan(raw + b"]", TextLayouts(), Templates())
        assert outcome(log_columns, raw + b"]") == "JSON that is damaged"


def test_layouts_are_not_looked_for_longer_than_reading_would_take(recorded):
    """Logs of all layouts that are known in sizes that are new: each would be compared with all."""
    known, base = TextLayouts(), {**recorded[0], "data": "0x"}
    names = [f"{number:03d}" for number in range(MOST_KEPT)]
    for start in range(0, MOST_KEPT, MOST_NEW):
        part = [written(base | {"note": name}) for name in names[start : start + MOST_NEW]]
        scan(b"[" + b",".join(part) + b"]", known, Templates())
    sized = [base | {"data": "0x" + "00" * size} for size in range(1, 257)]
    logs = [one | {"note": name} for one in sized for name in names]
    raw = b"[" + b",".join(map(written, logs)) + b"]"
    with pytest.raises(ValueError, match="too many layouts to compare with"):
        scan(raw, known, Templates())
    assert list(log_columns(raw, known)) == wire.logs(logs)


def test_a_layout_that_is_vast_is_used_and_not_kept(recorded):
    known = TextLayouts()
    logs = [recorded[0] | {"note": "x" * (MOST_BYTES // 2)}]
    assert list(log_columns(b"[" + written(logs[0]) + b"]", known)) == wire.logs(logs)
    assert (known.every, known.by_size) == ([], {})
