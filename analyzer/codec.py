"""Encoding and decoding by eth-abi, which is imported by whoever does so first.

Its import takes longer than most commands, and most of them neither encode nor decode.
"""

from collections.abc import Sequence
from typing import Any


class CodecError(Exception):
    """Values or data that are not of the types that were named."""


def encode(kinds: Sequence[str], values: Sequence[Any]) -> bytes:
    """Values of these ABI types; raises ``CodecError``."""
    from eth_abi.abi import encode  # noqa: PLC0415
    from eth_abi.exceptions import EncodingError  # noqa: PLC0415

    try:
        return encode(kinds, values)
    except EncodingError as error:
        raise CodecError(str(error)) from error


def decode(kinds: Sequence[str], data: bytes) -> tuple[Any, ...]:
    """The values in data of these ABI types; raises ``CodecError``."""
    from eth_abi.abi import decode  # noqa: PLC0415
    from eth_abi.exceptions import DecodingError  # noqa: PLC0415

    try:
        return decode(kinds, data)
    except (DecodingError, OverflowError, UnicodeDecodeError) as error:
        raise CodecError(str(error)) from error
