"""Columns of event words as Arrow arrays, by whole columns: no value becomes a Python object.

What an SQL type cannot hold is null; the exact word stays in the raw log.
"""

from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from analyzer.arrays import Bytes
from analyzer.layout import size_of
from analyzer.payloads import WORD
from analyzer.store.arrow import booleans, hex_texts, validity, whole_numbers
from analyzer.store.writing import DECIMAL_LIMIT

BIGINT_BYTES: Final = 8


def column_type(kind: str) -> str:
    """The SQL type of values of a static ABI type."""
    if kind == "bool":
        return "BOOLEAN"
    if kind == "address" or kind.startswith("bytes"):
        return "VARCHAR"
    # uint64 reaches beyond a signed 64-bit number
    fits = size_of(kind) < BIGINT_BYTES or kind == "int64"
    return "BIGINT" if fits else "DECIMAL(38,0)"


def arrow_column(kind: str, words: Bytes) -> pa.Array:
    """Words of a static ABI type, ``[rows, 32]``, as an array of its column type."""
    match column_type(kind):
        case "BOOLEAN":
            return booleans(words[:, WORD - 1] != 0)
        case "BIGINT":
            return whole_numbers(_limbs(words)[:, 3].astype(np.int64))
        case "DECIMAL(38,0)":
            return _decimals(words, is_signed=kind.startswith("int"))
    size = size_of(kind)
    return hex_texts(words[:, :size] if kind.startswith("bytes") else words[:, WORD - size :])


def _decimals(words: Bytes, *, is_signed: bool) -> pa.Array:
    """Numbers of up to 38 digits: a decimal is the low half of the word, the lower limb first."""
    limbs = _limbs(words)
    high, low = limbs[:, 2].astype(np.int64), limbs[:, 3]
    if is_signed:
        sign = limbs[:, 0] >> np.uint64(63)
        padding = np.where(sign == 1, np.uint64(2**64 - 1), np.uint64(0))
        fits = (limbs[:, 0] == padding) & (limbs[:, 1] == padding) & ((high < 0) == (sign == 1))
        fits &= ~_is_less(high, low, 1 - DECIMAL_LIMIT)
    else:
        fits = (limbs[:, 0] | limbs[:, 1] == 0) & (high >= 0)
    fits &= _is_less(high, low, DECIMAL_LIMIT)
    halves = np.ascontiguousarray(limbs[:, :1:-1], "<u8")
    return pa.Array.from_buffers(
        pa.decimal128(38, 0),
        len(words),
        [validity(fits), pa.py_buffer(halves)],
    )


def _limbs(words: Bytes) -> NDArray[np.uint64]:
    """The four 64-bit parts of each word, the highest first."""
    return np.ascontiguousarray(words).view(">u8").astype(np.uint64)


def _is_less(high: NDArray[np.int64], low: NDArray[np.uint64], limit: int) -> NDArray[np.bool_]:
    """Whether 128-bit numbers, as two halves, are less than another."""
    limit_high, limit_low = np.int64(limit >> 64), np.uint64(limit % 2**64)
    less: NDArray[np.bool_] = (high < limit_high) | ((high == limit_high) & (low < limit_low))
    return less
