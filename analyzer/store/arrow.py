"""NumPy columns as Arrow arrays: by their buffers, without a copy and without pandas' import."""

from binascii import hexlify
from typing import Any, Final

import numpy as np
import pyarrow as pa

from analyzer.arrays import Bytes, Mask, Numbers, offsets_of

MICROSECONDS: Final = 1_000_000
LAST_TIME: Final = 2**63 // MICROSECONDS
"""Unix seconds that a timestamp no longer holds."""


def whole_numbers(values: Numbers, present: Mask | None = None) -> pa.Array:
    """Signed 64-bit numbers, null where they are not present."""
    column = pa.py_buffer(np.ascontiguousarray(values, np.int64))
    return pa.Array.from_buffers(pa.int64(), len(values), [validity(present), column])


def times(seconds: Numbers) -> pa.Array:
    """Unix seconds as timestamps in UTC; what is negative or too large for one is null."""
    known = (seconds >= 0) & (seconds < LAST_TIME)
    micros = whole_numbers(np.where(known, seconds, 0) * MICROSECONDS, known)
    return micros.view(pa.timestamp("us"))


def booleans(values: Mask) -> pa.Array:
    """True and false, a bit each."""
    return pa.Array.from_buffers(pa.bool_(), len(values), [None, validity(values)])


def blobs(rows: Bytes, present: Mask | None = None) -> pa.Array:
    """Rows of bytes, null where they are not present."""
    if present is None or present.all():
        offsets = np.arange(len(rows) + 1, dtype=np.int64) * rows.shape[1]
        return payloads(np.ascontiguousarray(rows).ravel(), offsets)
    offsets = offsets_of(present * rows.shape[1])
    return payloads(rows[present].ravel(), offsets, present)


def payloads(data: Bytes, offsets: Numbers, present: Mask | None = None) -> pa.Array:
    """Bytes of any length: end to end, and where each begins and the last one ends."""
    ends = pa.py_buffer(np.ascontiguousarray(offsets))
    values = pa.py_buffer(np.ascontiguousarray(data))
    return pa.Array.from_buffers(
        pa.large_binary(), len(offsets) - 1, [validity(present), ends, values]
    )


def places_of(column: pa.ChunkedArray) -> dict[Any, Numbers]:
    """Where each value of a column stands; nulls are left out."""
    encoded = column.combine_chunks().dictionary_encode()
    codes = encoded.indices.fill_null(-1).to_numpy()
    return {
        value: np.flatnonzero(codes == code)
        for code, value in enumerate(encoded.dictionary.to_pylist())
    }


def hex_texts(rows: Bytes) -> pa.Array:
    """Rows of bytes as lower-case ``0x`` text."""
    count, size = rows.shape
    digits = hexlify(np.ascontiguousarray(rows).data)
    text = np.empty((count, 2 + 2 * size), np.uint8)
    text[:, :2] = np.frombuffer(b"0x", np.uint8)
    text[:, 2:] = np.frombuffer(digits, np.uint8).reshape(count, 2 * size)
    offsets = np.arange(count + 1, dtype=np.int64) * text.shape[1]
    return pa.Array.from_buffers(
        pa.large_string(), count, [None, pa.py_buffer(offsets), pa.py_buffer(text)]
    )


def validity(present: Mask | None) -> pa.Buffer | None:
    """The bits that say which values are there."""
    if present is None:
        return None
    return pa.py_buffer(np.packbits(present, bitorder="little").tobytes())
