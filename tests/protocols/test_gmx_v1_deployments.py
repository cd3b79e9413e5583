"""Deployments, assets and ABI fragments: data that must be what it says it is."""

import json
from collections import Counter

import pytest

from analyzer.abi import load_abi
from analyzer.addresses import checksummed
from analyzer.assets import ASSETS, asset_of
from analyzer.protocols.gmx_v1 import PROTOCOL, reading
from analyzer.protocols.gmx_v1.contracts import Identity
from analyzer.protocols.gmx_v1.normalise import HANDLERS
from analyzer.protocols.gmx_v1.probe import EVERY_VAULT
from analyzer.resources import resource

CONTRACTS = sorted(path.name[:-5] for path in (resource("abis") / "gmx_v1").iterdir())
READ = {
    "Vault": {
        "allWhitelistedTokens", "getPosition", "vaultUtils", "validateLiquidation",
        "getPositionDelta", "getPositionLeverage", "getNextFundingRate",
        *reading.VAULT, *reading.VAULT_TOKEN,
    },
    "VaultPriceFeed": {"getPrice", "getPrimaryPrice", *reading.FEED, *reading.FEED_TOKEN},
    "FastPriceFeed": {*reading.FAST, *reading.FAST_TOKEN},
    "FastPriceEvents": set(),
    "PriceFeed": {"latestAnswer", "latestRound", "getRoundData"},
    "Timelock": {*reading.TIMELOCK},
    "Token": {"decimals", "symbol"},
}  # fmt: skip


def test_official_deployments_are_gmx_and_no_fork_is_said_to_be_verified():
    deployments = PROTOCOL.deployments()
    assert len(deployments) == 100
    assert [(d.name, d.chain_id, d.start_block) for d in deployments if d.official] == [
        ("gmx-arbitrum", 42161, 227_000),
        ("gmx-avalanche", 43114, 8_351_228),
    ]
    assert not any(d.verified for d in deployments)
    assert len({d.chain_id for d in deployments}) == 36


def test_names_and_vaults_are_unique_on_their_chain():
    deployments = PROTOCOL.deployments()
    names = Counter((d.chain_id, d.name) for d in deployments)
    vaults = Counter((d.chain_id, d.contracts["Vault"].lower()) for d in deployments)
    assert max(names.values()) == max(vaults.values()) == 1
    assert ("10kdex-scroll", 534352) in {(d.name, d.chain_id) for d in deployments}


@pytest.mark.parametrize("deployment", PROTOCOL.deployments(), ids=lambda d: d.name)
def test_a_deployments_addresses_carry_their_checksum_and_its_options_exist(deployment):
    for role, address in deployment.contracts.items():
        assert role in (*PROTOCOL.contracts, *PROTOCOL.optional_contracts)
        assert address == checksummed(address)
    for option, value in deployment.options.items():
        assert value in PROTOCOL.options[option]


def test_assets_go_by_chain_and_address():
    assert asset_of(42161, "0x82aF49447D8a07e3bd95BD0d56f35241523fBab1") == "ETH"
    assert asset_of(43114, "0x152b9d0FdC40C096757F570A51E494bd4b943E50") == "BTC"
    assert asset_of(1, "0x82aF49447D8a07e3bd95BD0d56f35241523fBab1") is None
    for tokens in ASSETS.values():
        assert all(token == token.lower() and len(token) == 42 for token in tokens)


@pytest.mark.parametrize("name", CONTRACTS)
def test_every_abi_entry_is_used_and_has_a_provenance(name):
    abi = load_abi("gmx_v1", name)
    assert set(abi.functions) == READ[name]
    assert {event.name for event in abi.events.values()} <= HANDLERS.keys()
    assert f"`gmx_v1/{name}.json`" in (resource("abis") / "README.md").read_text()


@pytest.mark.parametrize("name", CONTRACTS)
def test_abi_files_are_in_canonical_form(name):
    text = (resource("abis") / "gmx_v1" / f"{name}.json").read_text()
    entries = json.loads(text)
    assert text == json.dumps(entries, indent=2) + "\n"
    assert entries == sorted(entries, key=lambda e: (e["type"], e["name"], len(e["inputs"])))


@pytest.mark.parametrize("name", CONTRACTS)
def test_selectors_and_topics_are_those_of_the_recorded_contracts(name, gmx_v1_recording):
    abi = load_abi("gmx_v1", name)
    called = {call["data"][:10] for call in gmx_v1_recording["calls"]}
    for function in abi.functions.values():
        assert "0x" + function.selector.hex() in called
    for event in abi.events.values():
        described = gmx_v1_recording["topic0"][event.topic]
        kinds = [part.split()[0] for part in described.partition("(")[2][:-1].split(",")]
        assert described.partition(".")[2].startswith(event.name + "(")
        assert kinds == [kind for _, kind, _ in event.fields]


def test_topics_are_those_of_the_real_chain():
    events = load_abi("gmx_v1", "Vault").events
    assert {event.topic for event in events.values()} == {
        "0x2fe68525253654c21998f35787a8d0f361905ef647c854092430ab65f2f15022",
        "0x93d75d64d1f84fc6f430a64fc578bdd4c1e090e90ea2d51773e626d19de56d30",
        "0x25e8a331a7394a9f09862048843323b00bdbada258f524f5ce624a45bf00aabb",
        "0x20853733b590dce729d9f4628682ebd9a34d2354e72679e66f43a008fc03b773",
        "0x73af1d417d82c240fdb6d319b34ad884487c6bf2845d98980cc52ad9171cb455",
        "0x2e1f85a64a2f22cf2f0c42584e7c919ed4abe8d53675cff0f62bf1e95a1c676f",
        "0xa146fc154e1913322e9817d49f0d5c37466c24326e15de10e739a948be815eab",
        "0x3ff41bdde87755b687ae83d0221a232b6be51a803330ed9661c1b5d0105e0d8a",
        "0x5d0c0019d3d45fadeb74eff9d2c9924d146d000ac6bcf3c28bf0ac3c9baa011a",
    }


def test_every_read_of_the_probe_is_one_of_the_vault():
    assert set(EVERY_VAULT) <= load_abi("gmx_v1", "Vault").functions.keys()


def test_a_positions_key_is_the_one_of_a_real_log():
    identity = Identity(
        "0x3d4d8a52d5717b09ca1e1980393d244ac258c6aa",
        "0xaf88d065e77c8cc2239327c5edb3a432268e5831",
        "0x82af49447d8a07e3bd95bd0d56f35241523fbab1",
        False,
    )
    assert identity.key() == "0x9550de9c21b673d4d5ee1766a0ecd0edfee527be3b12f20e9b9e9bdd0601a8bb"
