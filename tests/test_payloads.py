"""Payloads that are held by templates are the same bytes, whatever is done with them."""

from dataclasses import replace
from itertools import accumulate, pairwise

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from analyzer import payloads as under_test
from analyzer.event_columns import DecodedLogs, Group, Known, shortened
from analyzer.evm import Log
from analyzer.layout import TOPICS, Field, layout
from analyzer.log_columns import LogColumns
from analyzer.payloads import (
    CACHED,
    LONGEST,
    MOST_ALIKE,
    MOST_LENGTHS,
    NO_KEY,
    WORD,
    Payloads,
    Template,
    Templates,
)

TOPIC = "0x" + "11" * 32
MADE = Known("Made", TOPIC, lambda _: {})
WORDS = st.binary(min_size=WORD, max_size=WORD)
BASES = [np.random.default_rng(size).bytes(WORD * size) for size in range(1, 13)]
"""Data that the layouts of all drawn batches share, so that batches have templates in common."""


@pytest.fixture(autouse=True, scope="module", params=[CACHED, 100])
def _read_at_once(request):
    """As many bytes at a time as usual, and so few that every row is read by itself."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(under_test, "CACHED", request.param)
        yield


@st.composite
def decoded_logs(draw):
    """Logs of a few layouts and of none, mixed; the words of a layout that vary are drawn."""
    data, members = [], []
    for size in draw(st.lists(st.integers(1, 12), max_size=3, unique=True)):
        base = [BASES[size - 1][at : at + WORD] for at in range(0, WORD * size, WORD)]
        varying = sorted(draw(st.sets(st.integers(0, size - 1), max_size=size)))
        kinds = st.sampled_from(["uint256", "address", "bool"])
        fields = [Field(f"f{n}", draw(kinds), TOPICS + WORD * n) for n in varying]
        made = [
            b"".join(draw(WORDS) if n in varying else word for n, word in enumerate(base))
            for _ in range(draw(st.integers(1, 4)))
        ]
        members.append((layout([TOPIC], made[0], fields), range(len(data), len(data) + len(made))))
        data += made
    data += draw(st.lists(st.binary(max_size=70), max_size=4))
    order = draw(st.permutations(range(len(data))))
    logs = LogColumns.of([log_of(n, data[place]) for n, place in enumerate(order)])
    groups = [
        Group(MADE, one, np.sort([order.index(place) for place in places]), np.empty(0, np.uint8))
        for one, places in members
    ]
    return DecodedLogs(logs, logs, groups)


DECODED = decoded_logs()


def log_of(number, data):
    return Log(
        block_number=number, block_hash=TOPIC, tx_hash=TOPIC, tx_index=0, log_index=0,
        address="0x" + "22" * 20, topics=(TOPIC,), data=data, block_time=1,
    )  # fmt: skip


def held(decoded):
    return shortened(decoded).payloads


def holders(decoded):
    """The template that is to hold each log, or none."""
    found = [None] * len(decoded.logs)
    for group in decoded.groups:
        for row in group.rows.tolist():
            found[row] = group.layout.template
    return found


def keys_of(decoded):
    return [one.key if one else NO_KEY for one in holders(decoded)]


def contents(payloads):
    """The data of each log."""
    data, offsets = payloads.unpacked()
    assert (offsets[0], offsets[-1]) == (0, len(data))
    assert np.diff(offsets).tolist() == payloads.lengths.tolist()
    return [data[start:end].tobytes() for start, end in pairwise(offsets)]


def keys(payloads):
    return [row.tobytes() for row in payloads.keys]


def data_of(decoded):
    return [log.data for log in decoded.logs]


def copy_of(template):
    """A template of the same contents, as another batch would learn it."""
    return Template(template.data.copy(), template.words.copy())


@given(DECODED)
def test_every_byte_comes_back(decoded):
    payloads, data = held(decoded), data_of(decoded)
    assert contents(payloads) == data
    assert payloads.lengths.tolist() == [len(one) for one in data]
    widths = [
        one.width if one else len(log) for one, log in zip(holders(decoded), data, strict=True)
    ]
    assert payloads.offsets.tolist() == [0, *accumulate(widths)]
    assert len(payloads.data) == sum(widths) <= len(decoded.columns.data)
    assert contents(decoded.columns.payloads) == data


@given(DECODED)
def test_of_a_log_only_the_words_are_held_that_its_template_lacks(decoded):
    payloads, data = held(decoded), data_of(decoded)
    for template in payloads.templates:
        rows = np.flatnonzero(payloads.held_by(template))
        for piece, row in zip(payloads.pieces(rows, template.width), rows, strict=True):
            words = [data[row][WORD * n : WORD * (n + 1)] for n in template.words]
            assert piece.tobytes() == b"".join(words)
            assert not template.data.reshape(-1, WORD)[template.words].any()


@given(DECODED)
def test_a_log_names_the_template_of_its_layout(decoded):
    payloads, wanted = held(decoded), keys_of(decoded)
    assert keys(payloads) == wanted
    assert keys(decoded.columns.payloads) == [NO_KEY] * len(wanted)
    assert {one.key for one in payloads.templates} == {*wanted} - {NO_KEY}
    for template in payloads.templates:
        expected = [key == template.key for key in wanted]
        assert payloads.held_by(copy_of(template)).tolist() == expected
    other = Template(np.zeros(5 * WORD, np.uint8), np.array([1]))
    assert not payloads.held_by(other).any()


@given(DECODED, st.data())
def test_texts_of_one_length_are_read_whatever_holds_them(decoded, data):
    payloads, wanted = held(decoded), data_of(decoded)
    for length in {len(one) for one in wanted}:
        rows = [row for row, one in enumerate(wanted) if len(one) == length]
        drawn = data.draw(st.lists(st.sampled_from(rows), max_size=8))
        texts = payloads.texts(np.array(drawn, np.int64), length)
        assert [text.tobytes() for text in texts] == [wanted[row] for row in drawn]


@given(DECODED, st.data())
def test_taking_rows_takes_their_data(decoded, data):
    payloads, wanted = held(decoded), data_of(decoded)
    places = st.integers(0, len(wanted) - 1)
    start, stop = sorted(data.draw(st.tuples(*[st.integers(0, len(wanted))] * 2)))
    drawn = data.draw(st.lists(places, max_size=12)) if wanted else []
    for rows in (drawn, [*range(start, stop)]):
        taken = payloads.take(np.array(rows, np.int64))
        assert len(taken) == len(rows)
        assert contents(taken) == [wanted[row] for row in rows]
        assert keys(taken) == [keys(payloads)[row] for row in rows]
        backwards = np.arange(len(rows))[::-1]
        assert contents(taken.take(backwards)) == [wanted[row] for row in rows[::-1]]


@given(st.lists(DECODED, min_size=1, max_size=4), st.data())
def test_joined_parts_hold_all_data_and_each_template_once(batches, data):
    parts = [held(one) for one in batches]
    for place, part in enumerate(parts):
        rows = data.draw(st.lists(st.integers(0, len(part) - 1), max_size=6)) if len(part) else []
        if data.draw(st.booleans()):
            parts[place] = part.take(np.array(rows, np.int64))
    joined = Payloads.join(parts)
    assert contents(joined) == [one for part in parts for one in contents(part)]
    assert keys(joined) == [key for part in parts for key in keys(part)]
    assert joined.data.tobytes() == b"".join(part.data.tobytes() for part in parts)
    templates = [one.key for one in joined.templates]
    assert sorted(templates) == sorted({one.key for part in parts for one in part.templates})
    again = Payloads.join([joined, joined])
    assert contents(again) == contents(joined) * 2
    assert [one.key for one in again.templates] == templates


@given(DECODED)
def test_shortening_twice_is_shortening_once(decoded):
    payloads = held(decoded)
    rows_of = [
        (copy_of(one.layout.template), one.rows) for one in decoded.groups if one.layout.template
    ]
    again = payloads.shortened(rows_of)
    assert again.data.tobytes() == payloads.data.tobytes()
    assert keys(again) == keys(payloads)
    assert [one.key for one in again.templates] == [one.key for one in payloads.templates]
    piecemeal = decoded.columns.payloads
    for template, rows in rows_of[::-1]:
        for row in rows[::-1]:
            piecemeal = piecemeal.shortened([(template, np.array([row]))])
            assert contents(piecemeal) == data_of(decoded)
    assert piecemeal.data.tobytes() == payloads.data.tobytes()
    assert keys(piecemeal) == keys(payloads)


@given(DECODED)
def test_what_one_template_holds_no_other_takes_over(decoded):
    payloads, wanted = held(decoded), []
    rows_of = []
    for length in {len(one) for one in data_of(decoded)} - {0}:
        if length % WORD == 0:
            anything = Template(np.zeros(length, np.uint8), np.arange(length // WORD))
            rows_of.append((anything, np.flatnonzero(payloads.lengths == length)))
    for key, data in zip(keys(payloads), data_of(decoded), strict=True):
        free = key == NO_KEY and data and len(data) % WORD == 0
        (anything,) = [one for one, _ in rows_of if free and len(one.data) == len(data)] or [None]
        wanted.append(anything.key if anything else key)
    more = payloads.shortened(rows_of)
    assert contents(more) == data_of(decoded)
    assert keys(more) == wanted


@given(DECODED, st.data())
def test_columns_are_the_same_logs_however_their_data_is_held(decoded, data):
    plain, short = decoded.columns, shortened(decoded)
    logs = list(plain)
    assert list(short) == logs
    assert short == plain
    assert plain == short
    assert [short[place] for place in range(len(logs))] == logs
    assert short.data.tobytes() == plain.data.tobytes()
    assert short.lengths.tolist() == plain.lengths.tolist()
    assert short.weight == plain.weight == plain.nbytes >= short.nbytes
    whole = short.unpacked()
    assert whole == short
    assert keys(whole.payloads) == [NO_KEY] * len(logs)
    cut = data.draw(st.integers(0, len(logs)))
    assert LogColumns.join([short[:cut], plain[cut:]]) == plain
    assert LogColumns.join([plain[:cut], short[cut:]]) == plain


@given(DECODED, st.data())
def test_columns_differ_where_one_byte_does_however_it_is_held(decoded, data):
    lengths = decoded.columns.lengths
    assume(lengths.any())
    row = data.draw(st.sampled_from(np.flatnonzero(lengths).tolist()))
    place = data.draw(st.integers(0, lengths[row].item() - 1))
    logs = list(decoded.columns)
    changed = bytearray(logs[row].data)
    changed[place] ^= data.draw(st.integers(1, 255))
    logs[row] = replace(logs[row], data=bytes(changed))
    assert LogColumns.of(logs) != shortened(decoded)
    assert shortened(decoded) != LogColumns.of(logs)


def template_of(length, value, word=0):
    """One of many: its words but one hold the value."""
    data = np.full((length, WORD), value, np.uint8)
    data[word] = 0
    return Template(data.reshape(-1), np.array([word]))


def test_templates_are_the_same_where_data_and_words_are():
    one = template_of(3, 7)
    assert one.key == copy_of(one).key != NO_KEY
    assert len({one.key, template_of(4, 7).key, template_of(3, 8).key}) == 3
    assert one.key != Template(one.data, np.array([0, 1])).key
    assert one.key != Template(np.zeros(3 * WORD, np.uint8), one.words).key


def test_the_newest_templates_of_a_length_are_looked_for_and_no_more():
    made = [template_of(2, value) for value in range(3 * MOST_ALIKE)]
    known = Templates()
    for count, one in enumerate(made, start=1):
        known.learn([one])
        assert [*known.of(2 * WORD)] == made[:count][::-1][:MOST_ALIKE]
    at_once = Templates()
    at_once.learn(made)
    assert at_once.of(2 * WORD) == known.of(2 * WORD)
    assert known.of(3 * WORD) == ()


def test_a_template_that_is_known_is_not_learned_again():
    known = Templates()
    made = [template_of(2, 1), template_of(2, 2), template_of(3, 1)]
    known.learn(made)
    known.learn([copy_of(one) for one in made for _ in range(2)])
    assert [*known.of(2 * WORD)] == made[1::-1]
    assert [*known.of(3 * WORD)] == made[2:]


def test_templates_of_so_many_lengths_are_looked_for_and_always_of_the_newest():
    known = Templates()
    for size in range(2, 2 * MOST_LENGTHS + 10):
        one, other = template_of(size, 1), template_of(size, 2)
        known.learn([one, other])
        assert len(known.by_length) <= MOST_LENGTHS
        assert [*known.of(WORD * size)] == [other, one]
    known.learn([template_of(size, 3)])
    assert len(known.of(WORD * size)) == 3


def test_templates_that_are_too_long_are_not_looked_for():
    known, longest = Templates(), LONGEST // WORD
    known.learn([template_of(longest, 1), template_of(longest + 1, 1)])
    assert [*known.by_length] == [LONGEST]


def test_a_key_tells_numbers_of_words_from_data():
    numbers = b"".join(number.to_bytes(8, "little") for number in (2, 3, 4, 5))
    rest = bytes(6 * WORD) + np.random.default_rng(1).bytes(25 * WORD)
    one = Template(np.frombuffer(numbers + rest, np.uint8), np.array([1]))
    other = Template(np.frombuffer(rest, np.uint8), np.array([1, 2, 3, 4, 5]))
    assert one.key != other.key


def test_a_full_registry_still_learns_of_the_lengths_it_has():
    known, sizes = Templates(), range(2, MOST_LENGTHS + 2)
    for value in (1, 2):
        known.learn([template_of(size, value) for size in sizes])
        assert len(known.by_length) == MOST_LENGTHS
        assert {len(known.of(WORD * size)) for size in sizes} == {value}
