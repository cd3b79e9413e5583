"""ENS names, on a node that answers as the universal resolver does."""

import pytest
from eth_abi import decode, encode

from analyzer.chain.ens import namehash, resolve_ens
from analyzer.chain.settings import Settings
from analyzer.errors import AnalyzerError
from tests.chain.conftest import PATIENCE, RECORDING
from tests.chain.server import Manners, RecordingServer, RpcError

ADDRESS = "0xd8da6bf26964af9d7eed9e03e53415d37aa96045"
QUICK = Settings(timeout=PATIENCE, max_attempts=2, sleep=lambda _: None)


def resolve(name, call, chain_id=1, path="/"):
    def answer(method, params):
        return {"eth_chainId": lambda _: hex(chain_id), "eth_call": call}[method](params)

    with RecordingServer(RECORDING, Manners(answer=answer), path) as server:
        try:
            return resolve_ens(server.url, name, QUICK)
        finally:
            assert set(server.counts) <= {"eth_chainId", "eth_call"}


def points_to(address):
    inner = encode(["address"], [address])
    return lambda _: "0x" + encode(["bytes", "address"], [inner, "0x" + "01" * 20]).hex()


def reverts(data):
    def call(_):
        raise RpcError(200, {"code": 3, "message": "execution reverted", "data": data})

    return call


def test_a_name_becomes_an_address():
    assert resolve("vitalik.eth", points_to(ADDRESS)) == ADDRESS


@pytest.mark.parametrize("call", [points_to("0x" + "00" * 20), reverts("0x77209fe8" + "00" * 32)])
def test_a_name_without_an_address_is_told(call):
    with pytest.raises(AnalyzerError, match=r"nobody\.eth points to no address: check it, or give"):
        resolve("nobody.eth", call)


def test_a_node_of_another_chain_is_told():
    with pytest.raises(AnalyzerError, match=r"is on chain 42161, but ENS names live on chain 1"):
        resolve("vitalik.eth", points_to(ADDRESS), chain_id=42161)


def test_a_name_that_wants_a_gateway_is_not_followed_there():
    lookup = (
        "0x556f1830"
        + encode(
            ["address", "string[]", "bytes", "bytes4", "bytes"],
            ["0x" + "01" * 20, ["http://127.0.0.1:1/{sender}/{data}"], b"x", b"abcd", b"y"],
        ).hex()
    )
    with pytest.raises(AnalyzerError, match=r"is kept outside the chain: give the address instead"):
        resolve("offchain.eth", reverts(lookup))


@pytest.mark.parametrize(
    "name",
    ["", ".", "eth", "a..eth", "a b.eth", "\u202e.eth", "\u0430.eth", "a-.eth", "xn--a.eth",
     "a_b.eth", "x" * 64 + ".eth", "a.eth\n", "a.eth."],
)  # fmt: skip
def test_a_name_that_is_not_plain_is_never_asked_for(name):
    with pytest.raises(AnalyzerError, match="is not a name that can be resolved"):
        resolve_ens("http://127.0.0.1:1", name, QUICK)


def test_a_name_is_asked_for_by_its_hash():
    assert namehash(["eth"]).hex() == (
        "93cdeb708b7545dc668eb9280176169d1c33cfd8ed6f04690a0bcc88a93fc4ae"
    )
    assert namehash(["foo", "eth"]).hex() == (
        "de9b09fd7c5f901e23a3f19fecc54828e9c848539801e86591bd9801b019f84f"
    )
    seen = []

    def call(params):
        seen.append(bytes.fromhex(params[0]["data"][10:]))
        return points_to(ADDRESS)(params)

    assert resolve("Foo.eth", call) == ADDRESS
    dns_name, data = decode(["bytes", "bytes"], seen[0])
    assert dns_name == b"\x03foo\x03eth\x00"
    assert data[4:] == namehash(["foo", "eth"])


@pytest.mark.parametrize("answer", ["0x", "0x1234", "nonsense", 7, None])
def test_an_answer_that_is_none_is_told(answer):
    with pytest.raises(AnalyzerError, match=r"answered the ENS name|fails? on|failing") as raised:
        resolve("vitalik.eth", lambda _: answer, path="/mARk3r")
    assert "mARk3r" not in str(raised.value)


def test_a_dead_node_is_told_without_its_url():
    with RecordingServer(
        RECORDING, Manners(faults=dict.fromkeys(range(9), "drop")), "/mARk3r"
    ) as s:
        with pytest.raises(
            AnalyzerError, match=r"^127\.0\.0\.1 keeps failing on the ENS name"
        ) as e:
            resolve_ens(s.url, "vitalik.eth", QUICK)
        assert "mARk3r" not in str(e.value)
