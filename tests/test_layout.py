"""Decoding by layout says of every log what eth-abi says, whatever is in it."""

from random import Random

import numpy as np
import pytest
from eth_abi.abi import encode
from hypothesis import given, settings
from hypothesis import strategies as st

from analyzer.abi import Event, load_abi
from analyzer.event_columns import Known, decode
from analyzer.evm import Log
from analyzer.layout import TOPICS, WORTH_IT, Field, is_static, layout, layout_of
from analyzer.log_columns import LogColumns
from analyzer.payloads import WORD
from analyzer.resources import resource
from tests.mutations import differences, mutated, wrong_of

HERE, THERE = "0x" + "aa" * 20, "0x" + "bb" * 20
STATIC = ["address", "bool", "uint8", "uint24", "uint64", "uint256", "int8", "int24", "int128",
          "int256", "bytes1", "bytes4", "bytes32"]  # fmt: skip
DYNAMIC = ["string", "bytes", "uint256[]", "uint256[2]", "(uint256,bool)", "fixed128x18"]
SHIPPED = {
    event.topic: event
    for file in sorted(resource("abis").glob("*/*.json"))
    for event in load_abi(file.parent.name, file.stem).events.values()
    if file.parent.name != "gmx_v2"
}


def event_of(*fields):
    return Event("E", tuple(fields), "0x" + "e7" * 32)


def log_with(event, data, *topics, address=HERE):
    hashes = "0x" + "11" * 32
    return Log(1, hashes, hashes, 0, 0, address, (event.topic, *topics), data)


def value_of(random, kind):
    """Any value of a static type."""
    size = int("".join(filter(str.isdigit, kind)) or 0)
    if kind == "address":
        return "0x" + random.randbytes(20).hex()
    if kind == "bool":
        return random.random() < 0.5
    if kind.startswith("bytes"):
        return random.randbytes(size)
    low, high = (
        (0, 2**size - 1) if kind.startswith("u") else (-(2 ** (size - 1)), 2 ** (size - 1) - 1)
    )
    return random.choice((low, high, random.randint(low, high), random.randint(0, min(high, 99))))


def sound(random, event, address=HERE):
    """A log as a contract would emit it."""
    plain = [kind for _, kind, indexed in event.fields if not indexed]
    topics = [
        "0x" + encode([kind], [value_of(random, kind)]).hex()
        for _, kind, indexed in event.fields if indexed
    ]  # fmt: skip
    data = encode(plain, [value_of(random, kind) for kind in plain])
    return log_with(event, data, *topics, address=address)


@pytest.mark.parametrize("seed", range(4))
def test_every_shipped_event_is_decoded_as_eth_abi_does_however_damaged(seed):
    random = Random(seed)
    known = [Known.of(event) for event in SHIPPED.values()]
    logs = [sound(random, event) for event in SHIPPED.values() for _ in range(3)]
    cases = mutated(random, known, logs, 2500)
    random.shuffle(cases)
    assert wrong_of(known, cases) == []


def test_sound_logs_of_shipped_events_all_go_by_layout():
    random = Random(7)
    logs = [sound(random, event) for event in SHIPPED.values() for _ in range(5)]
    decoded = decode([Known.of(event) for event in SHIPPED.values()], logs)
    assert (decoded.singly, decoded.malformed) == ([], [])
    assert len(decoded.groups) == len(SHIPPED) > 20
    assert all(len(group.rows) == 5 and (np.diff(group.rows) > 0).all()
               for group in decoded.groups)  # fmt: skip


@given(st.data())
@settings(deadline=None, max_examples=150)
def test_any_static_event_is_decoded_as_eth_abi_does(data):
    kinds = data.draw(st.lists(st.sampled_from(STATIC), max_size=6))
    indexed = data.draw(st.lists(st.sampled_from(STATIC), max_size=3))
    event = event_of(
        *((f"p{n}", kind, False) for n, kind in enumerate(kinds)),
        *((f"i{n}", kind, True) for n, kind in enumerate(indexed)),
    )
    random = Random(data.draw(st.integers(0, 2**32)))
    known = [Known.of(event)]
    cases = mutated(random, known, [sound(random, event) for _ in range(3)], 25)
    size = 32 * len(kinds)
    words = st.binary(min_size=size, max_size=size) | st.binary(max_size=size + 40)
    topics = cases[0][0].topics[1:]
    assert wrong_of(known, cases) == []
    foreign = [log_with(event, raw, *topics) for raw in data.draw(st.lists(words))]
    assert differences(known, foreign) == []


@pytest.mark.parametrize("kind", STATIC)
def test_every_bit_of_a_word_is_judged_as_eth_abi_judges_it(kind):
    event = event_of(("value", kind, False), ("topic", kind, True))
    words = [(1 << bit).to_bytes(32) for bit in range(256)]
    words += [(2**256 - 1 - (1 << bit)).to_bytes(32) for bit in range(256)]
    words += [((2**256 - 1) << bit & (2**256 - 1)).to_bytes(32) for bit in range(256)]
    zero = "0x" + "00" * 32
    logs = [log_with(event, word, zero) for word in words]
    logs += [log_with(event, bytes(32), "0x" + word.hex()) for word in words]
    assert differences([Known.of(event)], logs) == []
    decoded = decode([Known.of(event)], logs)
    assert decoded.singly == []  # what the layout leaves to eth-abi is malformed


@pytest.mark.parametrize("kind", DYNAMIC)
def test_an_event_with_a_value_of_no_fixed_size_has_no_layout(kind):
    assert not is_static(kind)
    assert layout_of(event_of(("a", "uint256", False), ("b", kind, False))) is None


@pytest.mark.parametrize("kind", ["uint7", "uint264", "int0", "bytes0", "bytes33", "uint", "bool8"])
def test_what_is_no_type_has_no_layout(kind):
    assert layout_of(event_of(("a", kind, False))) is None


@pytest.mark.parametrize("kind", ["string", "bytes", "uint256[]", "(uint256,bool)", "bytes32"])
def test_an_indexed_value_of_no_fixed_size_is_its_hash(kind):
    event = event_of(("a", kind, True), ("b", "bool", False))
    log = log_with(event, (1).to_bytes(32), "0x" + "cd" * 32)
    decoded = decode([Known.of(event)], [log])
    assert len(decoded.groups) == 1
    assert [values for *_, values in decoded] == [{"b": True, "a": b"\xcd" * 32}]
    assert differences([Known.of(event)], [log]) == []


def test_names_that_occur_twice_are_left_to_eth_abi():
    event = event_of(("a", "uint8", False), ("a", "uint8", False))
    assert layout_of(event) is None
    assert differences([Known.of(event)], [log_with(event, encode(["uint8"] * 2, [1, 2]))]) == []


def test_trailing_bytes_make_a_log_unreadable():
    """An event that has grown at a fork keeps its topic: what more it says may change the rest."""
    event = event_of(("a", "uint8", False))
    logs = [log_with(event, bytes(31) + b"\5" + tail) for tail in (b"", b"x", b"", bytes(32))]
    decoded = decode([Known.of(event)], logs)
    assert [group.rows.tolist() for group in decoded.groups] == [[0, 2]]
    assert [row for row, *_ in decoded.malformed] == [1, 3]
    assert [values for *_, values in decoded if values == {"a": 5}] == [{"a": 5}] * 2


def test_an_event_is_known_by_its_emitter_where_one_is_named():
    event = event_of(("a", "uint8", False))
    logs = [log_with(event, bytes(32), address=one) for one in (HERE, THERE, HERE[:-2] + "00")]
    known = [Known.of(event, THERE, "0x" + "cc" * 20)]
    assert [found for _, found, _ in decode(known, logs)] == [None, known[0], None]
    assert differences(known, logs) == []


@given(st.binary(max_size=40), st.integers(0, 4))
def test_logs_of_unknown_events_are_passed_on_without_values(data, topics):
    log = Log(1, "0x" + "11" * 32, "0x" + "11" * 32, 0, 0, HERE, ("0x" + "00" * 32,) * topics, data)
    event = event_of(("a", "uint8", False))
    assert list(decode([Known.of(event)], LogColumns.of([log]))) == [(log, None, {})]
    assert list(decode([], [log, log])) == [(log, None, {})] * 2


def test_nothing_is_decoded_of_no_logs():
    assert list(decode([Known.of(event) for event in SHIPPED.values()], [])) == []


def test_a_layout_of_which_most_words_vary_has_no_template():
    data = bytes(range(128, 128 + WORD)) * 12
    event = "0x" + "e7" * 32
    for count in range(13):
        fields = [Field(f"f{n}", "uint256", TOPICS + WORD * n) for n in range(count)]
        template = layout([event], data, fields).template
        if 0 < count <= 12 // WORTH_IT:
            assert template.words.tolist() == [*range(count)]
            assert template.data.tobytes() == bytes(WORD * count) + data[WORD * count :]
        else:
            assert template is None


def test_a_word_of_which_some_bits_vary_is_brought_as_a_whole():
    data = bytes(range(128, 128 + WORD)) * 12
    unread = [Field("b", "bool", TOPICS + WORD * 7)]
    made = layout(["0x" + "e7" * 32], data, [Field("a", "address", TOPICS + WORD * 3)], unread)
    assert made.template.words.tolist() == [3, 7]
    assert [*map(any, made.template.data.reshape(-1, WORD)[[3, 7]])] == [False, False]
