"""Recorded answers of the real contracts: verdicts, amounts, prices, flips and liquidations."""

import copy
import gzip
import json
from collections import Counter
from functools import cache
from itertools import groupby

import pytest

from analyzer.abi import load_abi
from analyzer.protocols.gmx_v1 import PROTOCOL
from analyzer.protocols.gmx_v1.held import logged_position
from analyzer.protocols.gmx_v1.risk import Terms, validate_liquidation
from analyzer.rows import Funding, PositionEvents
from tests.protocols.gmx_v1_run import LOCAL_A, LOCAL_C, VECTORS, left_by, of_type, run_of


@cache
def document() -> dict:
    with gzip.open(VECTORS, "rt") as file:
        return json.load(file)


def small(**changes) -> dict:
    """A few vectors of each epoch, to be tampered with; two where every caller is refused."""
    kept = {}
    for vector in document()["vectors"]:
        second = refuses_callers(vector) and vector["id"] % 2
        kept.setdefault((vector["epoch"], vector["kind"], "flip" in vector, second), vector)
    few = {**document(), "vectors": list(kept.values()), **changes}
    return copy.deepcopy(few)


def refuses_callers(vector) -> bool:
    return vector["expect"]["liquidate_position_call"] == {"revert": "Vault: invalid liquidator"}


def recorded(values, *names) -> int:
    return sum(value is not None for name, value in values.items() if name not in names)


def test_every_recorded_answer_is_predicted():
    comparison = PROTOCOL.verify_vectors(document())
    assert comparison.differences == []
    assert comparison.skip_reasons == []
    vectors = document()["vectors"]
    amounts = ("leverage", "position_delta")
    answers = Counter(n for v in vectors for n, a in v["expect"].items() if a is not None)
    assert comparison.verdicts == sum(n for a, n in answers.items() if a not in amounts) == 8544
    assert comparison.flips == 449
    assert comparison.flips == sum(
        recorded(v.get("flip", {}), "native_feed_decimals", "native_spread_bps") for v in vectors
    )
    outputs = sum(
        recorded({k: a for k, a in p.items() if k.startswith("out.") or k == "fast.favorFastPrice"})
        for p in document()["price_vectors"]
    )
    words_of_a_token = 7
    of_vectors = len(vectors) * (2 * words_of_a_token + 1) + sum(answers[a] for a in amounts)
    assert comparison.values == of_vectors + outputs == 25_449


def test_recorded_reverts_are_predicted_with_their_reasons():
    reasons = Counter(
        answer["revert"]
        for vector in document()["vectors"]
        for answer in vector["expect"].values()
        if isinstance(answer, dict)
    )
    assert set(reasons) == {
        "SafeMath: multiplication overflow",
        "Vault: invalid position",
        "Vault: invalid liquidator",
        "Vault: position cannot be liquidated",
        "Vault: losses exceed collateral",
        "Vault: fees exceed collateral",
        "Vault: liquidation fees exceed collateral",
        "Vault: maxLeverage exceeded",
    }


TAMPERED = {
    "size": ("position", "size"),
    "collateral": ("position", "collateral"),
    "average_price": ("position", "average_price"),
    "maxLeverage": ("vault_config", "maxLeverage"),
    "liquidationFeeUsd": ("vault_config", "liquidationFeeUsd"),
    "marginFeeBasisPoints": ("vault_config", "marginFeeBasisPoints"),
    "fundingRateFactor": ("vault_config", "fundingRateFactor"),
    "cumulativeFundingRates": ("collateral", "cumulativeFundingRates"),
    "reservedAmounts": ("index", "reservedAmounts"),
    "latestPrimaryPrice": ("index", "feed", "getLatestPrimaryPrice"),
    "spreadBasisPoints": ("index", "feed", "spreadBasisPoints"),
}


@pytest.mark.parametrize("name", sorted(TAMPERED))
def test_another_input_gives_other_answers(name):
    *path, last = TAMPERED[name]
    tampered = small()
    for vector in tampered["vectors"]:
        words = vector
        for step in path:
            words = words[step]
        words[last] = str(int(words[last]) * 3 // 2 + 3)
    assert PROTOCOL.verify_vectors(tampered).differences


def answers_of(vector) -> list[tuple[str, dict, str]]:
    """Every recorded answer: where it stands, the mapping that holds it, its name."""
    places = [("expect", vector["expect"], name) for name in vector["expect"]]
    places += [("flip", vector.get("flip") or {}, name) for name in vector.get("flip") or {}]
    for role in ("index", "collateral"):
        names = ("getNextFundingRate", "getMinPrice", "getMaxPrice")
        places += [(role, vector[role], name) for name in names]
        names = ("primaryMin", "primaryMax", "priceMinNoAmm", "priceMaxNoAmm")
        places += [(role, vector[role]["feed"], name) for name in names]
    settings = ("native_feed_decimals", "native_spread_bps")
    return [p for p in places if p[1][p[2]] is not None and p[2] not in settings]


def test_each_single_answer_that_is_changed_is_noticed():
    pristine = small()
    for number in range(0, len(pristine["vectors"]), 6):
        for place in range(len(answers_of(pristine["vectors"][number]))):
            tampered = {**pristine, "vectors": copy.deepcopy(pristine["vectors"])}
            _, words, name = answers_of(tampered["vectors"][number])[place]
            words[name] = {"revert": "tampered"}
            found = PROTOCOL.verify_vectors(tampered).differences
            assert [d.name for d in found if "tampered" in d.theirs] == [name]


def test_each_price_output_that_is_changed_is_noticed():
    for name in [n for n in document()["price_vectors"][-1] if n.startswith("out.")]:
        tampered = small(vectors=document()["vectors"][:1])
        tampered["price_vectors"][-1][name] = "1"
        (difference,) = PROTOCOL.verify_vectors(tampered).differences
        assert (difference.kind, difference.name) == ("value", name)


def test_nothing_that_is_not_known_passes_in_silence():
    unknown = small()
    unknown["vectors"][0]["expect"]["is_healthy"] = True
    unknown["vectors"][0].setdefault("flip", {})["wei_B"] = {"type": "never"}
    unknown["price_vectors"][0]["out.fancy"] = "1"
    comparison = PROTOCOL.verify_vectors(unknown)
    assert comparison.differences == []
    assert len(comparison.skip_reasons) == comparison.skipped == 3


def test_a_null_is_no_recorded_answer():
    nulled = small()
    before = PROTOCOL.verify_vectors(nulled)
    vector = nulled["vectors"][0]
    vector["expect"]["validate_vault"] = vector["index"]["getMaxPrice"] = None
    after = PROTOCOL.verify_vectors(nulled)
    assert (after.verdicts, after.values, after.skipped) == (
        before.verdicts - 1, before.values - 1, 0,
    )  # fmt: skip


def test_what_needs_an_input_that_the_file_does_not_tell_is_skipped_with_the_reason():
    without_prices = PROTOCOL.verify_vectors(small(price_vectors=[]))
    assert (without_prices.differences, without_prices.verdicts) == ([], 0)
    assert without_prices.skipped == len(small()["vectors"])
    assert "no price vector in the file tells the settings" in without_prices.skip_reasons[0]
    prices_alone = PROTOCOL.verify_vectors(small(vectors=[]))
    assert (prices_alone.differences, prices_alone.verdicts) == ([], 0)
    assert prices_alone.values > len(document()["price_vectors"])
    assert prices_alone.skipped == len(document()["price_vectors"])
    assert "what includeAmmPrice was" in prices_alone.skip_reasons[0]


def test_an_answer_is_not_predicted_from_itself():
    vector = next(vector for vector in document()["vectors"] if refuses_callers(vector))
    alone = PROTOCOL.verify_vectors(small(vectors=[vector]))
    (reason,) = alone.skip_reasons
    assert reason.endswith(
        "liquidate_position_call: only this answer tells of the liquidation mode"
    )
    open_place = [v for v in document()["vectors"] if v["block_number"] == "537"]
    assert len(open_place) > 2
    odd = copy.deepcopy(open_place)
    odd[1]["expect"]["liquidate_position_call"] = {"revert": "Vault: invalid liquidator"}
    (difference,) = PROTOCOL.verify_vectors(small(vectors=odd)).differences
    assert difference.subject == f"vector {odd[1]['id']}"


def test_a_key_may_be_written_in_capitals():
    capital = small()
    for vector in capital["vectors"]:
        vector["key"] = "0x" + vector["key"][2:].upper()
    assert PROTOCOL.verify_vectors(capital).differences == []


def test_every_recorded_liquidation_is_in_the_logs_and_met_the_verdict_that_we_compute():
    """State, mark price and funding come from the logs, settings from the vectors before."""
    recorded = {(entry["tx"], entry["key"]): entry for entry in document()["liquidations"]}
    outcomes = Counter()
    for name in (LOCAL_C, LOCAL_A):
        for transaction in transactions(name):
            for row in of_type(transaction.rows, PositionEvents):
                entry = recorded.pop((row.tx_hash, row.state_key), None)
                if entry is not None:
                    stored, executable = transaction.states(row, entry)
                    outcomes[entry.get("via"), executable, row.kind] += 1
                    assert stored == entry.get("pre_view_state", stored)
    assert recorded == {}
    assert outcomes == {
        (None, 1, "liquidate"): 81,
        (None, 2, "close"): 26,
        ("PositionManager", 1, "liquidate"): 5,
        ("PositionManager", 2, "close"): 3,
        ("vaultA", 1, "liquidate"): 3,
        ("vaultA", 2, "close"): 8,
    }


class Transaction:
    """A recorded transaction with the state that it met."""

    def __init__(self, vault, logs, rows, before, rates_before, rates_after) -> None:
        self.logs, self.rows, self.before = logs, rows, before
        self.rates = (rates_before, rates_after)
        self.vectors = [
            v
            for v in document()["vectors"]
            if v["vault"].lower() == vault
            and v["kind"] != "fuzz"
            and int(v["block_number"]) <= logs[0].block_number
        ]

    def states(self, row, entry) -> list[int]:
        """``liquidationState`` before the transaction and as it met it."""
        held = logged_position(self.before[row.state_key])
        token, index = held.identity.collateral_token, held.identity.index_token
        config = self.vectors[-1]
        about_index = [v for v in self.vectors if v["index_token"].lower() == index]
        min_profit = int(about_index[-1]["index"]["minProfitBasisPoints"]) if about_index else 0
        words = config["vault_config"]
        by_manager = entry.get("via") == "PositionManager"
        in_force = (
            config["timelock_margin_fee_bps"] if by_manager else words["marginFeeBasisPoints"]
        )
        fees = (int(words["marginFeeBasisPoints"]), int(in_force))
        return [
            validate_liquidation(
                held.struct,
                held.identity.is_long,
                self.mark_price(),
                Terms(
                    max_leverage=int(words["maxLeverage"]),
                    liquidation_fee_usd=int(words["liquidationFeeUsd"]),
                    margin_fee_basis_points=fee,
                    min_profit_time=int(words["minProfitTime"]),
                    min_profit_basis_points=min_profit,
                    cumulative_funding_rate=rates.get(token, 0),
                    now=self.logs[0].block_time,
                    profit_counts=config["vault_variant"] == "C",
                ),
            ).state
            for fee, rates in zip(fees, self.rates, strict=True)
        ]

    def mark_price(self) -> int:
        events = load_abi("gmx_v1", "Vault").events
        for event, price in (("DecreasePosition", "price"), ("LiquidatePosition", "markPrice")):
            for log in self.logs:
                if log.topics[0] == events[event].topic:
                    return events[event].decode(log)[price]
        raise AssertionError


def transactions(name):
    run = run_of(name)
    state, rates = {}, {}
    for _, group in groupby(run.logs(), key=lambda log: (log.block_number, log.tx_hash)):
        logs = list(group)
        before, rates_before = state, dict(rates)
        rows = PROTOCOL.replay(run.deployment, logs, state)
        rates |= {f.market: f.inputs["cumulativeFundingRate"] for f in of_type(rows, Funding)}
        vault = run.deployment.contracts["Vault"].lower()
        yield Transaction(vault, logs, rows, before, rates_before, dict(rates))
        state = left_by(rows, state)
