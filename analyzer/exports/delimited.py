"""CSV: text quoted, numbers and nulls bare, and no cell that a spreadsheet would execute."""

import re
from collections.abc import Sequence
from typing import Final, TextIO

from analyzer.exports.flat import table
from analyzer.exports.text import neutral, put
from analyzer.exports.values import exact
from analyzer.findings.model import Column, Finding, Result, Value

FORMULA: Final = ("=", "+", "-", "@", "＝", "＋", "－", "＠")  # noqa: RUF001  full-width forms
NUMBER: Final = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?")


def write(results: Sequence[Result], resolved: Sequence[Finding], stream: TextIO) -> None:
    """Write all rows under one header line."""
    columns, rows = table(results, resolved)
    put(stream, ",".join(column.name for column in columns) + "\n")
    for row in rows:
        cells = (_cell(column, value) for column, value in zip(columns, row, strict=True))
        put(stream, ",".join(cells) + "\n")


def _cell(column: Column, value: Value) -> str:
    if value is None or column.type not in {"VARCHAR", "JSON"}:
        return exact(value)
    text = neutral(exact(value))
    if text.startswith(FORMULA) and not NUMBER.fullmatch(text):
        text = "'" + text
    return '"' + text.replace('"', '""') + '"'
