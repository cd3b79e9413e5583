"""A database file is opened safely or refused clearly; nothing is ever half written."""

import subprocess
import sys
import textwrap
from pathlib import Path

import duckdb
import pytest

from analyzer.errors import AnalyzerError
from analyzer.rows import TABLES, At, Balances, DataQuality, columns
from analyzer.store.database import (
    ROWS_TOGETHER,
    first,
    open_for_reading,
    open_for_writing,
    transaction,
)
from analyzer.store.schema import RAW_VERSION, SCHEMA_VERSION
from analyzer.store.writing import write

AT = At(1, "toy", "one", 5)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "t.duckdb"


def balance(amount, account="0xa"):
    return Balances(at=AT, account=account, token="0xt", amount=amount)


def test_every_table_of_the_data_model_is_there(path):
    with open_for_writing(path) as connection:
        found = {
            table: dict(
                connection.execute(
                    "select column_name, data_type from duckdb_columns()"
                    " where table_name = ? order by column_index",
                    [table],
                ).fetchall()
            )
            for table in TABLES.values()
        }
    assert found == {table: columns(row_type) for row_type, table in TABLES.items()}


def test_no_table_has_a_column_that_loses_digits_outside(path):
    with open_for_writing(path) as connection:
        kinds = {
            kind
            for (kind,) in connection.execute("select data_type from duckdb_columns()").fetchall()
        }
    assert not kinds & {"HUGEINT", "UHUGEINT", "BIGNUM"}


def test_the_file_opens_in_the_duckdb_that_dashboards_carry(path):
    with open_for_writing(path):
        pass
    with duckdb.connect(str(path)) as connection:
        (tags,) = connection.execute("select tags from duckdb_databases()").fetchall()[0]
    assert tags["storage_version"].startswith("v1.2.0")


def test_an_error_inside_a_step_leaves_nothing_of_it(path):
    with open_for_writing(path) as connection:
        with pytest.raises(KeyError), transaction(connection):
            write(connection, [balance(1), "no row"])
        assert connection.execute("select count(*) from balances").fetchall()[0] == (0,)


def test_a_value_that_does_not_fit_is_quarantined_and_said(path):
    with open_for_writing(path) as connection:
        write(connection, [balance(10**38), balance(10**38 - 1, "0xb")])
        rows = connection.execute("select account, amount from balances order by 1").fetchall()
        complaint = connection.execute("select kind, subject from data_quality").fetchall()[0]
    assert rows[0] == ("0xa", None)
    assert str(rows[1][1]) == "9" * 20 + "." + "9" * 18
    assert complaint == ("overflow", "balances.amount 0xa")


def test_negative_and_tiny_amounts_are_exact(path):
    with open_for_writing(path) as connection:
        write(connection, [balance(-1)])
        (amount,) = connection.execute("select amount from balances").fetchall()[0]
    assert f"{amount:f}" == "-0.000000000000000001"


def test_a_reader_cannot_write_nor_reach_outside(path, tmp_path):
    with open_for_writing(path):
        pass
    with open_for_reading(path) as connection:
        for sql in (
            "insert into balances (account) values ('x')",
            f"copy (select 1) to '{tmp_path}/leak.csv'",
            f"select * from read_csv('{path}')",
            "set enable_external_access = true",
        ):
            with pytest.raises(duckdb.Error):
                connection.execute(sql)


def test_no_database_names_the_cure(path):
    with pytest.raises(AnalyzerError, match="run `perpscope index` first"), open_for_reading(path):
        pass


def test_a_newer_schema_is_refused_and_left_alone(path):
    with open_for_writing(path) as connection:
        connection.execute("update meta set schema_version = ?", [SCHEMA_VERSION + 1])
    before = path.read_bytes()
    for opener in (open_for_reading, open_for_writing):
        with pytest.raises(AnalyzerError, match="newer schema"), opener(path):
            pass
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("version", "cure"), [(SCHEMA_VERSION - 1, "index --rebuild"), (RAW_VERSION - 1, "--db")]
)
def test_an_older_schema_names_its_cure_and_is_left_alone(path, version, cure):
    with open_for_writing(path) as connection:
        connection.execute("update meta set schema_version = ?", [version])
    before = path.read_bytes()
    for opener in (open_for_reading, open_for_writing):
        with pytest.raises(AnalyzerError, match=f"earlier perpscope.*{cure}"), opener(path):
            pass
    assert path.read_bytes() == before


@pytest.mark.parametrize("content", [b"not a database", b"\x00" * 8192])
def test_a_file_of_another_kind_is_refused_and_left_alone(path, content):
    path.write_bytes(content)
    for opener in (open_for_reading, open_for_writing):
        with pytest.raises(AnalyzerError, match=r"--db|free space"), opener(path):
            pass
    assert path.read_bytes() == content


def test_someone_elses_database_is_refused(path):
    with duckdb.connect(str(path)) as connection:
        connection.execute("create table theirs (a int)")
    for opener in (open_for_reading, open_for_writing):
        with pytest.raises(AnalyzerError, match="not a perpscope database"), opener(path):
            pass


def test_a_second_writer_is_told_who_holds_the_file(path):
    with open_for_writing(path):
        pass
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            textwrap.dedent(f"""
                import pathlib
                from analyzer.store.database import open_for_writing
                with open_for_writing(pathlib.Path({str(path)!r})):
                    print("held", flush=True)
                    input()
            """),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert holder.stdout.readline() == "held\n"
        for opener in (open_for_writing, open_for_reading):
            with pytest.raises(AnalyzerError, match=f"process {holder.pid}"), opener(path):
                pass
    finally:
        holder.communicate("\n")
    with open_for_reading(path):
        pass


@pytest.mark.parametrize("opening", [open_for_writing, open_for_reading])
def test_what_duckdb_raises_for_ctrl_c_stops_a_run_as_ctrl_c_does(path, opening):
    """DuckDB takes the signal itself while it runs a query, and raises this in its place."""
    with open_for_writing(path):
        pass
    with pytest.raises(KeyboardInterrupt), opening(path):
        raise RuntimeError("Query interrupted")
    with pytest.raises(RuntimeError, match="another"), opening(path):
        raise RuntimeError("another")


def test_quarantine_rows_are_written_as_they_come(path):
    row = DataQuality(at=AT, kind="malformed", subject="s", detail="d")
    with open_for_writing(path) as connection:
        write(connection, [row])
        assert connection.execute("select log_index, kind from data_quality").fetchall()[0] == (
            -1,
            "malformed",
        )


def test_rows_are_written_in_small_groups_that_memory_holds(path):
    many = 3 * ROWS_TOGETHER
    for _ in range(2):  # a new file, and one that is there
        with open_for_writing(path) as connection, transaction(connection):
            connection.execute(f"insert into raw_results select i, '', '' from range({many}) t(i)")
    with open_for_reading(path) as connection:
        groups = connection.execute(
            "select row_group_id, sum(count) from pragma_storage_info('raw_results')"
            " where column_name = 'result_id' and segment_type = 'INTEGER' group by all"
        ).fetchall()
        assert first(connection, "select count(*) from raw_results") == (2 * many,)
    assert max(rows for _, rows in groups) == ROWS_TOGETHER
    assert [one.name for one in path.parent.iterdir()] == [path.name]


def test_a_file_may_have_any_name(tmp_path):
    path = tmp_path / 'it\'s "one"; memory.duckdb'
    with open_for_writing(path):
        pass
    with open_for_reading(path) as connection:
        assert first(connection, "select count(*) from meta") == (1,)


@pytest.mark.parametrize("name", [":memory:", "duckdb:one", "sqlite:one.db", "md:one", "a:1.db"])
def test_what_duckdb_would_not_take_for_a_file_is_a_file(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    with open_for_writing(Path(name)):
        pass
    assert [one.name for one in tmp_path.iterdir()] == [name]
    with open_for_reading(Path(name)) as connection:
        assert first(connection, "select count(*) from meta") == (1,)


def test_ctrl_c_while_a_file_is_opened_is_ctrl_c(path, monkeypatch):
    class Stopped:
        def execute(self, _sql):
            raise RuntimeError("Query interrupted")

        def close(self):
            closed.append(True)

    closed = []
    monkeypatch.setattr(duckdb, "connect", lambda **_: Stopped())
    with pytest.raises(KeyboardInterrupt), open_for_writing(path):
        pass
    assert closed
