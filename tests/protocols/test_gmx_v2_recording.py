"""The protocol over recorded chains: positions from logs and from state, prices, verdicts."""

from dataclasses import replace

import pytest
from eth_abi.abi import decode

from analyzer.abi import load_abi
from analyzer.chain.recording import RecordedChain, _call_key, _load
from analyzer.errors import AnalyzerError, Revert
from analyzer.evm import Answer
from analyzer.protocols.gmx_v2 import PROTOCOL
from analyzer.protocols.gmx_v2.assess import Assessor
from analyzer.protocols.gmx_v2.position import position_of
from analyzer.protocols.gmx_v2.prices import token_prices
from analyzer.protocols.gmx_v2.reading import read_state
from analyzer.protocols.gmx_v2.releases import release_named
from analyzer.protocols.gmx_v2.risk import closing_of, is_position_liquidatable
from analyzer.protocols.gmx_v2.state import Price, Prices
from analyzer.reads import drive
from analyzer.rows import (
    DataQuality,
    MarginAccounts,
    MarginLegs,
    Markets,
    PositionEvents,
    Positions,
    Tokens,
)
from analyzer.rows import Prices as PriceRow
from tests.protocols.gmx_v2_run import FOLDER, RECORDINGS, document, of_type, run_of, stored

OPEN = {"2b": 70, "2c": 78}
RELEASES = {"2b": "2.2b", "2c": "2.2c"}

both_recordings = pytest.mark.parametrize("name", RECORDINGS)


def flips_within(found, low, high):
    return [
        {name: str(value) for name, value in flip.items()}
        for flip in found["flips"]
        if low <= flip["liquidatable_price"] <= high
    ]


@both_recordings
@pytest.mark.parametrize("source", ["logs", "state", "both"])
def test_every_open_position_equals_the_answer_key_in_every_field(name, source):
    snapshot = run_of(name).snapshot(source)
    ours = {row.position_id: row for row in of_type(snapshot.rows, Positions)}
    accounts = {row.margin_id: row for row in of_type(snapshot.rows, MarginAccounts)}
    theirs = document(f"{name}.expected")["positions"]
    assert ours.keys() == {position["key"] for position in theirs}
    for position in theirs:
        row = ours[position["key"]]
        struct = {field: row.inputs[field] for field in position["position"]}
        assert struct == {
            field: value if isinstance(value, bool) else int(value)
            for field, value in position["position"].items()
        }
        for names in ("account", "market", "collateralToken"):
            assert row.inputs[names] == position[names].lower()
        for basis, key in (("stored", "reader"), ("executable", "executable")):
            verdict = {field: row.outputs[basis][field] for field in position[key]}
            assert verdict == {
                field: value if field in ("isLiquidatable", "reason") else int(value)
                for field, value in position[key].items()
            }
            kept = accounts[row.margin_id]
            state = kept.state if basis == "executable" else kept.state_stored
            assert state == ("liquidatable" if verdict["isLiquidatable"] else "safe")
        for basis, key in (
            ("flips_stored", "flips_reader"),
            ("flips_executable", "flips_executable_accrual_frozen"),
        ):
            if key in position:
                low, high = int(position[key]["low_end"]), int(position[key]["high_end"])
                assert flips_within(row.outputs[basis], low, high) == position[key]["flips"]


@both_recordings
def test_logs_and_state_leave_no_difference(name):
    snapshot = run_of(name).snapshot("both")
    assert of_type(snapshot.rows, DataQuality) == []
    assert snapshot.complete


@both_recordings
def test_a_position_that_logs_and_state_disagree_on_is_reported(name):
    run = run_of(name)
    state = run.state()
    key = next(key for key, after in state.items() if "sizeInUsd" in after)
    state[key] = {**state[key], "collateralAmount": state[key]["collateralAmount"] + 1}
    found = of_type(run.snapshot("both", state=state).rows, DataQuality)
    assert [(row.kind, row.subject) for row in found] == [("position_difference", key)]
    assert "collateralAmount" in found[0].detail


@both_recordings
def test_every_recorded_reader_verdict_is_ours_at_its_own_prices(name):
    """Also at shocked prices, at the feeds' prices, and for positions that are closed."""
    run = run_of(name)
    release = release_named(RELEASES[name])
    got = drive(read_state(run.deployment, release, run.block, ()), run.answer)
    assessor = Assessor(got, token_prices(got, run.state(), {}))
    held = {key: _struct(got, key) for key in got.position_keys}
    abi = load_abi("gmx_v2", "ReaderV2_2C" if name == "2c" else "ReaderV2_2B")
    function = abi.functions["isPositionLiquidatable"]
    compared = reverted = 0
    for call in _load(RECORDINGS[name])["calls"]:
        if call["to"] != run.deployment.contracts["Reader"]:
            continue
        if not call["data"].startswith("0x" + function.selector.hex()):
            continue
        _, _, key, _, prices, min_usd, for_liquidation = _arguments(function, call)
        position = held.get(f"0x{key.hex()}")
        if position is None:
            assert call["error"]["data"].endswith("12")
            reverted += 1
            continue
        state, _ = assessor.market(position.market)
        closing = closing_of(
            state, position, assessor.assess(position).discounts, state.stored(position)
        )
        ours = is_position_liquidatable(
            closing,
            Prices(*(Price(*price) for price in prices)),
            should_validate_min_collateral_usd=min_usd,
            for_liquidation=for_liquidation,
        )
        assert function.decode(bytes.fromhex(call["result"][2:])) == (
            ours.is_liquidatable,
            ours.reason,
            (
                ours.remaining_collateral_usd,
                ours.min_collateral_usd,
                ours.min_collateral_usd_for_leverage,
            ),
        )
        compared += 1
    assert compared > 1000
    assert reverted > 0


def _struct(got, key):
    names = {name for kind, owner, name in got.values if (kind, owner) == ("position", key)}
    return position_of(key, {name: got.need("position", key, name) for name in names})


def _arguments(function, call):
    return decode(function.inputs, bytes.fromhex(call["data"][10:]))


@both_recordings
def test_closing_a_position_that_is_none_reverts_as_the_reader_does(name):
    run = run_of(name)
    release = release_named(RELEASES[name])
    got = drive(read_state(run.deployment, release, run.block, ()), run.answer)
    assessor = Assessor(got, token_prices(got, run.state(), {}))
    position = _struct(got, got.position_keys[0])
    numbers = dict.fromkeys(
        ("sizeInUsd", "sizeInTokens", "collateralAmount", "pendingImpactAmount",
         "borrowingFactor", "fundingFeeAmountPerSize", "longTokenClaimableFundingAmountPerSize",
         "shortTokenClaimableFundingAmountPerSize", "increasedAtTime", "decreasedAtTime"), 0,
    )  # fmt: skip
    nothing = position_of(
        position.key,
        {
            "account": position.account, "market": position.market,
            "collateralToken": position.collateral_token, "isLong": position.is_long, **numbers,
        },
    )  # fmt: skip
    state, prices = assessor.market(position.market)
    closing = closing_of(state, nothing, assessor.assess(position).discounts, state.stored(nothing))
    with pytest.raises(Revert, match=r"Panic\(0x12\)"):
        is_position_liquidatable(closing, prices)


@both_recordings
def test_verify_agrees_with_the_reader(name):
    run = run_of(name)
    found = run.verify(run.snapshot("state"))
    assert found.differences == []
    assert (found.verdicts, found.skipped) == (OPEN[name], 0)
    assert found.values == 9 * OPEN[name]


def test_verify_sees_a_verdict_that_is_not_the_readers():
    run = run_of("2b")
    accounts = stored(run.snapshot())
    accounts[0].positions[0].outputs["stored"]["isLiquidatable"] ^= True
    found = drive(PROTOCOL.verify(run.deployment, run.block, accounts), run.answer)
    assert [difference.kind for difference in found.differences] == ["verdict"]


@both_recordings
def test_index_never_asks_the_reader(name):
    reader = run_of(name).deployment.contracts["Reader"]
    run = run_of(name, refuse=lambda request: request.to == reader)
    for source in ("logs", "state", "both"):
        assert run.snapshot(source).rows


@both_recordings
def test_a_snapshot_takes_few_rounds_however_many_positions(name):
    run = run_of(name)
    run.snapshot("state", state=None, probe=run.probe())
    assert len(run.rounds) <= 3 + 8


@both_recordings
def test_the_release_is_told_from_the_words_alone(name):
    run = run_of(name)
    found = run.probe()
    assert (found.release, found.facts["told_by"]) == (RELEASES[name], "words")


def test_a_release_that_contradicts_the_words_is_refused():
    run = run_of("2b")
    run.deployment = replace(run.deployment, options={"release": "2.2c"})
    with pytest.raises(AnalyzerError, match=r"says 2\.2c, but the words .* are those of 2\.2b"):
        run.probe()


def test_a_release_that_cannot_be_told_is_refused():
    run = run_of("2b")
    run.deployment = replace(run.deployment, options={})
    run.probe()
    *_, words = run.rounds
    run.changed = {(request.to, request.data): Answer(bytes(32)) for request in words}
    with pytest.raises(AnalyzerError, match=r"no market .* shows which release"):
        run.probe()


def test_an_address_without_data_store_is_no_gmx_v2():
    run = run_of("2b")
    run.probe()
    first = run.rounds[0][0]
    run.changed = {(first.to, first.data): Answer(b"")}
    with pytest.raises(AnalyzerError, match="there is no GMX v2 DataStore at"):
        run.probe()


def test_accounts_narrow_the_positions():
    run = run_of("2b")
    whole = of_type(run.snapshot("state").rows, Positions)
    account = min(row.account for row in whole)
    mine = of_type(run.snapshot("state", accounts=(account,)).rows, Positions)
    assert [row.position_id for row in mine]
    assert {row.position_id for row in mine} == {
        row.position_id for row in whole if row.account == account
    }


@both_recordings
def test_prices_are_the_newest_executed_and_say_so(name):
    snapshot = run_of(name).snapshot()
    assert snapshot.price_basis.startswith("executed: newest executed OraclePriceUpdate (6,0")
    used = {row.token: row for row in of_type(snapshot.rows, PriceRow) if row.is_used}
    theirs = document(f"{name}.expected")["last_oracle_prices"]
    assert {token: (row.inputs["min"], row.inputs["max"]) for token, row in used.items()} == {
        token.lower(): (int(price["min"]), int(price["max"])) for token, price in theirs.items()
    }
    for row in of_type(snapshot.rows, Positions):
        for facts in row.inputs["price_basis"].values():
            assert (facts["basis"], facts["source"]) == ("executed", "executed")


@both_recordings
def test_without_history_the_feeds_price_is_an_estimate(name):
    snapshot = run_of(name).snapshot("state", state=None)
    assert "estimate" in snapshot.price_basis
    theirs = {
        position["key"]: position["reader_at_feed_prices"]
        for position in document(f"{name}.expected")["positions"]
    }
    for row in of_type(snapshot.rows, Positions):
        verdict = row.outputs["stored"]
        assert verdict["isLiquidatable"] == theirs[row.position_id]["isLiquidatable"]
        assert verdict["remainingCollateralUsd"] == int(
            theirs[row.position_id]["remainingCollateralUsd"]
        )


def test_a_users_price_goes_before_all_others():
    run = run_of("2b")
    weth = "0xb7f8bc63bbcad18155201308c8f3540b07f84f5e"
    snapshot = run.snapshot(prices={weth: 2_000 * 10**18})
    assert "given by the user" in snapshot.price_basis
    (used,) = (row for row in of_type(snapshot.rows, PriceRow) if row.token == weth and row.is_used)
    assert (used.source, used.inputs["min"], used.price_min) == (
        "user", 2_000 * 10**12, 2_000 * 10**18,
    )  # fmt: skip


@both_recordings
def test_feeds_state_their_heartbeat_and_the_deviation_that_the_oracle_accepts(name):
    feeds = document(f"{name}.expected")["feeds"]
    rows = [r for r in of_type(run_of(name).snapshot().rows, PriceRow) if r.source == "oracle"]
    assert {row.token for row in rows} == {token.lower() for token in feeds}
    for token, feed in feeds.items():
        (row,) = (row for row in rows if row.token == token.lower())
        assert (row.inputs["min"], row.observed_at) == (int(feed["price"]), feed["updatedAt"])
        assert (row.max_age, row.deviation_limit_bps) == (feed["heartbeat"], 5_000)


@both_recordings
def test_a_synthetic_token_without_code_has_decimals_by_its_feed(name):
    tokens = {row.token: row for row in of_type(run_of(name).snapshot().rows, Tokens)}
    synthetic = tokens["0xcd6e36b32f2ab1bc6f93ba980c87edc009289322"]
    assert (synthetic.symbol, synthetic.decimals) == (None, 18)


@both_recordings
def test_markets_come_with_their_words_and_swap_only_ones_are_named(name):
    markets = of_type(run_of(name).snapshot().rows, Markets)
    assert sorted({market.status for market in markets}) == ["open", "swap-only"]
    for market in markets:
        if market.status == "open":
            assert market.parameters["MIN_COLLATERAL_USD"] == 10**30
            assert "OPEN_INTEREST:longToken:long" in market.parameters


@both_recordings
def test_every_position_has_legs_and_history(name):
    run = run_of(name)
    rows = run.replay(run.logs())
    assert {"increase", "decrease", "close", "liquidate", "price"} >= {
        row.kind for row in of_type(rows, PositionEvents)
    }
    snapshot = run.snapshot()
    legs = of_type(snapshot.rows, MarginLegs)
    assert {leg.margin_id for leg in legs} == {
        row.margin_id for row in of_type(snapshot.rows, Positions)
    }


def test_explain_names_the_contracts_own_terms():
    lines = PROTOCOL.explain(stored(run_of("2b").snapshot())[0])
    named = {line.name: line.value for line in lines}
    assert {"sizeInUsd", "remainingCollateralUsd", "discounts.proTraderTier"} <= named.keys()
    total = sum(int(named[name]) for name in ("collateralUsd", "positionPnlUsd", "priceImpactUsd"))
    assert total - int(named["collateralCostUsd"]) == int(named["remainingCollateralUsd"])


def test_a_recording_keeps_only_single_calls_at_its_head():
    raw = _load(FOLDER / "2b.json.gz")
    assert {_call_key(call)[0] for call in raw["calls"]} == {
        RecordedChain(FOLDER / "2b.json.gz").block("latest").number
    }
