"""Nested events decoded by learned layouts say what eth-abi says, whatever is in them."""

from dataclasses import replace
from random import Random

import pytest
from eth_utils.crypto import keccak
from hypothesis import given, settings
from hypothesis import strategies as st

from analyzer.event_columns import MOST_LAYOUTS, decode
from analyzer.protocols.gmx_v2.event_data import decode_slowly, known_events, learn
from analyzer.protocols.gmx_v2.replay import HANDLERS
from analyzer.reads import MalformedError
from tests.mutations import differences, mutated, wrong_of
from tests.protocols.gmx_v2_run import RECORDINGS, event_log, run_of
from tests.protocols.test_gmx_v2_replay import increase

KNOWN = known_events(list(HANDLERS))
EVENT_LOG_2 = "0x" + keccak(
    text="EventLog2(address,string,string,bytes32,bytes32," + "("
    + ",".join(f"((string,{t})[],(string,{t}[])[])" for t in
               ("address", "uint256", "int256", "bool", "bytes32", "bytes", "string"))
    + "))"
).hex()  # fmt: skip
TOPIC = "0x" + "00" * 32
both_recordings = pytest.mark.parametrize("name", RECORDINGS)


def funding(**items):
    """A ``Funding`` event with these unsigned items and no others, unless named by type."""
    return event_log("Funding", TOPIC, {"uint256": list(items.items())})


@both_recordings
def test_bulk_decoding_equals_eth_abi_on_every_recorded_log(name):
    logs = run_of(name).logs()
    assert len(logs) > 1000
    assert differences(KNOWN, logs) == []
    decoded = decode(KNOWN, logs)
    assert (decoded.singly, decoded.malformed) == ([], [])
    assert 0 < len(decoded.groups) < 30


@pytest.mark.parametrize("seed", range(3))
def test_recorded_events_are_decoded_as_eth_abi_does_however_damaged(seed):
    random = Random(seed)
    by_name = {}
    for log in run_of("2b").logs():
        by_name.setdefault(log.topics[1], []).append(log)
    seeds = [log for logs in by_name.values() for log in random.sample(logs, 2)]
    assert wrong_of(KNOWN, mutated(random, KNOWN, seeds, 800)) == []


@pytest.mark.parametrize("seed", range(3))
def test_small_hostile_events_are_decoded_as_eth_abi_does(seed):
    """Few words, so that offsets and lengths soon point into each other and into values."""
    random = Random(seed)
    items = {
        "address": [("who", "0x" + "ab" * 20)], "uint256": [("", 5), ("a", 64), ("b", 0)],
        "int256": [("c", -1)], "bool": [("d", True)],
        "bytes32": [("e", bytes(31) + b"\1")],
    }  # fmt: skip
    seeds = [event_log("Funding", TOPIC, items), funding(), funding(x=32), funding(**{"": 1})]
    assert wrong_of(KNOWN, mutated(random, KNOWN, seeds, 1500)) == []


@given(st.data())
@settings(deadline=None)
def test_a_changed_byte_is_decoded_as_eth_abi_would_or_refused_by_both(data):
    log = increase()
    at = data.draw(st.integers(0, len(log.data) - 1))
    changed = bytearray(log.data)
    changed[at] ^= data.draw(st.integers(1, 255))
    assert differences(KNOWN, [log, log, replace(log, data=bytes(changed))]) == []


@given(st.binary(max_size=600))
@settings(deadline=None)
def test_random_bytes_are_malformed_and_nothing_worse(data):
    log = replace(increase(), data=data)
    with pytest.raises(MalformedError):
        decode_slowly(log)
    assert differences(KNOWN, [increase(), log, log]) == []
    learn(log)


def test_a_value_that_is_also_a_keys_length_is_no_layout():
    """Its key changes with the value, so that a layout would go on giving the first one's."""
    plain = funding(**{"aa": 1, "": 5})
    first = plain.data.index(b"aa".ljust(32, b"\0")) - 96  # the entry: key's place, value, length
    second = plain.data.index((5).to_bytes(32)) - 32

    def crossed(value):
        words = {first: second + 32 - first, second + 32: value}
        data = bytearray(plain.data)
        for at, number in words.items():
            data[at : at + 32] = number.to_bytes(32)
        return replace(plain, data=bytes(data))

    assert decode_slowly(crossed(5)) == {"\0" * 5: 1, "": 5}
    assert decode_slowly(crossed(7)) == {"\0" * 7: 1, "": 7}
    assert differences(KNOWN, [crossed(5), crossed(5), crossed(7)]) == []
    assert learn(crossed(5)) is None
    assert learn(plain) is not None


def test_a_topic_too_many_or_too_few_is_no_event_of_the_emitter():
    log = increase()
    damaged = [
        replace(log, topics=log.topics[:2]),
        replace(log, topics=(*log.topics, TOPIC)),
        replace(log, topics=(EVENT_LOG_2, *log.topics[1:])),
        replace(log, topics=(TOPIC, *log.topics[1:])),
    ]
    assert differences(KNOWN, [log, log, *damaged]) == []
    assert len(decode(KNOWN, [log, log, *damaged]).malformed) == 4


def test_event_logs_with_two_topics_of_their_own_are_decoded_too():
    log = increase()
    wider = replace(log, topics=(EVENT_LOG_2, *log.topics[1:], TOPIC))
    assert differences(KNOWN, [log, wider, log, wider]) == []
    groups = decode(KNOWN, [log, wider, log, wider]).groups
    assert sorted(group.rows.tolist() for group in groups) == [[0, 2], [1, 3]]


@pytest.mark.parametrize(
    ("group", "item"),
    [("bytes", ("a", b"x")), ("string", ("a", "x")), ("bytes", ("a", b""))],
)
def test_items_of_no_fixed_size_are_left_to_eth_abi(group, item):
    log = event_log("Funding", TOPIC, {group: [item], "uint256": [("b", 1)]})
    decoded = decode(KNOWN, [log] * 3)
    assert decoded.groups == []
    assert [values for *_, values in decoded] == [decode_slowly(log)] * 3


def test_a_name_that_is_not_its_topics_is_malformed_beside_sound_ones():
    log = funding(a=1)
    forged = replace(log, data=log.data.replace(b"Funding", b"Fundinh"))
    decoded = decode(KNOWN, [log, forged, log])
    assert [row for row, *_ in decoded.malformed] == [1]
    assert "is not what its topic says" in decoded.malformed[0][2]
    assert differences(KNOWN, [forged, log, forged]) == []


def test_a_key_that_occurs_twice_is_malformed_in_every_order():
    log = event_log("Funding", TOPIC, {"uint256": [("a", 1), ("b", 2)]})
    twice = event_log("Funding", TOPIC, {"uint256": [("a", 1), ("a", 2)]})
    assert len(decode(KNOWN, [log, twice, log, twice]).malformed) == 2
    assert differences(KNOWN, [twice, log, twice, log]) == []


def test_layouts_beyond_the_most_that_are_learned_are_still_decoded():
    names = [f"{number:02}" for number in range(MOST_LAYOUTS + 5)]
    logs = [funding(**{name: value}) for value in (1, 2, 3) for name in names]
    decoded = decode(known_events(list(HANDLERS)), logs)
    assert len(decoded.groups) == MOST_LAYOUTS
    assert len(decoded.singly) == 3 * 5
    assert differences(KNOWN, logs) == []


def test_what_one_batch_taught_the_next_one_uses():
    known = known_events(list(HANDLERS))
    logs = [funding(a=value) for value in range(5)]
    asked = []
    slowly = [
        replace(one, slowly=lambda log, one=one: asked.append(log) or one.slowly(log))
        for one in known
    ]
    first, second = decode(slowly, logs), decode(slowly, logs)
    assert len(asked) == 1
    assert list(first) == list(second)
