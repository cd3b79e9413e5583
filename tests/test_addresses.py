"""Addresses are checked before anything is asked of a chain."""

import pytest

from analyzer.addresses import checksummed, parse_address
from analyzer.errors import AnalyzerError

VAULT = "0x489ee077994B6658eAfA855C308275EAd8097C4A"


@pytest.mark.parametrize("text", [VAULT, VAULT.lower(), "0x" + VAULT[2:].upper()])
def test_an_address_is_taken_in_any_unambiguous_case(text):
    assert parse_address(text) == VAULT.lower()


def test_a_wrong_checksum_names_the_right_one():
    with pytest.raises(AnalyzerError, match=VAULT):
        parse_address(VAULT[:-1] + "a")


@pytest.mark.parametrize(
    "text", ["", "0x", "0x12", VAULT[2:], VAULT + "0", "vitalik", "0x" + "g" * 40]
)
def test_what_is_no_address_is_refused(text):
    with pytest.raises(AnalyzerError, match="is not an address"):
        parse_address(text)


def test_the_checksum_is_eip_55():
    assert checksummed(VAULT.lower()) == VAULT
