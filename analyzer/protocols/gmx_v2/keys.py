"""``Keys``: where the DataStore keeps what.

A name's key hashes its ABI encoding (not its bytes); a composed key hashes the name's key with its
arguments, a field of a position or market the owner's key with the name's.
"""

from functools import cache

from eth_hash.auto import keccak


@cache
def name_key(name: str) -> bytes:
    """``keccak256(abi.encode(name))``."""
    text = name.encode()
    padded = text.ljust(-(-len(text) // 32) * 32, b"\0")
    return keccak(_word(32) + _word(len(text)) + padded)


def key(name: str, *arguments: bytes | str | int | bool) -> bytes:
    """The key of a name, composed with addresses (text), numbers, booleans and 32-byte words."""
    if not arguments:
        return name_key(name)
    return keccak(name_key(name) + b"".join(_word(argument) for argument in arguments))


def field_key(owner: bytes | str, name: str) -> bytes:
    """The key of a position's or a market's field: the owner comes first."""
    return keccak(_word(owner) + name_key(name))


def position_key(account: str, market: str, collateral_token: str, is_long: bool) -> bytes:
    """``Position.getPositionKey``."""
    own = (account, market, collateral_token, is_long)
    return keccak(b"".join(_word(argument) for argument in own))


def _word(argument: bytes | str | int | bool) -> bytes:
    if isinstance(argument, bytes):
        return argument.ljust(32, b"\0")
    if isinstance(argument, str):
        return bytes.fromhex(argument[2:]).rjust(32, b"\0")
    return int(argument).to_bytes(32, "big")
