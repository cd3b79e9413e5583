"""Logs as columns are the same logs."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from analyzer.evm import Log
from analyzer.log_columns import LogColumns

HASHES = st.binary(min_size=32, max_size=32).map(lambda raw: "0x" + raw.hex())
NUMBERS = st.integers(0, 2**63 - 1)
LOGS = st.lists(
    st.builds(
        Log,
        block_number=NUMBERS,
        block_hash=HASHES,
        tx_hash=HASHES,
        tx_index=NUMBERS,
        log_index=NUMBERS,
        address=st.binary(min_size=20, max_size=20).map(lambda raw: "0x" + raw.hex()),
        topics=st.lists(HASHES, max_size=4).map(tuple),
        data=st.binary(max_size=70),
        block_time=st.none() | NUMBERS,
    ),
    max_size=8,
)


@given(LOGS)
def test_columns_give_back_the_logs(logs):
    columns = LogColumns.of(logs)
    assert list(columns) == logs
    assert columns == logs
    assert [columns[i] for i in range(-len(logs), len(logs))] == logs + logs
    assert columns == LogColumns.of(list(columns))


@given(LOGS, st.data())
def test_taking_rows_is_taking_logs(logs, data):
    columns = LogColumns.of(logs)
    places = data.draw(st.lists(st.integers(0, len(logs) - 1), max_size=12)) if logs else []
    assert list(columns.take(np.array(places, np.int64))) == [logs[place] for place in places]
    wanted = np.array([place in places for place in range(len(logs))], np.bool_)
    assert list(columns.take(wanted)) == [
        log for log, keep in zip(logs, wanted, strict=True) if keep
    ]
    start, stop = sorted(data.draw(st.tuples(st.integers(-9, 9), st.integers(-9, 9))))
    assert list(columns[start:stop]) == logs[start:stop]


@given(st.lists(LOGS, max_size=4))
def test_joined_columns_hold_all_logs_in_order(parts):
    joined = LogColumns.join([LogColumns.of(part) for part in parts])
    assert list(joined) == [log for part in parts for log in part]


@given(LOGS, LOGS)
def test_columns_are_equal_only_where_the_logs_are(one, other):
    assert (LogColumns.of(one) == LogColumns.of(other)) == (one == other)
