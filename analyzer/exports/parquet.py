"""Parquet with exact types: amounts stay DECIMAL, nothing becomes a double on its way."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, BinaryIO, Final

from analyzer.exports.flat import table
from analyzer.findings.model import Column, Finding, Result, Value

EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001  times are UTC without a zone
MICROSECOND: Final = timedelta(microseconds=1)


def write(results: Sequence[Result], resolved: Sequence[Finding], stream: BinaryIO) -> None:
    """Write all rows as one Parquet file; an empty result keeps its columns."""
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.parquet as pq  # noqa: PLC0415

    columns, rows = table(results, resolved)
    cells = list(zip(*rows, strict=True)) if rows else [()] * len(columns)
    arrays = {
        column.name: pa.array(_values(column, values), _arrow_type(column))
        for column, values in zip(columns, cells, strict=True)
    }
    pq.write_table(pa.table(arrays), stream, compression="zstd")


def _arrow_type(column: Column) -> Any:
    import pyarrow as pa  # noqa: PLC0415

    simple = {
        "VARCHAR": pa.string(),
        "JSON": pa.string(),
        "BOOLEAN": pa.bool_(),
        "TIMESTAMP": pa.timestamp("us"),
        "DOUBLE": pa.float64(),
    }
    if column.type.startswith("DECIMAL"):
        precision, scale = column.type.removeprefix("DECIMAL(").removesuffix(")").split(",")
        return pa.decimal128(int(precision), int(scale))
    return simple.get(column.type, pa.int64())


def _values(column: Column, values: Sequence[Value]) -> Sequence[Any]:
    if column.type != "TIMESTAMP":
        return values
    far = _far_times(sorted({value for value in values if isinstance(value, str)}))
    return [
        (value - EPOCH) // MICROSECOND if isinstance(value, datetime) else far.get(value)
        for value in values
    ]


def _far_times(texts: Sequence[str]) -> dict[Value, int]:
    """Microseconds of times beyond Python's calendar, which DuckDB hands out as text."""
    if not texts:
        return {}
    import duckdb  # noqa: PLC0415

    with duckdb.connect() as connection:
        found = connection.execute(
            "select text, epoch_us(text::timestamp) from (select unnest($texts) as text)",
            {"texts": list(texts)},
        ).fetchall()
    return dict(found)
