"""Templates: every payload comes back byte for byte, and what is not a template's is refused."""

import gzip
import json
from dataclasses import replace

import numpy as np
import pytest

from analyzer.chain import wire
from analyzer.errors import AnalyzerError
from analyzer.event_columns import decode, shortened
from analyzer.indexer.parting import Logs, difference, first_parting
from analyzer.log_columns import LogColumns
from analyzer.payloads import WHOLE, WORD, Template
from analyzer.protocol import Deployment
from analyzer.protocols import protocols
from analyzer.store import checkpoints, evidence, raw_logs, templates
from analyzer.store.checkpoints import Checkpoint, Stream
from analyzer.store.database import open_for_writing
from analyzer.store.digest import Digest, digest
from tests.conftest import FIXTURES

STREAM = Stream(1, "gmx_v2", "test", "filter")


@pytest.fixture(scope="module")
def recorded():
    with gzip.open(FIXTURES / "demo" / "gmx_v2.json.gz", "rt") as file:
        return LogColumns.of(wire.logs(json.load(file)["logs"]))


@pytest.fixture(scope="module")
def held(recorded):
    """The recorded logs, held by templates."""
    return shortened(decoded(recorded))


@pytest.fixture
def connection(tmp_path):
    with open_for_writing(tmp_path / "templates.duckdb") as opened:
        yield opened


@pytest.fixture
def other(tmp_path):
    with open_for_writing(tmp_path / "other.duckdb") as opened:
        yield opened


def decoded(logs):
    """The logs decoded by events of which no layout was learned before."""
    return decode(protocols()["gmx_v2"].events(Deployment("gmx_v2", "test", 1, 1, {})), logs)


def said(logs):
    """What each log says, and the event that says it."""
    return [(log, event and event.name, values) for log, event, values in decoded(logs)]


def store(connection, *parts):
    raw_logs.append(connection, STREAM, [raw_logs.prepare(part) for part in parts])


def read(connection):
    return raw_logs.stored_logs(connection, STREAM, 0, checkpoints.HIGHEST_BLOCK)


def count(connection, sql):
    return connection.execute(sql).fetchall()[0][0]


def test_nested_logs_are_stored_in_a_fraction_and_read_as_they_were(connection, recorded, held):
    store(connection, held)
    assert list(read(connection)) == list(recorded)
    assert read(connection) == recorded
    assert digest(read(connection).unpacked()) == digest(recorded)
    kept = count(connection, "select sum(octet_length(data)) from raw_logs")
    assert kept * 3 < len(recorded.data)
    assert count(connection, "select count(*) from raw_logs where template is null") < 5


def test_a_template_is_stored_once(connection, recorded, held):
    store(connection, held)
    once = count(connection, "select count(*) from raw_templates")
    store(connection, held, shortened(decoded(recorded)))
    assert count(connection, "select count(*) from raw_templates") == once
    assert 0 < once < len(recorded) / 10


MIXED = {
    "by templates": lambda _, held: [held],
    "as a whole": lambda recorded, _: [recorded],
    "by templates, then as a whole": lambda recorded, held: [held[:900], recorded[900:]],
    "as a whole, then by templates": lambda recorded, held: [recorded[:900], held[900:]],
    "by turns": lambda recorded, held: [
        (recorded if start % 200 else held)[start : start + 100]
        for start in range(0, len(recorded), 100)
    ],
}


@pytest.mark.parametrize("mixed", MIXED.values(), ids=MIXED)
def test_logs_are_read_as_they_were_held_however_that_was(connection, recorded, held, mixed):
    parts = mixed(recorded, held)
    running = Digest()
    for part in parts:
        running.add(part)
    store(connection, *parts)
    found, joined = read(connection), LogColumns.join(parts)
    assert found == recorded
    assert found.payloads.keys.tobytes() == joined.payloads.keys.tobytes()
    assert found.payloads.data.tobytes() == joined.payloads.data.tobytes()
    assert digest(found) == digest(joined) == running.hexdigest()


def test_what_was_read_back_is_decoded_anew_to_the_same_values(connection, recorded, held):
    store(connection, held)
    found = read(connection)
    assert (found.payloads.which != WHOLE).all()
    assert said(found) == said(recorded)
    again = decoded(found)
    assert (again.singly, again.malformed) == ([], [])
    assert digest(shortened(again)) == digest(held)


def test_a_range_that_is_cut_has_the_digest_of_what_is_left(
    connection, recorded, held, monkeypatch
):
    """It is read again in several parts."""
    monkeypatch.setattr(raw_logs, "READ_AT_ONCE", 100)
    numbers = recorded.block_number
    first, last, cut = int(numbers[0]), int(numbers[-1]), int(numbers[900])
    store(connection, by_turns(recorded, held))
    whole = Checkpoint(first, last, None, len(held), digest(by_turns(recorded, held)))
    checkpoints.finish(connection, STREAM, whole, [])
    raw_logs.forget_after(connection, STREAM, cut, "0x" + "11" * 32)
    left = by_turns(recorded, held).take(numbers <= cut)
    (found,) = checkpoints.finished(connection, STREAM)
    assert 900 < len(left) < len(recorded)
    assert (found.to_block, found.logs, found.digest) == (cut, len(left), digest(left))
    batches = list(raw_logs.stored_batches(connection, STREAM))
    assert len(batches) > 5
    assert LogColumns.join([batch.logs for batch in batches]) == left


def by_turns(recorded, held):
    return LogColumns.join(MIXED["by turns"](recorded, held))


def sides(connection, other):
    return Logs(connection, STREAM), Logs(other, STREAM)


def test_databases_of_the_same_logs_agree_however_they_hold_them(connection, other, recorded, held):
    ours, theirs = sides(connection, other)
    blocks = int(recorded.block_number[0]), int(recorded.block_number[-1])
    store(connection, held)
    for logs in (recorded, by_turns(recorded, held), held):
        other.execute("delete from raw_logs")
        store(other, logs)
        assert ours.digest(*blocks) == theirs.digest(*blocks)
        assert first_parting(ours, theirs, blocks) is None


PLACES = {
    "the first word it brings": lambda template: template.words[0],
    "the last word it brings": lambda template: template.words[-1],
    "a word of its template": lambda template: template.words[-1] + 1,
}


@pytest.mark.parametrize("word_of", PLACES.values(), ids=PLACES)
def test_databases_part_where_a_byte_does_however_they_hold_it(
    connection, other, recorded, held, word_of
):
    ours, theirs = sides(connection, other)
    blocks = int(recorded.block_number[0]), int(recorded.block_number[-1])
    logs, row = list(recorded), 1_000
    template = held.payloads.templates[held.payloads.which[row]]
    changed = bytearray(logs[row].data)
    changed[WORD * word_of(template) + WORD - 1] ^= 1
    logs[row] = replace(logs[row], data=bytes(changed))
    damaged = LogColumns.of(logs)
    store(connection, held)
    for stored in (damaged, shortened(decoded(damaged))):
        other.execute("delete from raw_logs")
        store(other, stored)
        parted = first_parting(ours, theirs, blocks)
        assert parted == logs[row].block_number
        found = difference(ours.of(parted, parted), theirs.of(parted, parted))
        assert found == f"log {logs[row].log_index:,} has another payload"


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
        "update raw_templates set words = []",
        "update raw_logs set data = data || '\\x00'::blob where template is not null",
        "update raw_logs set template = md5('another')::blob where template is not null",
    ],
)
def test_logs_that_are_not_their_templates_are_no_logs(connection, recorded, held, damage):
    store(connection, held)
    assert evidence.misshapen(connection, STREAM) is None
    connection.execute(damage)
    templated = count(connection, "select count(*) from raw_logs where template is not null")
    assert evidence.misshapen(connection, STREAM) == (recorded.block_number.min(), templated)
    with pytest.raises(AnalyzerError, match="stored logs are damaged"):
        read(connection)


@pytest.mark.parametrize(
    "damage",
    [
        "block_hash = null",
        "tx_hash = unhex('11')",
        "address = block_hash",
        "topic0 = null",
        "topic1 = unhex('1111')",
        "tx_index = null",
        "log_index = null",
        "block_time = null",
        "data = null",
    ],
)
def test_rows_with_values_missing_or_of_another_size_are_no_logs(connection, recorded, damage):
    store(connection, recorded[:50])
    block = int(recorded.block_number[20])
    connection.execute(f"update raw_logs set {damage} where block_number = ?", [block])
    rows = int((recorded[:50].block_number == block).sum())
    assert evidence.misshapen(connection, STREAM) == (block, rows)
    with pytest.raises(AnalyzerError, match="stored logs are damaged"):
        read(connection)


def test_hashes_of_other_sizes_that_make_up_for_each_other_are_no_hashes(connection, recorded):
    store(connection, recorded[:50])
    for block, size in ((recorded.block_number[0], 64), (recorded.block_number[49], 0)):
        connection.execute(
            "update raw_logs set tx_hash = ?::blob where block_number = ?",
            [bytes(size), int(block)],
        )
    with pytest.raises(AnalyzerError, match="stored logs are damaged"):
        read(connection)


@pytest.mark.parametrize("words", [[], [5], [-1], [1, 0], [0, 0]], ids=repr)
@pytest.mark.parametrize("size", [2 * WORD, 2 * WORD + 1])
def test_a_template_that_makes_no_sense_is_none_even_under_its_own_key(connection, words, size):
    crafted = Template(np.zeros(size, np.uint8), np.array(words, np.int64))
    templates.store(connection, [crafted])
    assert templates.stored(connection) == {}
