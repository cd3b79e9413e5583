"""Reads of the DataStore: one word each, decoded strictly."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from analyzer.abi import Contract, load_abi
from analyzer.evm import Call
from analyzer.reads import MalformedError, Read

NAME: Final = "gmx_v2"


@dataclass(frozen=True, slots=True)
class Word:
    """A DataStore word: the getter of its type, and its key. ``is_optional``: see ``Call``."""

    getter: str
    key: bytes
    is_optional: bool = False


@dataclass(frozen=True, slots=True)
class DataStore:
    """The DataStore at an address."""

    address: str

    def read(self, name: str, word: Word) -> Read:
        """The read of a word, under a name for people."""
        return Read(
            f"DataStore.{word.getter}({name})",
            Call(
                self.address,
                _selectors()[word.getter] + word.key,
                is_optional=word.is_optional,
            ),
            DECODERS[word.getter],
        )

    def count(self, name: str, getter: str, set_key: bytes) -> Read:
        """The read of a set's size."""
        return Read(
            f"DataStore.{getter}({name})",
            Call(self.address, _selectors()[getter] + set_key),
            _uint,
        )

    def page(self, getter: str, set_key: bytes, start: int, end: int) -> Read:
        """The read of a set's members from ``start`` up to, not including, ``end``."""
        return self._contract().read(getter, set_key, start, end)

    def _contract(self) -> Contract:
        return load_abi(NAME, "DataStore").at(self.address)


@cache
def _selectors() -> Mapping[str, bytes]:
    return {name: f.selector for name, f in load_abi(NAME, "DataStore").functions.items()}


def _single(data: bytes) -> int:
    if len(data) != 32:
        raise MalformedError(f"{len(data)} bytes instead of one word")
    return int.from_bytes(data, "big")


def _uint(data: bytes) -> int:
    return _single(data)


def _int(data: bytes) -> int:
    value = _single(data)
    return value - 2**256 if value >= 2**255 else value


def _bool(data: bytes) -> int:
    value = _single(data)
    if value > 1:
        raise MalformedError(f"{value} instead of a boolean")
    return value


def _address(data: bytes) -> str:
    value = _single(data)
    if value >= 2**160:
        raise MalformedError(f"{value:#x} instead of an address")
    return f"0x{value:040x}"


DECODERS: Final[Mapping[str, Callable[[bytes], Any]]] = {
    "getUint": _uint,
    "getInt": _int,
    "getBool": _bool,
    "getBytes32": _uint,
    "getAddress": _address,
}
