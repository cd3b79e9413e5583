"""A recorded chain indexed whole: rows, verdicts, the contracts' answers, what is unknown."""

import gzip
import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import pytest

from analyzer.abi import load_abi
from analyzer.chain.recording import RecordedChain
from analyzer.errors import AnalyzerError
from analyzer.indexer.deployments import deployment_of
from analyzer.indexer.plan import Plan
from analyzer.indexer.rebuild import rebuild
from analyzer.indexer.run import Outcome, index
from analyzer.indexer.verify import verify_database
from analyzer.protocol import SnapshotRequest
from analyzer.protocols.perp_v2 import PROTOCOL
from analyzer.protocols.perp_v2.verify import ACCOUNT_VIEWS, POSITION_VIEWS
from analyzer.reads import drive
from analyzer.store import derived
from analyzer.store.database import open_for_reading

FIXTURES = Path(__file__).parents[2] / "fixtures" / "perp_v2"
RECORDING = FIXTURES.parent / "demo" / "perp_v2.json.gz"
BLOCKS = (1051, 1066, 1802)
TABLES = (
    "positions", "margin_accounts", "margin_legs", "balances", "prices", "funding", "markets",
    "tokens", "position_events", "data_quality",
)  # fmt: skip


@cache
def recorded_chain() -> RecordedChain:
    return RecordedChain(RECORDING)


@pytest.fixture(scope="module")
def indexed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The last block's snapshot, to be read and left as it is."""
    path = tmp_path_factory.mktemp("indexed") / "a.duckdb"
    assert run(recorded_chain(), path, block=1802).error is None
    return path


@cache
def document() -> dict[str, Any]:
    with gzip.open(RECORDING, "rt", encoding="utf-8") as file:
        return json.load(file)


@cache
def snapshot_of(block: int) -> dict[str, Any]:
    with gzip.open(FIXTURES / "vectors.json.gz", "rt", encoding="utf-8") as file:
        return next(s for s in json.load(file)["snapshots"] if s["block"] == block)


def chain_with(tmp_path: Path, change: Callable[[dict[str, Any]], dict[str, Any]]) -> RecordedChain:
    path = tmp_path / "changed.json.gz"
    with gzip.open(path, "wt", encoding="utf-8") as file:
        json.dump(change(dict(document())), file)
    return RecordedChain(path)


def run(chain: RecordedChain, path: Path, **plan: Any) -> Outcome:
    deployment = deployment_of(chain.deployments[0], "the recording")
    (outcome,) = index(chain, path, Plan(deployments=[deployment], **plan))
    return outcome


def rows(path: Path, table: str, where: str = "true") -> list[tuple[Any, ...]]:
    with duckdb.connect(str(path), read_only=True) as connection:
        return sorted(
            connection.execute(f"select * from {table} where {where}").fetchall(), key=str
        )


def ask(path: Path, sql: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(path), read_only=True) as connection:
        return connection.execute(sql).fetchall()


@pytest.mark.parametrize("block", BLOCKS)
def test_the_contracts_agree_with_every_stored_answer(tmp_path: Path, block: int) -> None:
    chain = recorded_chain()
    outcome = run(chain, tmp_path / "a.duckdb", block=block)
    assert (outcome.error, outcome.unknown, outcome.complete) == (None, 0, True)
    (verified,) = verify_database(chain, tmp_path / "a.duckdb")
    found = verified.comparison
    assert found.differences == []
    assert found.skip_reasons == []
    positions = sum(len(a["positions"]) for a in snapshot_of(block)["accounts"])
    accounts = len(snapshot_of(block)["accounts"])
    assert verified.views.verdicts == 2 * accounts + positions
    assert (verified.recomputed.verdicts, verified.recomputed.flips) == (3 * accounts, positions)


@pytest.mark.parametrize("block", BLOCKS)
def test_every_account_is_stored_with_the_contracts_verdict(tmp_path: Path, block: int) -> None:
    run(recorded_chain(), tmp_path / "a.duckdb", block=block)
    stored = ask(
        tmp_path / "a.duckdb",
        "select account, state, collateral_state, outputs->>'accountValue',"
        " outputs->>'marginRequirement' from current_margin_accounts",
    )
    word = {True: "liquidatable", False: "safe"}
    assert sorted(stored) == sorted(
        (
            a["account"].lower(),
            word[a["liquidatable_by_margin"]],
            word[a["vault_isLiquidatable"]],
            a["accountValue_1e18"],
            a["marginRequirement_1e18"],
        )
        for a in snapshot_of(block)["accounts"]
    )


def test_runs_that_go_on_leave_what_one_run_leaves(tmp_path: Path, indexed: Path) -> None:
    chain = recorded_chain()
    for block in BLOCKS:
        run(chain, tmp_path / "steps.duckdb", block=block)
    run(chain, indexed, block=BLOCKS[-1])
    for table in TABLES:
        where = "true" if table == "tokens" else f"block_number = {BLOCKS[-1]}"
        assert rows(tmp_path / "steps.duckdb", table, where) == rows(indexed, table, where)


def test_a_rebuild_gives_the_same_rows(tmp_path: Path) -> None:
    path = tmp_path / "a.duckdb"
    run(recorded_chain(), path, block=1802)
    before = {table: rows(path, table) for table in TABLES}
    rebuild(path)
    assert {table: rows(path, table) for table in TABLES} == before


def verdict_selectors() -> set[str]:
    """Of ``getPnlAndPendingFee`` the first word is read, ``owedRealizedPnl`` as it is stored."""
    views = {*ACCOUNT_VIEWS.values(), *POSITION_VIEWS.values()}
    views -= {("AccountBalance", "getPnlAndPendingFee")}
    views |= {
        ("AccountBalance", "getMarkPrice"),
        ("AccountBalance", "getLiquidatablePositionSize"),
        ("ClearingHouse", "liquidate"),
        ("InsuranceFund", "getInsuranceFundCapacity"),
        ("Vault", "getFreeCollateralByRatio"),
        ("Vault", "getMaxRepaidSettlementAndLiquidatableCollateral"),
        ("OrderBook", "getPendingFee"),
    }
    return {selector(contract, view) for contract, view in views}


def test_indexing_never_asks_for_a_value_or_a_verdict(tmp_path: Path, indexed: Path) -> None:
    selectors = verdict_selectors()

    def without_views(recording: dict[str, Any]) -> dict[str, Any]:
        calls = [c for c in recording["calls"] if c["data"][:10] not in selectors]
        assert len(calls) < len(recording["calls"]) - 5_000
        return {**recording, "calls": calls}

    outcome = run(chain_with(tmp_path, without_views), tmp_path / "less.duckdb", block=1802)
    assert outcome.error is None
    for table in TABLES:
        assert rows(tmp_path / "less.duckdb", table) == rows(indexed, table)


def test_logs_and_state_agree(tmp_path: Path, indexed: Path) -> None:
    run(recorded_chain(), tmp_path / "both.duckdb", block=1802, positions="both")
    assert rows(tmp_path / "both.duckdb", "data_quality") == []
    for table in ("positions", "margin_accounts", "balances"):
        assert rows(tmp_path / "both.duckdb", table) == rows(indexed, table)


def test_a_lost_log_changes_no_answer_and_is_noticed(tmp_path: Path, indexed: Path) -> None:
    """What the contracts store is taken, and a row tells where the logs say otherwise."""
    deposited = "0x8752a472e571a816aea92eec8dae9baf628e840f4929fbcc2d155e6233ff68a7"
    changed = "0x968bc4f738eae0486dc6736c4b427dbafa4acfdf6eaf223337791ddeb3a56247"

    def without(topic: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
        def change(recording: dict[str, Any]) -> dict[str, Any]:
            logs = list(recording["logs"])
            logs.remove(next(log for log in reversed(logs) if log["topics"][0] == topic))
            return {**recording, "logs": logs}

        return change

    for name, topic in (("deposited", deposited), ("changed", changed)):
        path = tmp_path / f"{name}.duckdb"
        outcome = run(chain_with(tmp_path, without(topic)), path, block=1802)
        assert (outcome.complete, outcome.unknown) == (True, 0)
        (quality,) = rows(path, "data_quality")
        assert "position_difference" in quality
        for table, columns in (
            ("margin_accounts", "account, state, equity_usd, requirement_usd"),
            ("positions", "position_id, size_usd, price, liquidation_below, liquidation_above"),
        ):
            sql = f"select {columns} from {table} order by all"
            assert ask(path, sql) == ask(indexed, sql)


def test_named_accounts_are_read_without_logs(tmp_path: Path, indexed: Path) -> None:
    names = [a["account"].lower() for a in snapshot_of(1802)["accounts"]][:12]
    outcome = run(
        recorded_chain(),
        tmp_path / "state.duckdb",
        block=1802,
        positions="state",
        accounts=tuple(names),
    )
    assert (outcome.error, outcome.logs, outcome.accounts) == (None, 0, 12)
    where = "account in (" + ", ".join(f"'{name}'" for name in names) + ")"
    assert rows(tmp_path / "state.duckdb", "balances") == rows(indexed, "balances", where)
    columns = "account, equity_usd, requirement_usd, state, collateral_state"
    sql = f"select {columns} from margin_accounts where {where} order by all"
    assert ask(tmp_path / "state.duckdb", sql) == ask(indexed, sql)
    columns = "position_id, size_usd, funding_owed_usd, liquidation_below, liquidation_above"
    sql = f"select {columns} from positions where {where} order by all"
    assert ask(tmp_path / "state.duckdb", sql) == ask(indexed, sql)


def test_all_accounts_that_logs_name_can_be_read_from_state(tmp_path: Path, indexed: Path) -> None:
    run(recorded_chain(), tmp_path / "state.duckdb", block=1802, positions="state")
    for table in ("positions", "margin_accounts", "balances", "markets"):
        assert rows(tmp_path / "state.duckdb", table) == rows(indexed, table)


def test_without_logs_and_names_nobody_can_say_who_there_is() -> None:
    """There is no list of accounts on chain: an empty answer would be a lie."""
    chain = recorded_chain()
    deployment = deployment_of(chain.deployments[0], "the recording")
    block = chain.block(1802)
    found = drive(PROTOCOL.probe(deployment), lambda requests: chain.answer(requests, block))
    request = SnapshotRequest(block=block, source="state", state=None)
    with pytest.raises(AnalyzerError, match="can only be found through logs"):
        drive(PROTOCOL.snapshot(deployment, found, request), lambda _: [])


def stale_pool(recording: dict[str, Any]) -> dict[str, Any]:
    """The first market's pool has too little history: every TWAP of it reverts."""
    observe = "0x883bdbfd"
    first = next(c["to"] for c in recording["calls"] if c["data"].startswith(observe))
    old = {"code": 3, "message": "execution reverted: OLD", "data": "0x"}
    calls = [
        {**{k: v for k, v in c.items() if k != "result"}, "error": old}
        if c["to"] == first and c["data"].startswith(observe)
        else c
        for c in recording["calls"]
    ]
    return {**recording, "calls": calls}


def test_one_unreadable_market_makes_its_holders_unknown(tmp_path: Path) -> None:
    path = tmp_path / "a.duckdb"
    run(chain_with(tmp_path, stale_pool), path, block=1802)
    reasons = ask(path, "select distinct reason from margin_accounts where state = 'unknown'")
    assert [reason for (reason,) in reasons] == ["UniswapV3Pool.observe reverted: OLD"]
    ((market,),) = ask(
        path,
        "select distinct market from positions where liquidation_kind = 'unknown'"
        " and price is null",
    )
    ((unknown, others),) = ask(
        path,
        "select count(*) filter (where state = 'unknown'), count(*) filter (where equity_usd is"
        " null and state <> 'unknown') from margin_accounts",
    )
    ((holders,),) = ask(
        path, f"select count(distinct account) from positions where market = '{market}'"
    )
    assert (unknown, others) == (holders, 0)


def test_an_unknown_account_is_no_agreement_with_the_contracts(tmp_path: Path) -> None:
    chain = chain_with(tmp_path, stale_pool)
    run(chain, tmp_path / "a.duckdb", block=1802)
    (verified,) = verify_database(chain, tmp_path / "a.duckdb")
    ((unknown,),) = ask(
        tmp_path / "a.duckdb", "select count(*) from margin_accounts where state = 'unknown'"
    )
    assert verified.comparison.skipped == unknown
    assert all("OLD" in difference.ours for difference in verified.comparison.differences)


def test_a_named_account_of_which_nothing_can_be_read_is_unknown(tmp_path: Path) -> None:
    """That no log names it is no proof: the recorded chain does not hold its words."""
    nobody = "0x" + "77" * 20
    outcome = run(recorded_chain(), tmp_path / "a.duckdb", block=1802, accounts=(nobody,))
    assert outcome.unknown == 1
    assert ask(tmp_path / "a.duckdb", "select account, equity_usd, state from margin_accounts") == [
        (nobody, None, "unknown")
    ]


def answering(to: str, data: str, result: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    def change(recording: dict[str, Any]) -> dict[str, Any]:
        contract = recording["deployments"][0]["contracts"][to]
        calls = [
            {**call, "result": result} if (call["to"], call["data"]) == (contract, data) else call
            for call in recording["calls"]
        ]
        assert calls != recording["calls"]
        return {**recording, "calls": calls}

    return change


def selector(contract: str, function: str) -> str:
    return "0x" + load_abi("perp_v2", contract).functions[function].selector.hex()


@pytest.mark.parametrize(
    ("contract", "function", "result", "complaint"),
    [
        ("ClearingHouse", "getExchange", "0x", "is not Perpetual Protocol v2"),
        ("Vault", "getSettlementToken", "0x", "has no settlement token"),
        ("Vault", "decimals", f"0x{18:064x}", "settles in a token of 18 decimals, not 6"),
    ],
)
def test_first_contact_refuses_other_contracts(
    tmp_path: Path, contract: str, function: str, result: str, complaint: str
) -> None:
    change = answering(contract, selector(contract, function), result)
    outcome = run(chain_with(tmp_path, change), tmp_path / "a.duckdb", block=1802)
    assert complaint in str(outcome.error)


def test_a_deployment_with_another_contract_in_a_role_is_refused(tmp_path: Path) -> None:
    def change(recording: dict[str, Any]) -> dict[str, Any]:
        deployment = recording["deployments"][0]
        contracts = {**deployment["contracts"], "InsuranceFund": "0x" + "99" * 20}
        return {**recording, "deployments": [{**deployment, "contracts": contracts}]}

    outcome = run(chain_with(tmp_path, change), tmp_path / "a.duckdb", block=1802)
    assert "ClearingHouse.getInsuranceFund is" in str(outcome.error)


def test_the_linear_form_is_the_buffer_within_its_bound(indexed: Path) -> None:
    ((accounts, worst),) = ask(
        indexed,
        """
        with form as (
            select legs.margin_id,
                sum(intercept + slope * coalesce(price_min, 0)::double) as buffer,
                sum(error_bound) as bound
            from margin_legs as legs
            left join prices using (chain_id, protocol, deployment, block_number, price_id)
            where prices.source = 'contract'
            group by legs.margin_id
        )
        select count(*), max(abs(buffer - buffer_usd::double) - bound)
        from form join margin_accounts using (margin_id)
        """,
    )
    assert accounts == len(snapshot_of(1802)["accounts"])
    assert worst <= 0


def test_positions_say_which_marks_liquidate_them_and_what_can_reach_them(indexed: Path) -> None:
    assert ask(indexed, "select distinct liquidation_kind from positions order by 1") == [
        ("always",), ("flip",), ("never",),
    ]  # fmt: skip
    wrong = ask(
        indexed,
        "select position_id from positions join margin_accounts using (margin_id) where"
        " liquidation_kind = 'flip' and"
        " (coalesce(price <= liquidation_below, false) or"
        " coalesce(price >= liquidation_above, false)) <> (state = 'liquidatable')",
    )
    assert wrong == []
    reach = "select distinct outputs->>'reachable_by_oracle_only' from positions order by 1"
    assert ask(indexed, reach) == [("false",), ("true",)]


def test_a_liquidatable_account_says_which_markets_refuse_and_why(indexed: Path) -> None:
    stored = dict(
        ask(indexed, "select account, blocked_by from margin_accounts where state = 'liquidatable'")
    )
    for account in snapshot_of(1802)["accounts"]:
        if account["liquidatable_by_margin"]:
            refused = {
                (p["baseToken"].lower(), p["liquidate_sim"])
                for p in account["positions"]
                if p["liquidate_sim"] != "OK"
            }
            said = stored[account["account"].lower()]
            if not account["positions"]:
                assert said == "there is no position to liquidate"
                continue
            found = set() if said is None else {tuple(x.split(": ")) for x in said.split("; ")}
            assert found == refused
        else:
            assert account["account"].lower() not in stored
    assert any("CH_MNO" in (said or "") for said in stored.values())


def test_explain_goes_from_balances_to_the_verdict(indexed: Path) -> None:
    with open_for_reading(indexed) as connection:
        (snapshot,) = derived.snapshots(connection)
        accounts = derived.accounts(connection, snapshot)
    account = next(a for a in accounts if a.positions and a.state == "liquidatable")
    lines = {line.name: line.value for line in PROTOCOL.explain(account)}
    assert lines["isLiquidatable"] == "True"
    assert int(lines["accountValue"]) < int(lines["marginRequirement"])
    assert lines["settlementBalance"] == str(account.inputs["settlementBalance"])


HUGE = f"0x{2**256 - 1:064x}"
ENDLESS_NAME = "0x" + f"{32:064x}{4096:064x}" + "e2808f41" * 1024


@pytest.mark.parametrize(
    ("contract", "function", "result", "reason"),
    [
        ("BaseToken", "getIndexPrice", HUGE, "reverts without a reason"),
        ("BaseToken", "getIndexPrice", "0x", "an empty answer"),
        ("BaseToken", "isOpen", HUGE, "malformed"),
        ("UniswapV3Pool", "slot0", "0x" + "ff" * 224, "malformed"),
        ("CollateralManager", "getPrice", HUGE, "reverts without a reason"),
        ("CollateralManager", "getDebtThresholdByTrader", "0x", "an empty answer"),
        ("ERC20", "decimals", f"0x{255:064x}", "claims 255 decimals"),
        ("ERC20", "symbol", ENDLESS_NAME, None),
        ("ChainlinkPriceFeedV3", "getLatestOrCachedPrice", "0x" + "ff" * 64, None),
    ],
)
def test_hostile_answers_make_accounts_unknown_and_nothing_fail(
    tmp_path: Path, contract: str, function: str, result: str, reason: str | None
) -> None:
    """Whatever a contract says, the run ends, and what rests on it is unknown with the reason."""
    wanted = selector(contract, function)
    vault = document()["deployments"][0]["contracts"]["Vault"]

    def change(recording: dict[str, Any]) -> dict[str, Any]:
        calls = [
            {**{k: v for k, v in call.items() if k != "error"}, "result": result}
            if call["data"].startswith(wanted) and call["to"] != vault
            else call
            for call in recording["calls"]
        ]
        return {**recording, "calls": calls}

    path = tmp_path / "a.duckdb"
    outcome = run(chain_with(tmp_path, change), path, block=1802)
    assert outcome.error is None
    assert outcome.accounts == len(snapshot_of(1802)["accounts"])
    reasons = {r for (r,) in ask(path, "select distinct reason from margin_accounts") if r}
    if reason is None:
        assert outcome.unknown == 0
        assert reasons == set()
    else:
        states = (
            "select distinct state, collateral_state from margin_accounts where reason is not null"
        )
        assert reasons or reason == ""
        assert all(reason in found for found in reasons)
        assert all("unknown" in pair for pair in ask(path, states))
