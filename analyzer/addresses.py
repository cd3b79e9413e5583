"""Addresses as people write them: checked before anything is asked of a chain."""

import re
from typing import Final

from analyzer.errors import AnalyzerError

ADDRESS: Final = re.compile(r"0x[0-9a-fA-F]{40}")


def parse_address(text: str) -> str:
    """The address in lower case; a mixed-case one must carry the right EIP-55 checksum."""
    if not ADDRESS.fullmatch(text):
        raise AnalyzerError(
            f"{text!r} is not an address: it takes 0x and 40 hexadecimal digits, or an ENS name"
        )
    digits = text[2:]
    if digits not in (digits.lower(), digits.upper()) and text != checksummed(text):
        raise AnalyzerError(
            f"{text} has a wrong checksum: {checksummed(text)} has the same digits; "
            "check for a typing mistake"
        )
    return text.lower()


def checksummed(address: str) -> str:
    """The address in EIP-55 mixed case."""
    from eth_utils.address import to_checksum_address  # noqa: PLC0415  0.3 s that --help can spare

    return str(to_checksum_address(address))
