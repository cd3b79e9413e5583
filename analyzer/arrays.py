"""Bytes and whole numbers as NumPy arrays, and pieces of bytes that lie end to end."""

from collections.abc import Iterator, Sequence
from threading import Lock
from typing import Final

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Numbers = NDArray[np.int64]
Mask = NDArray[np.bool_]

TURN: Final = Lock()
"""Held by who reads an answer in bulk or decodes what was fetched: NumPy lets other threads in at
each of its many steps, and two that alternate so take far longer than one after the other."""


def offsets_of(lengths: Sequence[int] | Numbers) -> Numbers:
    """Where pieces of these lengths begin that lie end to end, and where the last one ends."""
    offsets = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return offsets


def windows(data: Bytes, width: int) -> Bytes:
    """The ``width`` bytes that begin at each place, without a copy; writing to it writes there."""
    return np.ndarray((max(0, len(data) - width + 1), width), np.uint8, data, strides=(1, 1))


def parts(rows: Numbers, size: int, at_once: int) -> Iterator[Numbers]:
    """The rows, each of so many bytes, as many at a time as take up ``at_once`` bytes."""
    step = max(1, at_once // max(1, size))
    return (rows[begin : begin + step] for begin in range(0, len(rows), step))


def by_value(values: Numbers) -> Iterator[Numbers]:
    """The places of equal values, in their order."""
    order = np.argsort(values, kind="stable")
    cuts = np.flatnonzero(np.diff(values[order])) + 1
    return iter(np.split(order, cuts) if len(order) else [])
