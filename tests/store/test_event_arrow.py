"""Event words as Arrow columns: every value exactly, and null where its column cannot hold it."""

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from eth_abi.abi import encode
from hypothesis import given, settings
from hypothesis import strategies as st

from analyzer.store.arrow import hex_texts
from analyzer.store.event_arrow import arrow_column, column_type

SIZES = [8, 24, 56, 64, 72, 120, 128, 136, 248, 256]
LIMIT = 10**38


def words_of(kind, values):
    raw = b"".join(encode([kind], [value]) for value in values)
    return np.frombuffer(raw, np.uint8).reshape(-1, 32)


def edges(low, high):
    """Numbers in the range, often where types end."""
    ends = [sign * end + near for end in (0, 2**31, 2**63, 2**64, 2**127, 2**128, LIMIT, 2**255)
            for sign in (1, -1) for near in (-1, 0, 1)]  # fmt: skip
    near = [end for end in [*ends, low, high] if low <= end <= high]
    return st.sampled_from(near) | st.integers(low, high)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", ["uint", "int"])
@given(data=st.data())
@settings(max_examples=30, deadline=None)
def test_numbers_are_exact_or_null_where_they_have_more_than_38_digits(name, size, data):
    low, high = (0, 2**size - 1) if name == "uint" else (-(2 ** (size - 1)), 2 ** (size - 1) - 1)
    values = data.draw(st.lists(edges(low, high), max_size=12))
    kind = f"{name}{size}"
    column = arrow_column(kind, words_of(kind, values))
    column.validate(full=True)
    assert [None if value is None else int(value) for value in column.to_pylist()] == [
        value if abs(value) < LIMIT else None for value in values
    ]
    assert column.type == (pa.int64() if column_type(kind) == "BIGINT" else pa.decimal128(38, 0))


@given(st.lists(st.booleans(), max_size=20))
def test_booleans_are_booleans(values):
    assert arrow_column("bool", words_of("bool", values)).to_pylist() == values


@given(st.lists(st.binary(min_size=20, max_size=20), max_size=9))
def test_addresses_are_lower_case_text(values):
    column = arrow_column("address", words_of("address", ["0x" + one.hex() for one in values]))
    column.validate(full=True)
    assert column.to_pylist() == ["0x" + one.hex() for one in values]


@pytest.mark.parametrize("size", [1, 20, 31, 32])
@given(data=st.data())
@settings(max_examples=20, deadline=None)
def test_fixed_bytes_are_hexadecimal_text(size, data):
    values = data.draw(st.lists(st.binary(min_size=size, max_size=size), max_size=9))
    column = arrow_column(f"bytes{size}", words_of(f"bytes{size}", values))
    column.validate(full=True)
    assert column.to_pylist() == ["0x" + one.hex() for one in values]


def test_a_column_of_a_wider_table_is_read_in_place():
    words = np.arange(4 * 3 * 32, dtype=np.uint8).reshape(4, 3, 32)
    assert hex_texts(words[:, 1, 12:]).to_pylist() == [
        "0x" + words[row, 1, 12:].tobytes().hex() for row in range(4)
    ]


def test_duckdb_takes_the_columns_as_the_types_they_say():
    kinds = ["address", "bytes32", "bool", "uint24", "int64", "uint64", "int256"]
    values = ["0x" + "ab" * 20, b"\1" * 32, True, 7, -(2**63), 2**64 - 1, -(10**38) + 1]
    table = pa.table(
        {kind: arrow_column(kind, words_of(kind, [value]))
         for kind, value in zip(kinds, values, strict=True)}
    )  # fmt: skip
    with duckdb.connect() as connection:
        connection.register("incoming", table)
        described = connection.execute("describe incoming").fetchall()
        assert [row[1] for row in described] == [column_type(kind) for kind in kinds]
        (got,) = connection.execute("select * from incoming").fetchall()
    assert got == (values[0], "0x" + "01" * 32, *values[2:])
