"""Event tables: what logs say, and nothing that a hostile contract could break them with."""

from dataclasses import replace
from decimal import Decimal

import duckdb
import pytest

from analyzer.event_columns import Known, decode
from analyzer.log_columns import LogColumns
from analyzer.protocol import Deployment
from analyzer.store.event_rows import PLACE, prepare
from analyzer.store.event_tables import MOST_COLUMNS, append, catalog, forget_after
from tests.indexer.chains import DEPLOYMENT, UPDATE_FUNDING, Chain

EVENTS = [Known.of(UPDATE_FUNDING)]
TABLE = "event_gmx_v1_update_funding_rate"
ODD = Deployment("gmx_v2", "odd", 1, 1, {})


@pytest.fixture
def connection():
    with duckdb.connect() as opened:
        yield opened


def store(connection, logs, events=EVENTS, deployment=DEPLOYMENT):
    told = prepare(deployment, decode(events, logs))
    append(connection, deployment, told, catalog(connection, deployment.protocol))


def logs_of(chain, last=40):
    every = [log for number in range(1, last) for log in chain.logs_of(number)]
    return LogColumns.of([log for log in every if log.topics == (UPDATE_FUNDING.topic,)])


def test_each_value_has_its_column(connection):
    logs = logs_of(Chain())
    store(connection, logs)
    rows = connection.execute(
        "select chain_id, deployment, block_number, log_index, epoch(block_time)::bigint,"
        f' contract, "token", "fundingRate" from {TABLE} order by 3, 4'
    ).fetchall()
    assert rows == [
        (1, "test", log.block_number, log.log_index, log.block_time, log.address,
         UPDATE_FUNDING.decode(log)["token"], Decimal(UPDATE_FUNDING.decode(log)["fundingRate"]))
        for log in logs
    ]  # fmt: skip
    assert len(rows) > 5


def test_a_number_of_more_than_38_digits_is_null(connection):
    (log,) = logs_of(Chain())[:1]
    words = [10**38 - 1, 10**38, 2**256 - 1]
    many = [log.data[:32] + word.to_bytes(32) for word in words]
    store(connection, LogColumns.of([replace(log, data=data) for data in many]))
    assert connection.execute(f'select "fundingRate" from {TABLE}').fetchall() == [
        (Decimal(10**38 - 1),), (None,), (None,),
    ]  # fmt: skip


def odd(connection, values, name="Odd"):
    """Store one log that only eth-abi can read, with these values."""
    logs = logs_of(Chain())[:1]
    known = Known(name, UPDATE_FUNDING.topic, lambda _: values)
    store(connection, logs, [known], ODD)


def test_names_that_are_no_plain_names_are_left_out(connection):
    hostile = {'x"; drop table t; --': 1, "": 2, "a b": 3, "é": 4, "chain_id": 5, "n" * 64: 6}
    odd(connection, hostile | {"market": "0xab", "Market": "0xcd", "ok": 7})
    described = connection.execute("select * from event_gmx_v2_odd").description
    names = [column[0] for column in described]
    assert names == [*PLACE, "market", "ok"]
    (row,) = connection.execute("select * from event_gmx_v2_odd").fetchall()
    assert (row[0], row[-2:]) == (1, ("0xab", Decimal(7)))


def test_a_later_log_may_add_columns_but_not_change_their_type(connection):
    odd(connection, {"a": 1})
    odd(connection, {"a": "text", "b": True, "c": b"\1\2"})
    odd(connection, {"a": 2**200})
    rows = connection.execute("select a, b, c from event_gmx_v2_odd order by all").fetchall()
    assert sorted(rows, key=repr) == [
        (Decimal(1), None, None), (None, None, None), (None, True, "0x0102"),
    ]  # fmt: skip


def test_a_table_grows_to_so_many_columns_only(connection):
    for start in range(0, 300, 100):
        odd(connection, {f"value{number}": number for number in range(start, start + 100)})
    described = connection.execute("select * from event_gmx_v2_odd").description
    assert len(described) == MOST_COLUMNS


def test_what_logs_above_a_block_said_is_dropped(connection):
    logs = logs_of(Chain())
    store(connection, logs)
    forget_after(connection, DEPLOYMENT, 20)
    kept = connection.execute(f"select block_number from {TABLE} order by 1").fetchall()
    assert kept == [(log.block_number,) for log in logs if log.block_number <= 20]
