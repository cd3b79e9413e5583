"""Real cases of GMX on Arbitrum, decoded from receipts and a multicall, come out exact."""

import json
from dataclasses import replace

import pytest
from eth_abi.abi import decode

from analyzer.evm import Log
from analyzer.protocols.gmx_v1 import PROTOCOL
from analyzer.protocols.gmx_v1.contracts import Identity
from analyzer.protocols.gmx_v1.deployments import OFFICIAL
from analyzer.protocols.gmx_v1.liquidation import liquidation_price
from analyzer.protocols.gmx_v1.risk import (
    Position,
    Terms,
    get_delta,
    get_funding_fee,
    get_position_fee,
)
from analyzer.rows import DataQuality, PositionEvents, Prices
from tests.protocols.gmx_v1_run import REAL_CASES, of_type

FILE = json.loads(REAL_CASES.read_text())
CASES = FILE["cases"]
ARBITRUM = replace(
    OFFICIAL[0],
    contracts={
        **OFFICIAL[0].contracts,
        "FastPriceEvents": "0x4530b7DE1958270A2376be192a24175D795e1b07",
    },
)
TERMS = Terms(
    max_leverage=1_000_000,
    liquidation_fee_usd=5 * 10**30,
    margin_fee_basis_points=10,
    min_profit_time=3 * 3600,
    min_profit_basis_points=0,
    cumulative_funding_rate=0,
    now=1_711_500_000,
    profit_counts=False,
)


def logs_of(name: str) -> list[Log]:
    time = FILE[name].get("timestamp")
    return [
        Log(
            block_number=int(raw["blockNumber"], 16),
            block_hash=raw["blockHash"],
            tx_hash=raw["transactionHash"],
            tx_index=int(raw["transactionIndex"], 16),
            log_index=int(raw["logIndex"], 16),
            address=raw["address"].lower(),
            topics=tuple(raw["topics"]),
            data=bytes.fromhex(raw["data"][2:]),
            block_time=int(time, 16) if time else None,
        )
        for raw in FILE[name]["logs"]
    ]


def position(case, **more) -> Position:
    return Position(
        size=int(case["size"]),
        collateral=int(case.get("collateral", 0)),
        average_price=int(case["average_price"]),
        entry_funding_rate=int(case["entry_funding_rate"]),
        reserve_amount=0,
        realised_pnl=0,
        last_increased_time=case.get("last_increased_time", 0),
    )


def test_a_real_close_is_decoded_from_its_receipt():
    case, expected = CASES["decrease_close"], CASES["decrease_close"]["expect"]
    rows = PROTOCOL.replay(ARBITRUM, logs_of("close"), {})
    (event,) = of_type(rows, PositionEvents)
    assert of_type(rows, DataQuality) == []
    assert (event.kind, event.side, event.at.block_number) == ("close", "short", case["block"])
    assert (event.account, event.market, event.collateral_token, event.state_key) == (
        case["account"], case["index_token"], case["collateral_token"], case["key"],
    )  # fmt: skip
    e18 = 10**12
    assert event.size_delta_usd == -(int(case["size"]) // e18)
    assert event.price == int(case["mark_price"]) // e18
    assert event.fee_usd == int(expected["total_fee"]) // e18
    assert event.pnl_usd == int(expected["delta"]) // e18


def test_a_real_closes_profit_and_fees_are_exact():
    case, expected = CASES["decrease_close"], CASES["decrease_close"]["expect"]
    held = position(case)
    assert get_delta(held, False, int(case["mark_price"]), TERMS) == (
        expected["has_profit"],
        int(expected["delta"]),
    )
    fee = get_position_fee(held.size, 10)
    rate = int(expected["implied_cumulative_funding_rate"])
    funding = get_funding_fee(held.size, held.entry_funding_rate, rate)
    assert fee == int(expected["position_fee_at_10bps"])
    assert funding == int(expected["funding_fee"])
    assert fee + funding == int(expected["total_fee"])


def test_real_fast_prices_are_decoded_from_the_same_receipt():
    prices = of_type(PROTOCOL.replay(ARBITRUM, logs_of("close"), {}), Prices)
    by_asset = {p.asset: p.price_min for p in prices}
    assert len(prices) == 4
    assert by_asset["ETH"] == int(CASES["decrease_close"]["mark_price"]) // 10**12
    assert {p.observed_at for p in prices} == {0x65A7D716}


def test_a_real_swap_moves_no_position():
    assert PROTOCOL.replay(ARBITRUM, logs_of("swap"), {}) == []


def answered_positions() -> dict[Identity, tuple[int, ...]]:
    """``Reader.getPositions`` in the recorded multicall: nine words for each position."""
    call = FILE["positions"]["multicall"]
    (calls,) = decode(["(address,bytes)[]"], bytes.fromhex(call["data"][2:])[4:])
    _, results = decode(["uint256", "bytes[]"], bytes.fromhex(call["result"][2:]))
    found = {}
    types = ["address", "address", "address[]", "address[]", "bool[]"]
    for (_, asked), answer in zip(calls, results, strict=True):
        vault, account, collateral, index, is_long = decode(types, asked[4:])
        assert vault == ARBITRUM.contracts["Vault"].lower()
        (words,) = decode(["uint256[]"], answer)
        for number, identity in enumerate(zip(collateral, index, is_long, strict=True)):
            found[Identity(account, *identity)] = words[9 * number : 9 * number + 9]
    return found


@pytest.mark.parametrize("case", CASES["open_positions_L1block_19520396"])
def test_a_real_open_positions_delta_is_exact(case):
    identity = Identity(
        case["account"], case["collateral_token"], case["index_token"], case["is_long"]
    )
    words = answered_positions()[identity]
    size, collateral, average_price, entry_rate, _, _, increased, has_profit, delta = words
    held = position(case)
    assert (size, collateral, average_price, entry_rate, increased) == (
        held.size, held.collateral, held.average_price, held.entry_funding_rate,
        held.last_increased_time,
    )  # fmt: skip
    price = int(case["recovered_price"])
    assert get_delta(held, identity.is_long, price, TERMS) == (bool(has_profit), delta)
    assert delta == int(case["expect"]["delta"])


def test_a_real_long_and_short_imply_the_same_price():
    bitcoin = [
        case
        for case in CASES["open_positions_L1block_19520396"]
        if case["index_token"] == "0x2f2a2543b76a4166549f7aab2e75bef0aefc5b0f"
    ]
    assert {case["is_long"] for case in bitcoin} == {True, False}
    assert len({case["recovered_price"] for case in bitcoin}) == 1


def e30(text: str) -> int:
    whole, _, fraction = text.partition(".")
    return int(whole + fraction.ljust(30, "0"))


@pytest.mark.parametrize(
    "case", CASES["gmx_interface_liq_price_test_cases"], ids=lambda case: case["name"]
)
def test_the_interfaces_own_liquidation_prices_are_met_to_every_printed_digit(case):
    size = e30(case["size"])
    rate = round(e30(case["funding_fee"]) * 10**6 / size)
    held = Position(size, e30(case["collateral"]), e30(case["average_price"]), 0, 0, 0, 0)
    terms = replace(TERMS, cumulative_funding_rate=rate)
    flip = liquidation_price(held, case["is_long"], terms)
    assert f"{flip.first_safe / 10**30:.4f}" == case["expected"]
