"""ENS names to addresses, through the universal resolver of a mainnet node.

The two calls are made by our own read-only requests, not by web3's ``ens``: that follows gateways
outside the chain, and with current versions of its dependencies cannot normalise a name.
"""

import re
from typing import Any, Final

import msgspec
from eth_hash.auto import keccak

from analyzer.chain.dial import connect
from analyzer.chain.failure import Kind, RpcFailure, sentence
from analyzer.chain.hiding import Hider, host_label
from analyzer.chain.open import is_node
from analyzer.chain.reverts import revert_data
from analyzer.chain.rpc import Rpc
from analyzer.chain.settings import Settings
from analyzer.chain.wire import fixed, payload, quantity
from analyzer.codec import CodecError, decode, encode
from analyzer.errors import AnalyzerError
from analyzer.evm import ZERO_ADDRESS
from analyzer.reads import MalformedError

MAINNET: Final = 1
UNIVERSAL_RESOLVER: Final = "0xeeeeeeee14d718c2b47d9923deab1335e144eeee"
RESOLVE: Final = bytes.fromhex("9061b923")  # resolve(bytes name, bytes data)
ADDR: Final = bytes.fromhex("3b3b57de")  # addr(bytes32 node)
OFFCHAIN_LOOKUP: Final = bytes.fromhex("556f1830")  # the error of EIP-3668
MAX_LABEL: Final = 63
_LABEL: Final = re.compile(r"_*[a-z0-9](?:[a-z0-9-]*[a-z0-9])?")


def resolve_ens(url: str, name: str, settings: Settings | None = None) -> str:
    """The lower-case address that an ENS name points to.

    Raises ``AnalyzerError`` for a name that is not plain ASCII, points nowhere, or is kept outside
    the chain (we ask nobody but the node), and where the node fails or is not on mainnet.
    """
    labels = name.lower().split(".")
    if len(labels) < 2 or not all(map(_is_plain, labels)):
        raise AnalyzerError(
            f"{name[:80]!r} is not a name that can be resolved (letters a to z, digits and "
            "hyphens, as in name.eth): give the address instead"
        )
    if not is_node(url):
        raise AnalyzerError(
            "the mainnet RPC URL is not one that can be used: give http(s)://…, ws(s)://… or the "
            "path of an IPC socket"
        )
    settings, label, what = settings or Settings(), host_label(url), f"the ENS name {name}"
    rpc = Rpc(connect(url, settings), Hider(url), settings, lambda _: None)
    try:
        _check_mainnet(rpc, label)
        address = _address_in(_ask(rpc, labels))
    except RpcFailure as failure:
        if failure.kind is not Kind.REVERT:
            raise sentence(failure, label, what) from None
        if revert_data(failure.data)[:4] == OFFCHAIN_LOOKUP:
            raise AnalyzerError(
                f"{what} is kept outside the chain: give the address instead"
            ) from None
        address = ZERO_ADDRESS
    except MalformedError as error:
        malformed = RpcFailure(Kind.MALFORMED, what, str(error))
        raise sentence(malformed, label, what) from None
    finally:
        rpc.close()
    if address == ZERO_ADDRESS:
        raise AnalyzerError(f"{what} points to no address: check it, or give the address")
    return address


def namehash(labels: list[str]) -> bytes:
    """The node of a name, as EIP-137 defines it."""
    node = bytes(32)
    for label in reversed(labels):
        node = keccak(node + keccak(label.encode()))
    return node


def _is_plain(label: str) -> bool:
    return len(label) <= MAX_LABEL and label[2:4] != "--" and _LABEL.fullmatch(label) is not None


def _check_mainnet(rpc: Rpc, label: str) -> None:
    chain_id = quantity(_decoded(rpc.call("eth_chainId", [])), "a chain id")
    if chain_id != MAINNET:
        raise AnalyzerError(
            f"{label} is on chain {chain_id}, but ENS names live on chain 1: set a mainnet RPC URL "
            "for names, or give the address"
        )


def _ask(rpc: Rpc, labels: list[str]) -> bytes:
    dns_name = b"".join(bytes([len(label)]) + label.encode() for label in labels) + b"\0"
    data = RESOLVE + encode(["bytes", "bytes"], [dns_name, ADDR + namehash(labels)])
    call = {"to": UNIVERSAL_RESOLVER, "data": "0x" + data.hex()}
    return payload(_decoded(rpc.call("eth_call", [call, "latest"])), "an answer")


def _address_in(answer: bytes) -> str:
    """The address in ``(bytes result, address resolver)``, where the result is an address."""
    try:
        result, _ = decode(["bytes", "address"], answer)
        if not result:
            return ZERO_ADDRESS
        return fixed(decode(["address"], result)[0], 20, "an address")
    except CodecError:
        raise MalformedError(f"{len(answer)} bytes that are not an address") from None


def _decoded(raw: msgspec.Raw) -> Any:
    return msgspec.json.decode(raw)
