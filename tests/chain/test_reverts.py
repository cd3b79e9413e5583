"""One revert has one reason, whichever way it came."""

import pytest
from eth_abi import encode
from hypothesis import given
from hypothesis import strategies as st

from analyzer.chain.reverts import reason_of, reverted, reverted_with
from analyzer.evm import Answer


def error_string(text: str) -> bytes:
    return bytes.fromhex("08c379a0") + encode(["string"], [text])


PANIC = bytes.fromhex("4e487b71") + encode(["uint256"], [0x12])


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", ""),
        (error_string("Vault: fees exceed collateral"), "Vault: fees exceed collateral"),
        (error_string(""), ""),
        (PANIC, "Panic(0x12)"),
        (bytes.fromhex("4dfbbff3"), "0x4dfbbff3"),
        (bytes.fromhex("4dfbbff3") + bytes(32), "0x4dfbbff3"),
        (b"\x01", "0x01"),
        (bytes.fromhex("08c379a0"), "0x08c379a0"),
        (bytes.fromhex("08c379a0") + b"\xff" * 64, "0x08c379a0"),
        (error_string("a\x1b[31m\nb"), "a\ufffd[31m\ufffdb"),
    ],
)
def test_the_reason_is_read_out_of_the_data(data, reason):
    assert reason_of(data) == reason


REASON = "Vault: fees exceed collateral"
DATA = error_string(REASON)
HEX = "0x" + DATA.hex()


@pytest.mark.parametrize(
    "error",
    [
        {"code": 3, "message": f"execution reverted: {REASON}", "data": HEX},
        {"code": 3, "message": "execution reverted", "data": HEX},
        {"code": -32000, "message": "execution reverted", "data": HEX.upper().replace("0X", "0x")},
        {"code": -32015, "message": "VM execution error.", "data": f"Reverted {HEX}"},
        {
            "code": -32603,
            "message": f"reverted with reason string '{REASON}'",
            "data": {"data": HEX},
        },
        {"code": -32603, "message": "Internal", "data": {"data": {"result": HEX}}},
    ],
)
def test_nodes_wrap_the_same_revert_in_many_ways(error):
    assert reverted_with(error) == Answer(DATA, error=REASON) == reverted(DATA)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        ({"code": 3, "message": f"execution reverted: {REASON}"}, REASON),
        ({"code": -32000, "message": f"VM Exception while processing: revert {REASON}"}, REASON),
        ({"message": f"VM Exception: reverted with reason string '{REASON}'"}, REASON),
        ({"code": 3, "message": "execution reverted"}, ""),
        ({"code": 3, "message": "execution reverted", "data": "0x"}, ""),
        ({"code": 3, "message": "execution reverted", "data": None}, ""),
        ({"code": -32000, "message": "invalid opcode: opcode 0xfe not defined"}, ""),
        ({"message": "Transaction reverted without a reason string"}, ""),
        (f"execution reverted: {REASON}", REASON),
        (REASON, REASON),
        ("execution reverted", ""),
    ],
)
def test_without_data_the_words_are_the_reason(error, reason):
    assert reverted_with(error) == Answer(error=reason)


@given(st.text(max_size=300).filter(str.isprintable))
def test_every_printable_reason_comes_out_as_it_is(text):
    assert reason_of(error_string(text)) == text


@given(st.binary(max_size=200))
def test_no_revert_data_does_harm(data):
    for start in (b"", DATA[:4], PANIC[:4]):
        reason = reason_of(start + data)
        assert all(character.isprintable() for character in reason)
