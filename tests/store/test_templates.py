"""Templates: every payload comes back byte for byte, and what is not a template's is refused."""

import gzip
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.chain import wire
from analyzer.errors import AnalyzerError
from analyzer.event_columns import DecodedLogs, Group, Known, decode
from analyzer.evm import Log
from analyzer.layout import TOPICS, WORD, Field, layout
from analyzer.log_columns import LogColumns
from analyzer.protocol import Deployment
from analyzer.protocols import protocols
from analyzer.store import checkpoints, evidence, raw_logs
from analyzer.store.checkpoints import Stream
from analyzer.store.database import open_for_writing
from analyzer.store.digest import digest
from analyzer.store.templates import lengthen, shorten, template_of
from tests.conftest import FIXTURES

STREAM = Stream(1, "gmx_v2", "test", "filter")
TOPIC = "0x" + "11" * 32


@pytest.fixture(scope="module")
def recorded():
    with gzip.open(FIXTURES / "demo" / "gmx_v2.json.gz", "rt") as file:
        return LogColumns.of(wire.logs(json.load(file)["logs"]))


@pytest.fixture
def connection(tmp_path):
    with open_for_writing(tmp_path / "templates.duckdb") as opened:
        yield opened


def stored(connection, logs):
    events = protocols()["gmx_v2"].events(Deployment("gmx_v2", "test", 1, 1, {}))
    raw_logs.append(connection, STREAM, [raw_logs.prepare(decode(events, logs))])


def read(connection):
    return raw_logs.stored_logs(connection, STREAM, 0, checkpoints.HIGHEST_BLOCK)


def count(connection, sql):
    return connection.execute(sql).fetchall()[0][0]


def test_nested_logs_are_stored_in_a_fraction_and_read_as_they_were(connection, recorded):
    stored(connection, recorded)
    assert list(read(connection)) == list(recorded)
    assert digest(read(connection)) == digest(recorded)
    kept = count(connection, "select sum(octet_length(data)) from raw_logs")
    assert kept * 3 < len(recorded.data)
    assert count(connection, "select count(*) from raw_logs where template is null") < 5


def test_a_template_is_stored_once(connection, recorded):
    stored(connection, recorded)
    once = count(connection, "select count(*) from raw_templates")
    stored(connection, recorded)
    assert count(connection, "select count(*) from raw_templates") == once
    assert 0 < once < len(recorded) / 10


@pytest.mark.parametrize(
    "damage",
    [
        "delete from raw_templates",
        "update raw_templates set key = data",
        "update raw_templates set data = unhex(hex(data)[:64] || 'FF' || hex(data)[67:])",
        "update raw_templates set data = null",
        "update raw_templates set words = [0, 1000000]",
        "update raw_templates set words = [0, null]",
        "update raw_templates set words = null",
        "update raw_logs set data = data || '\\x00'::blob where template is not null",
        "update raw_logs set template = md5('another')::blob where template is not null",
    ],
)
def test_logs_that_are_not_their_templates_are_no_logs(connection, recorded, damage):
    stored(connection, recorded)
    assert evidence.misshapen(connection, STREAM) is None
    connection.execute(damage)
    templated = count(connection, "select count(*) from raw_logs where template is not null")
    assert evidence.misshapen(connection, STREAM) == (recorded.block_number.min(), templated)
    with pytest.raises(AnalyzerError, match="stored logs are damaged"):
        read(connection)


WORDS = st.binary(min_size=WORD, max_size=WORD)


@st.composite
def groups_of_logs(draw):
    """Logs of a few layouts and of none, mixed; the words of a layout that vary are drawn."""
    logs, groups = [], []
    for size in draw(st.lists(st.integers(1, 12), max_size=3, unique=True)):
        base = draw(st.lists(WORDS, min_size=size, max_size=size))
        varying = sorted(draw(st.sets(st.integers(0, size - 1), max_size=size)))
        kinds = st.sampled_from(["uint256", "address", "bool"])
        fields = [Field(f"f{n}", draw(kinds), TOPICS + WORD * n) for n in varying]
        members = []
        for _ in range(draw(st.integers(1, 4))):
            words = [draw(WORDS) if n in varying else word for n, word in enumerate(base)]
            members.append(b"".join(words))
        groups.append((layout([TOPIC], members[0], fields), members))
        logs += members
    logs += draw(st.lists(st.binary(max_size=70), max_size=4))
    return logs, groups, draw(st.permutations(range(len(logs))))


def log_of(number, data):
    return Log(
        block_number=number, block_hash=TOPIC, tx_hash=TOPIC, tx_index=0, log_index=0,
        address="0x" + "22" * 20, topics=(TOPIC,), data=data, block_time=1,
    )  # fmt: skip


@given(groups_of_logs())
def test_payloads_of_any_layouts_come_back(drawn):
    payloads, groups, order = drawn
    logs = LogColumns.of([log_of(n, payloads[place]) for n, place in enumerate(order)])
    decoded, start = DecodedLogs(logs, logs), 0
    known = Known("Made", TOPIC, lambda _: {})
    for one, members in groups:
        rows = np.sort([order.index(start + n) for n in range(len(members))])
        decoded.groups.append(Group(known, one, rows, np.empty(0, np.uint8)))
        start += len(members)
    short = shorten(decoded)
    rows_of = {
        key: np.flatnonzero(
            short.present & (short.keys == np.frombuffer(key, np.uint8)).all(axis=1)
        )
        for key in short.templates
    }
    data, offsets = lengthen(short.data, short.offsets, rows_of, short.templates)
    assert data.tobytes() == logs.data.tobytes()
    assert offsets.tolist() == logs.offsets.tolist()
    assert len(short.data) <= len(logs.data)


def test_a_layout_of_which_most_words_vary_has_no_template():
    data = bytes(4 * WORD)
    few = [Field("a", "uint256", TOPICS)]
    many = [Field(f"f{n}", "uint256", TOPICS + WORD * n) for n in range(3)]
    assert template_of(layout([TOPIC], data, few)).words.tolist() == [0]
    assert template_of(layout([TOPIC], data, many)) is None
    assert template_of(layout([TOPIC], data, [])) is None
