"""The digest of logs: as it is described, and another one where anything differs."""

from dataclasses import replace
from hashlib import sha256
from itertools import permutations

import numpy as np
import pytest

from analyzer.evm import Log
from analyzer.log_columns import LogColumns
from analyzer.payloads import WORD, Template
from analyzer.store.digest import Digest, digest


def log_of(number, data):
    return Log(
        block_number=number, block_hash="0x" + "11" * 32, tx_hash="0x" + "22" * 32, tx_index=3,
        log_index=4, address="0x" + "55" * 20, topics=("0x" + "66" * 32, "0x" + "77" * 32),
        data=data, block_time=8,
    )  # fmt: skip


LOGS = [log_of(1, b"\1" * 64), log_of(2, b"abc"), log_of(300, b""), log_of(2**40, b"\2" * 64)]
COLUMNS = LogColumns.of(LOGS)
ONES, TWOS = (
    Template(np.frombuffer(bytes(WORD) + byte * WORD, np.uint8), np.array([0]))
    for byte in (b"\1", b"\2")
)
HELD = replace(
    COLUMNS, payloads=COLUMNS.payloads.shortened([(TWOS, np.array([3])), (ONES, np.array([0]))])
)


def described(pieces, keys):
    """The digest of the logs, column by column."""
    columns = [
        b"".join(value(log).to_bytes(8, "little") for log in LOGS)
        for value in (
            lambda log: log.block_number, lambda log: log.log_index, lambda log: log.tx_index,
            lambda log: len(log.topics), lambda log: len(log.data),
        )
    ]  # fmt: skip
    columns += [
        b"".join(bytes.fromhex(value(log)) for log in LOGS)
        for value in (
            lambda log: log.block_hash[2:], lambda log: log.tx_hash[2:],
            lambda log: log.address[2:],
            lambda log: "".join(topic[2:] for topic in log.topics) + "00" * 64,
        )
    ]  # fmt: skip
    columns += [b"".join(keys), b"".join(pieces)]
    return sha256(b"".join(sha256(column).digest() for column in columns)).hexdigest()


def test_a_digest_is_what_it_is_described_to_be():
    whole, none = [log.data for log in LOGS], bytes(32)
    assert digest(COLUMNS) == described(whole, [none] * 4)
    short = [b"\1" * 32, b"abc", b"", b"\2" * 32]
    assert digest(HELD) == described(short, [ONES.key, none, none, TWOS.key])
    assert digest(HELD.unpacked()) == digest(COLUMNS)


@pytest.mark.parametrize("logs", [COLUMNS, HELD], ids=["as a whole", "by templates"])
def test_logs_that_come_in_parts_have_the_digest_of_the_whole(logs):
    for start in range(5):
        for end in range(start, 5):
            running = Digest()
            for part in (logs[:start], logs[start:end], logs[end:]):
                running.add(part)
            assert running.hexdigest() == digest(logs)


OTHER = {
    "block_number": 3, "block_hash": "0x" + "99" * 32, "tx_hash": "0x" + "99" * 32, "tx_index": 5,
    "log_index": 5, "address": "0x" + "99" * 20, "topics": ("0x" + "66" * 32, "0x" + "78" * 32),
    "data": b"abd",
}  # fmt: skip


@pytest.mark.parametrize("name", OTHER)
def test_logs_that_differ_in_one_value_have_another_digest(name):
    changed = [LOGS[0], replace(LOGS[1], **{name: OTHER[name]}), *LOGS[2:]]
    assert digest(LogColumns.of(changed)) != digest(COLUMNS)


def test_topics_that_are_not_there_are_none_of_zeros():
    longer = replace(LOGS[1], topics=(*LOGS[1].topics, "0x" + "00" * 32))
    assert digest(LogColumns.of([longer])) != digest(COLUMNS[1:2])


def test_data_is_told_apart_where_it_is_cut_otherwise_and_in_another_order():
    cuts = [[b"ab", b"c", b""], [b"a", b"bc", b""], [b"abc", b"", b""], [b"", b"a", b"bc"]]
    orders = [[one, b"x", b"yz"] for one in (b"", b"w")]
    lists = [*cuts, *(list(order) for one in orders for order in permutations(one))]
    digests = {digest(LogColumns.of([log_of(1, data) for data in one])) for one in lists}
    assert len(digests) == len(lists)


def test_logs_are_told_apart_that_differ_only_in_the_template_that_holds_them():
    """The words that they bring are the same."""
    data = [bytes(WORD) + byte * WORD for byte in (b"\1", b"\2")]
    ones, twos = (LogColumns.of([log_of(1, one)]) for one in data)
    held = [
        replace(logs, payloads=logs.payloads.shortened([(template, np.array([0]))]))
        for logs, template in ((ones, ONES), (twos, TWOS))
    ]
    assert held[0].payloads.data.tobytes() == held[1].payloads.data.tobytes()
    assert digest(held[0]) != digest(held[1])
