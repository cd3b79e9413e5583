"""JSON whose integers travel as strings, so that no reader can round them, and back."""

import json
import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

CANONICAL_INTEGER: Final = re.compile(r"-?[1-9][0-9]*|0")
ENCODER: Final = msgspec.json.Encoder()


def dump(value: Any) -> str:
    """JSON text in which every integer is a string; bytes become ``0x`` text."""
    return ENCODER.encode(_exact(value)).decode()


def load(text: str) -> Any:
    """The value that was dumped: canonical decimal strings are integers again."""
    return _integers(json.loads(text))


def _exact(value: Any) -> Any:
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int):
        return str(value)
    if isinstance(value, bytes):
        return "0x" + value.hex()
    if isinstance(value, Mapping):
        return {str(key): _exact(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_exact(item) for item in value]
    raise TypeError(f"{type(value).__name__} has no place in an exact JSON column")


def _integers(value: Any) -> Any:
    if isinstance(value, str) and CANONICAL_INTEGER.fullmatch(value):
        return int(value)
    if isinstance(value, dict):
        return {key: _integers(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_integers(item) for item in value]
    return value
