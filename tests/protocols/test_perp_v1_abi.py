"""The ABI fragments: the topics and selectors that the chain knows, and nothing unused."""

import json
import re
from pathlib import Path

import pytest

from analyzer.abi import load_abi

ROOT = Path(__file__).parent.parent.parent
FILES = sorted((ROOT / "abis" / "perp_v1").glob("*.json"))
SOURCES = "\n".join(
    path.read_text() for path in (ROOT / "analyzer" / "protocols" / "perp_v1").glob("*.py")
)
TOPICS = {
    ("Amm", "FundingRateUpdated"): (
        "0xd2805fe76d30598332a67c1061cee82e2e102b0f59f5457b1729bce028a054a0"
    ),
    ("Amm", "LiquidityChanged"): (
        "0xeba648fc83514e32ba75e27696ee5fa3610ebc7a77460a3ac3e8724ffa1be4cc"
    ),
    ("Amm", "ReserveSnapshotted"): (
        "0x3a3348362552c3897fd1f06a3233519ebd8bd76ad6e99a418a9741155fe90515"
    ),
    ("ClearingHouse", "MarginChanged"): (
        "0x1c822fe92555a7e529201522fbd166b03a55712d945737f4cc5c1e18199caa7b"
    ),
    ("ClearingHouse", "PositionAdjusted"): (
        "0xdbb898e847eca1f5626ba536593caa10241fb631e7c8a1cb06dfdce8d3934f49"
    ),
    ("ClearingHouse", "PositionChanged"): (
        "0x4c7b764f428c13bbea8cc8da90ebe6eef4dafeb27a4e3d9041d64208c47ca7c2"
    ),
    ("ClearingHouse", "PositionLiquidated"): (
        "0x5225638a979dd133f201045ab4169ec2189874d864f2b5a10be72ac6e4b421b4"
    ),
    ("ClearingHouse", "PositionSettled"): (
        "0xba70e8457921bdd49042182753cb6259c62f923e2b64216b68372cd85ec3af6c"
    ),
}


@pytest.mark.parametrize("key", TOPICS)
def test_topics_are_the_chains(key):
    contract, event = key
    assert load_abi("perp_v1", contract).events[event].topic == TOPICS[key]


def test_every_event_is_pinned():
    found = {(path.stem, name) for path in FILES for name in load_abi("perp_v1", path.stem).events}
    assert found == TOPICS.keys()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_fragments_are_canonical_and_hold_only_what_is_used(path):
    text = path.read_text()
    entries = json.loads(text)
    assert text == json.dumps(entries, indent=2) + "\n"
    assert [(e["type"], e["name"]) for e in entries] == sorted(
        (e["type"], e["name"]) for e in entries
    )
    for entry in entries:
        assert re.search(rf"\"{entry['name']}\"", SOURCES), entry["name"]


def test_every_fragment_has_its_provenance():
    readme = (ROOT / "abis" / "README.md").read_text()
    for path in FILES:
        assert f"`perp_v1/{path.name}`" in readme
