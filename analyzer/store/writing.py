"""Rows into tables, in bulk; what a column cannot hold is quarantined and said, never wrapped."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from decimal import Context, Decimal
from operator import attrgetter
from typing import Any, Final

import pyarrow as pa
from duckdb import DuckDBPyConnection

from analyzer.rows import TABLES, At, DataQuality, Row, columns
from analyzer.store import exact_json
from analyzer.store.arrow import MICROSECONDS

CONTEXT: Final = Context(prec=80)
DECIMAL_LIMIT: Final = 10**38
BIGINT_LIMIT: Final = 2**63
NOWHERE: Final = At(0, "", "", 0)


class TooLargeError(Exception):
    """A value that its column cannot hold."""


def write(connection: DuckDBPyConnection, rows: Iterable[Row]) -> None:
    """Append rows to their tables, and a ``data_quality`` row for each value that does not fit."""
    by_type: dict[type, list[Row]] = defaultdict(list)
    flat = list(rows)
    for row in flat:
        by_type[type(row)].append(row)
    quarantined: list[DataQuality] = []
    place = next((at for row in flat if (at := getattr(row, "at", None))), NOWHERE)
    for row_type, group in by_type.items():
        if row_type is not DataQuality:
            quarantined += _append(connection, row_type, group, place)
    complaints = by_type.get(DataQuality, []) + quarantined
    if complaints:
        _append(connection, DataQuality, complaints, place)


def insert(
    connection: DuckDBPyConnection,
    table: str,
    arrow: pa.Table,
    same: Mapping[str, int | str] | None = None,
) -> None:
    """Append an Arrow table by column name; ``same`` are columns with one value in all rows."""
    same = same or {}
    columns = "".join(f"? as {name}, " for name in same)
    connection.register("incoming", arrow)
    try:
        connection.execute(
            f"insert into {table} by name select {columns}* from incoming", list(same.values())
        )
    finally:
        connection.unregister("incoming")


def _append(
    connection: DuckDBPyConnection, row_type: type, rows: Sequence[Row], place: At
) -> list[DataQuality]:
    table = TABLES[row_type]
    quarantined: list[DataQuality] = []
    arrays: dict[str, pa.Array] = {}
    for (name, kind), cells in zip(columns(row_type).items(), _cells(row_type, rows), strict=True):
        arrow_type, convert = CONVERSIONS[kind]
        try:
            values = [None if cell is None else convert(cell) for cell in cells]
        except TooLargeError:
            values = []
            for row, cell in zip(rows, cells, strict=True):
                try:
                    values.append(None if cell is None else convert(cell))
                except TooLargeError:
                    values.append(None)
                    quarantined.append(_complaint(row, table, name, cell, place))
        arrays[name] = pa.array(values, arrow_type)
    insert(connection, table, pa.table(arrays))
    return quarantined


def _cells(row_type: type, rows: Sequence[Row]) -> Iterator[list[Any]]:
    """The rows' values, column by column, with ``at`` spread out."""
    for field in fields(row_type):
        values = list(map(attrgetter(field.name), rows))
        if field.name == "at":
            yield from _cells(At, values)
        else:
            yield values


def _complaint(row: Row, table: str, column: str, value: Any, place: At) -> DataQuality:
    subject = next(
        (
            str(getattr(row, name))
            for name in ("position_id", "margin_id", "price_id", "market", "account", "token")
            if getattr(row, name, None)
        ),
        "",
    )
    return DataQuality(
        at=getattr(row, "at", place),
        log_index=getattr(row, "log_index", -1),
        kind="overflow",
        subject=f"{table}.{column} {subject}".strip(),
        detail=f"{value} does not fit the column; the exact value is kept in inputs and outputs",
    )


def _decimal(value: int) -> Decimal:
    if abs(value) >= DECIMAL_LIMIT:
        raise TooLargeError
    return Decimal(value).scaleb(-18, CONTEXT)


def _bigint(value: int) -> int:
    if not -BIGINT_LIMIT <= value < BIGINT_LIMIT:
        raise TooLargeError
    return value


def _timestamp(value: int) -> int:
    return _bigint(value * MICROSECONDS)


def _same(value: Any) -> Any:
    return value


CONVERSIONS: Final[dict[str, tuple[pa.DataType, Callable[[Any], Any]]]] = {
    "VARCHAR": (pa.string(), _same),
    "BOOLEAN": (pa.bool_(), _same),
    "DOUBLE": (pa.float64(), float),
    "BIGINT": (pa.int64(), _bigint),
    "TIMESTAMP": (pa.timestamp("us"), _timestamp),
    "DECIMAL(38,18)": (pa.decimal128(38, 18), _decimal),
    "JSON": (pa.string(), exact_json.dump),
}
