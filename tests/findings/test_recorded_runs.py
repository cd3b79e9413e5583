"""Runs on a recorded chain: statuses and causes beside what the real contracts emitted."""

import gzip
import json
from collections import Counter, defaultdict
from pathlib import Path

import pytest

from analyzer.abi import load_abi

RECORDING = Path(__file__).parent.parent.parent / "fixtures" / "demo" / "perp_v1.json.gz"
BLOCKS = (414, 469, 481, 544, 569, 580)
NEAR, LIQUIDATABLE = "near_liquidation", "liquidatable"
EVENTS = load_abi("perp_v1", "ClearingHouse").events
SIZE_AFTER = 4
"""Which word of PositionChanged is positionSizeAfter."""
CAUSES = {"moved_away": 21, "closed": 3, "liquidated": 1}

SEQUENCES = {
    "0x0dc438e15ae1caca5cab05ac8d8c6d2863721354:0x0dcd1bf9a1b36ce34237eeafef220932846bcd82": [
        (414, NEAR, "new", None),
        (469, NEAR, "better", None),
        (481, LIQUIDATABLE, "escalated", None),
        (544, NEAR, "new", None),
        (544, LIQUIDATABLE, "resolved", "liquidated"),
        (569, LIQUIDATABLE, "escalated", None),
        (580, NEAR, "better", None),
    ],
    "0xae1ac262cc517fb404b042405332101631001915:0x70e0ba845a1a0f2da3359c97e0285013525ffc49": [
        (414, LIQUIDATABLE, "new", None),
        (469, LIQUIDATABLE, "worse", None),
        (481, NEAR, "better", None),
        (544, NEAR, "ongoing", None),
        (569, NEAR, "better", None),
        (580, NEAR, "resolved", "closed"),
    ],
    "0x59e2e05d1ceb50edb3642896c4a8194ed4c15100:0x70e0ba845a1a0f2da3359c97e0285013525ffc49": [
        (414, LIQUIDATABLE, "new", None),
        (469, LIQUIDATABLE, "better", None),
        (481, LIQUIDATABLE, "worse", None),
        (544, LIQUIDATABLE, "ongoing", None),
        (569, LIQUIDATABLE, "resolved", "closed"),
    ],
    "0x165068c83f7b98056b451d4461e3b9868013cdee:0x4ed7c70f96b99c776995fb64377f0d4ab3b0e1c1": [
        (414, NEAR, "new", None),
        (469, NEAR, "better", None),
        (481, NEAR, "resolved", "moved_away"),
    ],
}
"""Near, liquidatable, liquidated in part, liquidatable again, recovering; settled; and so on."""


@pytest.fixture
def listed(perpscope):
    """Everything that a run at each block lists, by margin account."""
    found = defaultdict(list)
    for block in BLOCKS:
        source = f"recording:{RECORDING}"
        assert perpscope("-q", "index", "--rpc-url", source, "--block", block).code == 0
        for line in perpscope("-q", "check", LIQUIDATABLE, NEAR).out.splitlines():
            row = json.loads(line)
            found[row["margin_id"]].append((block, row["query"], row["status"], row["cause"]))
    return found


def happened():
    """What the contracts emitted: each liquidation and each end, by block and margin id."""
    with gzip.open(RECORDING, "rt") as file:
        logs = json.load(file)["logs"]
    liquidated, ended = [], []
    for log in logs:
        first, second = (f"0x{topic[-40:]}".lower() for topic in (*log["topics"], "", "")[1:3])
        block = int(log["blockNumber"], 16)
        if log["topics"][0] == EVENTS["PositionLiquidated"].topic:
            liquidated.append((block, f"{first}:{second}"))
        elif log["topics"][0] == EVENTS["PositionSettled"].topic:
            ended.append((block, f"{second}:{first}"))
        elif log["topics"][0] == EVENTS["PositionChanged"].topic:
            after = log["data"][2 + 64 * SIZE_AFTER :][:64]
            if int(after, 16) == 0:
                ended.append((block, f"{first}:{second}"))
    return liquidated, ended


def test_statuses_are_those_of_what_happened_on_the_chain(listed):
    for margin_id, expected in SEQUENCES.items():
        assert sorted(listed[margin_id]) == sorted(expected), margin_id
    liquidated, ended = happened()
    causes = Counter()
    for margin_id, rows in listed.items():
        for block, _, status, cause in rows:
            if status != "resolved":
                assert cause is None
                continue
            causes[cause] += 1
            since = BLOCKS[BLOCKS.index(block) - 1]

            def within(events, margin_id=margin_id, since=since, block=block):
                return any(since < at <= block and one == margin_id for at, one in events)

            expected = "moved_away"
            if within(liquidated):
                expected = "liquidated"
            elif within(ended):
                expected = "closed"
            assert cause == expected, (margin_id, block)
    assert causes == CAUSES
