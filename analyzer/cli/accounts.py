"""Accounts as a user names them: addresses, ENS names, files of them, or stdin."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from analyzer.addresses import parse_address
from analyzer.errors import AnalyzerError


def resolve_accounts(named: Sequence[str], mainnet_rpc_url: str | None) -> tuple[str, ...]:
    """Lower-case addresses without repetition; what an ENS name resolved to is said on stderr."""
    return tuple(
        dict.fromkeys(_resolve(name, mainnet_rpc_url) for text in named for name in _expand(text))
    )


def _expand(text: str) -> Iterator[str]:
    if text == "-":
        yield from _lines(sys.stdin.read())
    elif not text.startswith("0x") and Path(text).is_file():
        try:
            yield from _lines(Path(text).read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise AnalyzerError(f"{text} cannot be read as a list of accounts: {error}") from error
    else:
        yield text


def _lines(text: str) -> Iterator[str]:
    for line in text.splitlines():
        name = line.split("#", 1)[0].strip()
        if name:
            yield name


def _resolve(name: str, mainnet_rpc_url: str | None) -> str:
    if name.startswith("0x") or "." not in name:
        return parse_address(name)
    if mainnet_rpc_url is None:
        raise AnalyzerError(
            f"{name} is an ENS name: set --mainnet-rpc-url to resolve it, or give its address"
        )
    from analyzer.chain.ens import resolve_ens  # noqa: PLC0415  few need it, and it is slow to import

    address = resolve_ens(mainnet_rpc_url, name)
    click.echo(f"{name} is {address}", err=True)
    return address.lower()
