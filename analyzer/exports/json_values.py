"""Rows as JSON objects that no reader rounds, in ASCII that no terminal obeys."""

import json
import math
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from analyzer.exports.values import exact
from analyzer.findings.model import Column, Row, Value

SAFE_INTEGER: Final = 2**53


def dump(columns: Sequence[Column], row: Row) -> str:
    """One object. Decimals are strings, so that a column has one type whatever its values."""
    return json.dumps(
        {
            column.name: _embedded(value) if column.type == "JSON" else _value(value)
            for column, value in zip(columns, row, strict=True)
        },
        allow_nan=False,
    )


def _embedded(value: Value) -> Any:
    if not isinstance(value, str):
        return value
    return _safe(json.loads(value, parse_float=str))


def _value(value: Value) -> Any:
    if isinstance(value, Decimal | datetime):
        return exact(value)
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return _safe(value)


def _safe(value: Any) -> Any:
    if isinstance(value, int) and abs(value) > SAFE_INTEGER:
        return str(value)
    if isinstance(value, dict):
        return {key: _safe(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_safe(item) for item in value]
    return value
