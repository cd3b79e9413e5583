"""The protocol over a recorded chain: positions from logs and reads, and the contract's views."""

import pytest

from analyzer.abi import load_abi
from analyzer.evm import Answer
from analyzer.protocol import SnapshotRequest
from analyzer.protocols.gmx_v1 import PROTOCOL
from analyzer.protocols.gmx_v1.contracts import vault_of
from analyzer.protocols.gmx_v1.held import logged_position
from analyzer.reads import drive
from analyzer.rows import (
    DataQuality,
    Funding,
    MarginAccounts,
    MarginLegs,
    Markets,
    Positions,
    Prices,
    Tokens,
)
from tests.protocols.gmx_v1_run import LOCAL_A, LOCAL_C, Run, of_type, run_of, stored

FORBIDDEN = ("validateLiquidation", "getPositionDelta", "getPositionLeverage")
OPEN = {LOCAL_C: 285, LOCAL_A: 37}

both_deployments = pytest.mark.parametrize("name", [LOCAL_C, LOCAL_A])


def get_position(run: Run, identity) -> tuple:
    read = vault_of(run.deployment).read("getPosition", *identity.arguments())
    return read.decode(run.chain.answer([read.request], run.block)[0].data)


@both_deployments
def test_positions_from_logs_equal_get_position_in_all_eight_values(name):
    run = run_of(name)
    held = [logged_position(after) for after in run.state().values()]
    assert len(held) == OPEN[name]
    for one in held:
        p = one.struct
        ours = (
            p.size,
            p.collateral,
            p.average_price,
            p.entry_funding_rate,
            p.reserve_amount,
            abs(p.realised_pnl),
            p.realised_pnl >= 0,
            p.last_increased_time,
        )
        assert ours == get_position(run, one.identity)


def test_every_recorded_position_that_is_open_was_found_in_the_logs(gmx_v1_recording):
    selector = "0x" + load_abi("gmx_v1", "Vault").functions["getPosition"].selector.hex()
    for name in (LOCAL_C, LOCAL_A):
        run = run_of(name)
        vault = run.deployment.contracts["Vault"].lower()
        recorded = {
            call["data"]
            for call in gmx_v1_recording["calls"]
            if call["to"].lower() == vault
            and call["data"].startswith(selector)
            and int(call["result"][2:66], 16) > 0
        }
        found = {
            "0x"
            + vault_of(run.deployment)
            .read("getPosition", *logged_position(after).identity.arguments())
            .request.data.hex()
            for after in run.state().values()
        }
        assert found == recorded


@both_deployments
def test_verify_agrees_with_every_recorded_view(name, gmx_v1_recording):
    run = run_of(name)
    comparison = run.verify(run.snapshot())
    abi = load_abi("gmx_v1", "Vault").functions
    vault = run.deployment.contracts["Vault"].lower()
    recorded = [
        call["data"][:10] for call in gmx_v1_recording["calls"] if call["to"].lower() == vault
    ]
    verdicts = recorded.count("0x" + abi["validateLiquidation"].selector.hex())
    assert comparison.differences == []
    assert comparison.skip_reasons == []
    assert comparison.verdicts == verdicts == 2 * OPEN[name]
    assert comparison.values >= OPEN[name] * (8 + 2)


@both_deployments
def test_verify_notices_a_vault_that_answers_otherwise(name):
    run = run_of(name)
    snapshot = run.snapshot()
    one = logged_position(next(iter(run.state().values()))).identity
    vault = vault_of(run.deployment)
    wrong = Answer(bytes(31) + b"\x02" + bytes(32))
    for question in (
        vault.read("validateLiquidation", *one.arguments(), False),
        vault.read("getPositionDelta", *one.arguments()),
    ):
        run.change(question, wrong)
    differences = run.verify(snapshot).differences
    assert {(d.kind, d.subject, d.name) for d in differences} >= {
        ("verdict", one.key(), "validateLiquidation"),
    }


@both_deployments
def test_rows_do_not_depend_on_verdicts_or_account_values(name, gmx_v1_recording, write_recording):
    run = run_of(name)
    abi = load_abi("gmx_v1", "Vault").functions
    reader = gmx_v1_recording["addresses"]["reader"].lower()
    views = {"0x" + abi[function].selector.hex() for function in FORBIDDEN}
    kept = [
        call
        for call in gmx_v1_recording["calls"]
        if call["data"][:10] not in views and call["to"].lower() != reader
    ]
    removed = len(gmx_v1_recording["calls"]) - len(kept)
    assert removed >= 4 * (OPEN[LOCAL_C] + OPEN[LOCAL_A])
    without = Run(
        type(run.chain)(write_recording({**gmx_v1_recording, "calls": kept})), run.deployment
    )
    for source in ("logs", "state", "both"):
        assert without.snapshot(source).rows == run.snapshot(source).rows
    assert not any(bytes.fromhex(view[2:]) == r.data[:4] for r in run.asked for view in views)


@both_deployments
def test_logs_and_reads_give_the_same_positions(name):
    run = run_of(name)
    by_id = {p.position_id: p for p in of_type(run.snapshot("logs").rows, Positions)}
    for source in ("state", "both"):
        snapshot = run.snapshot(source)
        assert {p.position_id: p for p in of_type(snapshot.rows, Positions)} == by_id
        assert of_type(snapshot.rows, DataQuality) == []
        assert snapshot.complete


def test_both_reports_where_logs_and_reads_differ():
    run = run_of(LOCAL_A)
    state = run.state()
    key, gone = list(state)[:2]
    state[key] = {**state[key], "size": state[key]["size"] + 1}
    state[gone] = {**state[gone], "collateral": 7, "lastIncreasedTime": 8}
    complaints = of_type(run.snapshot("both", state).rows, DataQuality)
    assert {(c.kind, c.subject) for c in complaints} == {
        ("position_difference", key),
        ("position_difference", gone),
    }
    assert f"size: logs {state[key]['size']}, getPosition" in complaints[0].detail + (
        complaints[1].detail
    )


def test_an_account_needs_no_logs():
    run = run_of(LOCAL_C)
    state = run.state()
    account = next(iter(state.values()))["account"]
    run.nothing_at = (load_abi("gmx_v1", "Vault").functions["getPosition"].selector,)
    snapshot = run.snapshot("state", accounts=(account,))
    expected = run.snapshot("logs", state, accounts=(account,))
    found = {p.position_id: p for p in of_type(snapshot.rows, Positions)}
    assert snapshot.complete
    assert len(found) > 0
    assert found == {p.position_id: p for p in of_type(expected.rows, Positions)}
    assert {p.account for p in found.values()} == {account}


def test_without_logs_and_accounts_positions_are_said_to_be_missing():
    run = run_of(LOCAL_A)
    request = SnapshotRequest(run.block, "state", None)
    snapshot = drive(PROTOCOL.snapshot(run.deployment, run.probe(), request), run.answer)
    assert not snapshot.complete
    assert [row.kind for row in of_type(snapshot.rows, DataQuality)] == ["positions_not_read"]
    assert of_type(snapshot.rows, Positions) == []
    assert of_type(snapshot.rows, Prices)


@both_deployments
def test_a_snapshot_takes_five_rounds_however_many_positions_there_are(name):
    run = run_of(name)
    request = SnapshotRequest(run.block, "both", run.state())
    reads = PROTOCOL.snapshot(run.deployment, run.probe(), request)
    rounds = 0

    def answer(requests):
        nonlocal rounds
        rounds += 1
        return run.answer(requests)

    drive(reads, answer)
    assert rounds == 5


@both_deployments
def test_open_interest_is_the_sum_of_positions_and_the_vaults_own_word_on_shorts(name):
    rows = run_of(name).snapshot().rows
    for market in of_type(rows, Markets):
        exact = {
            side: sum(
                p.inputs["size"]
                for p in of_type(rows, Positions)
                if p.market == market.market and p.side == side
            )
            for side in ("long", "short")
        }
        assert market.open_interest_long_usd == exact["long"] // 10**12
        assert market.parameters["globalShortSizes"] == exact["short"]
        assert market.open_interest_short_usd == exact["short"] // 10**12


def test_a_private_vault_executes_at_its_timelocks_fee_and_a_public_one_at_its_own():
    for name, at_rest, in_force in ((LOCAL_C, 500, 10), (LOCAL_A, 10, 10)):
        for position in of_type(run_of(name).snapshot().rows, Positions):
            assert position.outputs["stored"]["marginFeeBasisPoints"] == at_rest
            assert position.outputs["executable"]["marginFeeBasisPoints"] == in_force


def test_a_verdict_at_rest_is_not_the_one_that_a_liquidation_meets():
    accounts = of_type(run_of(LOCAL_C).snapshot().rows, MarginAccounts)
    assert sum(a.state_stored == "liquidatable" for a in accounts) == 27
    assert sum(a.state == "liquidatable" for a in accounts) == 6


@both_deployments
def test_every_liquidation_price_is_where_the_position_stands(name):
    """Beyond the liquidation price is liquidatable, short of it is not: by price and by flip."""
    rows = run_of(name).snapshot().rows
    states = {account.margin_id: account.state for account in of_type(rows, MarginAccounts)}
    for position in of_type(rows, Positions):
        exact = position.outputs["executable"]
        (flip,) = exact["flip"].values()
        (native,) = position.outputs["native"].values()
        beyond = (
            exact["price"] <= flip["last_liquidatable"]
            if position.side == "long"
            else exact["price"] >= flip["last_liquidatable"]
        )
        assert native["kind"] == flip["kind"] == position.liquidation_kind == "flip"
        assert beyond == (states[position.margin_id] == "liquidatable")
        assert (position.distance_bps < 0) == beyond


@both_deployments
def test_forms_agree_with_the_exact_buffer_at_the_price(name):
    rows = run_of(name).snapshot().rows
    buffers = {a.margin_id: a.outputs["buffer"] for a in of_type(rows, MarginAccounts)}
    prices = {p.margin_id: p.outputs["executable"]["price"] for p in of_type(rows, Positions)}
    legs = of_type(rows, MarginLegs)
    assert {leg.margin_id for leg in legs} == set(buffers)
    for margin_id, buffer in buffers.items():
        mine = [leg for leg in legs if leg.margin_id == margin_id]
        assert [leg.piece for leg in mine] == list(range(1 if name == LOCAL_C else 2))
        price = prices[margin_id] / 10**30
        value = min(leg.intercept + leg.slope * price for leg in mine)
        assert abs(value - buffer / 10**30) <= mine[0].error_bound


@both_deployments
def test_tokens_prices_and_funding_cover_the_whitelist(name, gmx_v1_recording):
    rows = run_of(name).snapshot().rows
    listed = {t["address"].lower(): t for t in gmx_v1_recording["meta"]["tokens"]}
    tokens = {t.token: t for t in of_type(rows, Tokens)}
    assert tokens.keys() == listed.keys()
    for address, token in tokens.items():
        assert (token.symbol, token.decimals) == (
            listed[address]["symbol"],
            listed[address]["decimals"],
        )
    volatile = {address for address, token in listed.items() if not token["stable"]}
    prices = of_type(rows, Prices)
    assert {p.token for p in prices if p.source == "contract"} == listed.keys()
    assert {p.token for p in prices if p.source == "oracle"} == listed.keys()
    fast = [p for p in prices if p.source == "fast"]
    assert {p.token for p in fast} == volatile
    assert {(p.max_age, p.deviation_limit_bps, p.is_used) for p in fast} == {(300, 250, False)}
    funding = {(f.market, f.side, f.collateral_token) for f in of_type(rows, Funding)}
    stable = listed.keys() - volatile
    assert funding == {(t, "long", t) for t in volatile} | {
        (t, "short", s) for t in volatile for s in stable
    }


def test_a_funding_rate_is_per_hour():
    rows = of_type(run_of(LOCAL_C).snapshot().rows, Funding)
    row = rows[0]
    factor, words = row.inputs["fundingRateFactor"], row.inputs
    per_interval = factor * words["reservedAmounts"] / words["poolAmounts"] / 10**6
    hours = words["fundingInterval"] / 3600
    assert row.funding_rate == pytest.approx(per_interval / hours * 10**18, rel=1e-12)


def test_explain_names_every_step_of_both_bases():
    run = run_of(LOCAL_C)
    account = next(a for a in stored(run.snapshot()) if a.state == "liquidatable")
    lines = PROTOCOL.explain(account)
    names = [line.name for line in lines]
    for name in ("size", "collateral", "averagePrice", "delta", "fundingFee", "positionFee"):
        assert name in names
    exact = account.positions[0].outputs["executable"]
    values = {line.name: line.value for line in lines}
    assert names.index("executable") < names.index("stored")
    assert any(line.meaning == account.reason for line in lines)
    assert values["variant C: flip.last_liquidatable"] == str(
        account.positions[0].outputs["stored"]["flip"]["C"]["last_liquidatable"]
    )
    assert str(exact["delta"]) in {line.value for line in lines if line.name == "delta"}


def test_a_vault_of_unknown_variant_is_unknown_only_where_it_matters():
    run = run_of(LOCAL_C, primary_max_age=60)
    assert run.probe().release == "B or C"
    snapshot = run.snapshot()
    known = {a.margin_id: a for a in of_type(run_of(LOCAL_C).snapshot().rows, MarginAccounts)}
    for account in of_type(snapshot.rows, MarginAccounts):
        if account.state == "unknown":
            assert account.reason.startswith("variants B and C disagree")
        else:
            assert account.state == known[account.margin_id].state
    comparison = run.verify(snapshot)
    assert comparison.differences == []
    disagreeing = [p for p in of_type(snapshot.rows, Positions) if _disagrees(p)]
    assert comparison.skipped == len(disagreeing) > 0
    assert 'variant = "C"' in comparison.skip_reasons[0]


def _disagrees(position) -> bool:
    said = position.outputs["stored"]["validateLiquidation"]
    return len({(v["liquidationState"], v["marginFees"]) for v in said.values()}) > 1


def test_a_users_age_limit_stands_beside_primary_prices():
    run = run_of(LOCAL_A, variant="A", primary_max_age=86_400)
    oracle = [p for p in of_type(run.snapshot().rows, Prices) if p.source == "oracle"]
    assert {(p.max_age, p.max_age_source) for p in oracle} == {
        (86_400, "option primary_max_age"),
    }
    assert {p.observed_at for p in oracle} == {None}
