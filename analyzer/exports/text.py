"""Text that comes from a chain, made harmless and readable: names there are chosen by anybody."""

import re
import unicodedata
from functools import lru_cache
from typing import Final, TextIO

HARMFUL: Final = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
"""Unicode categories that are not seen but act: controls, escapes, bidi marks, separators."""

HEX: Final = re.compile(r"0x(?:[0-9a-fA-F]{64}|[0-9a-fA-F]{40})(?![0-9a-fA-F])")
ADDRESS_LENGTH: Final = 42
ELLIPSIS: Final = "…"


def neutral(text: str) -> str:
    r"""The text with each invisible acting character spelled out, as in ``\u202e``."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        rf"\u{ord(character):04x}" if unicodedata.category(character) in HARMFUL else character
        for character in text
    )


def put(stream: TextIO, text: str) -> None:
    """Write text, escaping what the stream's encoding cannot say."""
    try:
        stream.write(text)
    except UnicodeEncodeError:
        encoding = stream.encoding or "ascii"
        stream.write(text.encode(encoding, "backslashreplace").decode(encoding))


def with_checksums(text: str) -> str:
    """The text with its addresses in EIP-55 form."""
    return HEX.sub(lambda match: _checksum(match[0]), text)


def shortened(text: str) -> str:
    """The text with addresses (EIP-55) and hashes cut to their ends, as in ``0x5FbD…0aa3``."""
    return HEX.sub(lambda match: _ends(_checksum(match[0])), text)


def width(text: str) -> int:
    """How many columns of a terminal the text takes."""
    if text.isascii():
        return len(text)
    return sum(_columns(character) for character in text)


def cut(text: str, limit: int) -> str:
    """The text, or as much of it as fits into ``limit`` columns with an ellipsis."""
    if width(text) <= limit:
        return text
    kept = ""
    for character in text:
        if width(kept + character) >= limit:
            break
        kept += character
    return kept + ELLIPSIS


def _columns(character: str) -> int:
    if unicodedata.category(character) in {"Mn", "Me"}:
        return 0
    return 2 if unicodedata.east_asian_width(character) in {"W", "F"} else 1


def _ends(text: str) -> str:
    return f"{text[:6]}{ELLIPSIS}{text[-4:]}"


@lru_cache(maxsize=65536)
def _checksum(text: str) -> str:
    if len(text) != ADDRESS_LENGTH:
        return text
    from eth_utils.address import to_checksum_address  # noqa: PLC0415

    return to_checksum_address(text)
