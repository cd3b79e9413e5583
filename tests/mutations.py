"""Logs damaged as a hostile contract or a broken node might, from a seed."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from random import Random

import numpy as np

from analyzer.arrays import Numbers
from analyzer.event_columns import Known, decode, shortened
from analyzer.evm import Log
from analyzer.log_columns import LogColumns
from analyzer.payloads import WORD, Template
from analyzer.reads import MalformedError

NUMBERS = [0, 1, 2, 31, 32, 33, 64, 96, 2**16, 2**31, 2**32, 2**63, 2**64 - 1, 2**255, 2**256 - 1]


Expected = tuple[Known | None, object]
"""The event, and its values by name or the reason why there are none."""


def mutated(
    random: Random, known: Sequence[Known], seeds: Sequence[Log], count: int
) -> list[tuple[Log, Expected]]:
    """Damaged logs with what eth-abi makes of them; what it accepts is damaged further."""
    sound = list(seeds)
    made = [(log, oracle(known, log)) for log in seeds]
    while len(made) < count:
        log = random.choice(sound[-20:] if random.random() < 0.5 else sound)
        for _ in range(random.choice((1, 1, 1, 1, 2, 3))):
            log = random.choice(DAMAGES)(random, log)
        expected = oracle(known, log)
        made.append((log, expected))
        if isinstance(expected[1], dict) and expected[1]:
            sound.append(log)
    return made


def differences(known: Sequence[Known], logs: Sequence[Log]) -> list[tuple[Log, object, object]]:
    """Logs of which bulk decoding says something else than decoding each by itself does."""
    return wrong_of(known, [(log, oracle(known, log)) for log in logs])


def wrong_of(
    known: Sequence[Known], cases: Sequence[tuple[Log, Expected]]
) -> list[tuple[Log, object, object]]:
    """Cases in which decoding the whole batch, however it is held, gives something else."""
    wrong: list[tuple[Log, object, object]] = []
    for events, batch in _batches(known, [log for log, _ in cases]):
        decoded, asked = decode(events, batch), dict(zip(events, known, strict=True))
        rows = [row for group in decoded.groups for row in group.rows.tolist()]
        rows += [row for row, *_ in (*decoded.singly, *decoded.malformed)]
        assert len(rows) == len(set(rows))
        for (log, expected), (same, event, found) in zip(cases, decoded, strict=True):
            assert same == log
            got = str(found) if isinstance(found, MalformedError) else found
            if (event and asked[event], got) != expected or not _same_types(got, expected[1]):
                wrong.append((log, expected, got))
    return wrong


def _batches(
    known: Sequence[Known], logs: Sequence[Log]
) -> Iterator[tuple[Sequence[Known], Sequence[Log]]]:
    """The logs, as columns too, and held by templates, with the events they are decoded by.

    The templates are of the layouts that another decode learned, and hold whatever they fit, or are
    of no layout at all. They are decoded by who has learned layouts and by who has not.
    """
    columns = LogColumns.of(logs)
    yield known, logs
    yield known, columns
    learned = shortened(decode(_anew(known), columns)).payloads.templates
    for batch in (_held_by(columns, learned), _held_in_pairs(columns)):
        assert batch == columns
        yield known, batch
        yield _anew(known), batch


def _anew(known: Sequence[Known]) -> list[Known]:
    """The same events, of which no layout was learned."""
    return [replace(one, learned={}) for one in known]


def _held_by(logs: LogColumns, templates: Sequence[Template]) -> LogColumns:
    """The logs, by these templates wherever one has all the bytes that it is to have."""
    payloads = logs.payloads
    for template in templates:
        rows = np.flatnonzero(logs.lengths == len(template.data))
        words = payloads.texts(rows, len(template.data)).reshape(len(rows), -1, WORD)
        words[:, template.words] = 0
        fits = (words == template.data.reshape(-1, WORD)).all(axis=(1, 2))
        payloads = payloads.shortened([(template, rows[fits])])
    return replace(logs, payloads=payloads)


def _held_in_pairs(logs: LogColumns) -> LogColumns:
    """The logs, two of a length at a time held by a template of what is the same in them."""
    rows_of: list[tuple[Template, Numbers]] = []
    for length in np.unique(logs.lengths[logs.lengths > 0]).tolist():
        if length % WORD:
            continue
        rows = np.flatnonzero(logs.lengths == length)
        for pair in rows[: len(rows) // 2 * 2].reshape(-1, 2):
            one, other = logs.payloads.texts(pair, length).reshape(2, -1, WORD)
            words = np.flatnonzero((one != other).any(axis=1))
            words = words if len(words) else np.array([0])
            one[words] = 0
            rows_of.append((Template(one.reshape(-1), words), pair))
    return replace(logs, payloads=logs.payloads.shortened(rows_of))


def oracle(known: Sequence[Known], log: Log) -> Expected:
    """What eth-abi makes of a log: values by name, or why there are none."""
    for event in known:
        if event.addresses and log.address not in event.addresses:
            continue
        if log.topics[event.position : event.position + 1] == (event.topic,):
            try:
                return event, event.slowly(log)
            except MalformedError as error:
                return event, str(error)
    return None, {}


def _same_types(one: object, other: object) -> bool:
    """A truth value equals 1, but is none."""
    if isinstance(one, dict) and isinstance(other, dict):
        return [*map(type, one.values())] == [*map(type, other.values())] and [*one] == [*other]
    return type(one) is type(other)


def _flip_bit(random: Random, log: Log) -> Log:
    if not log.data:
        return log
    changed = bytearray(log.data)
    changed[random.randrange(len(changed))] ^= 1 << random.randrange(8)
    return replace(log, data=bytes(changed))


def _put(log: Log, at: int, word: bytes) -> Log:
    return replace(log, data=(log.data[:at] + word + log.data[at + WORD :])[: len(log.data)])


def _hostile_number(random: Random, log: Log) -> Log:
    length = len(log.data)
    numbers = [*NUMBERS, length, length - WORD, length + 1, random.randrange(2**256)]
    number = random.choice(numbers) if random.random() < 0.6 else WORD * random.randrange(80)
    at = WORD * random.randrange(length // WORD + 1)
    return _put(log, at, (number % 2**256).to_bytes(WORD))


def _nudged_number(random: Random, log: Log) -> Log:
    """A word a little larger or smaller: an offset that points beside, a value that differs."""
    at = WORD * random.randrange(len(log.data) // WORD + 1)
    word = int.from_bytes(log.data[at : at + WORD])
    by = random.choice((-64, -32, -1, 1, 32, 64, WORD * random.randrange(-40, 40)))
    return _put(log, at, ((word + by) % 2**256).to_bytes(WORD))


def _copied_word(random: Random, log: Log) -> Log:
    words = len(log.data) // WORD + 1
    source, target = WORD * random.randrange(words), WORD * random.randrange(words)
    return _put(log, target, log.data[source : source + WORD].ljust(WORD, b"\0"))


def _negative_padding(random: Random, log: Log) -> Log:
    """Ones where a word's padding is."""
    size = random.randrange(WORD)
    at = WORD * random.randrange(len(log.data) // WORD + 1)
    return _put(log, at, b"\xff" * (WORD - size) + log.data[at + WORD - size : at + WORD])


def _truncated(random: Random, log: Log) -> Log:
    cut = random.choice((1, 31, WORD, 33, random.randrange(len(log.data) + 1)))
    return replace(log, data=log.data[: max(0, len(log.data) - cut)])


def _extended(random: Random, log: Log) -> Log:
    return replace(log, data=log.data + random.randbytes(random.choice((1, 31, WORD, 33))))


def _random_data(random: Random, log: Log) -> Log:
    return replace(log, data=random.randbytes(len(log.data)))


def _topic_changed(random: Random, log: Log) -> Log:
    if not log.topics:
        return log
    at = random.randrange(len(log.topics))
    raw = bytearray.fromhex(log.topics[at][2:])
    raw[random.randrange(WORD)] ^= 1 << random.randrange(8)
    return replace(log, topics=(*log.topics[:at], "0x" + raw.hex(), *log.topics[at + 1 :]))


def _topics_counted_wrong(random: Random, log: Log) -> Log:
    more = "0x" + random.choice(("00", "ff")) * WORD
    return replace(log, topics=random.choice((log.topics[:-1], (*log.topics, more)[:4])))


DAMAGES: list[Callable[[Random, Log], Log]] = [
    _flip_bit, _flip_bit, _hostile_number, _hostile_number, _nudged_number, _nudged_number,
    _copied_word, _negative_padding, _truncated, _extended, _random_data, _topic_changed,
    _topics_counted_wrong,
]  # fmt: skip
