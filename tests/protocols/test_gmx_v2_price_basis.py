"""Which price a verdict rests on, how old it may be, and which verdicts another one would turn."""

import json

import duckdb
import pytest
from eth_abi.abi import encode

from analyzer.abi import load_abi
from analyzer.evm import NOT_READ, Answer, Call
from analyzer.protocols.gmx_v2 import PROTOCOL
from analyzer.protocols.gmx_v2.keys import key
from analyzer.protocols.gmx_v2.prices import Quote, choose, price_of
from analyzer.protocols.gmx_v2.state import Price
from analyzer.reads import Failed, MissingError
from analyzer.rows import MarginAccounts, Positions
from analyzer.rows import Prices as PriceRow
from analyzer.units import UINT256_MAX, decimal_text
from tests.conftest import GMX_V1_RECORDING
from tests.protocols.gmx_v2_run import RECORDINGS, document, of_type, run_of, stored, with_price
from tests.protocols.test_gmx_v2_hostile import WETH, uint_of, word

WBTC = "0x959922be3caee4b8cd9a407cc3ac1c251c2007b1"
USDC = "0x68b1d87f95878fe05b998f19b66f4baba5de1aed"
MAX_AGE, HEARTBEAT = 300, 86_400
"""As the recorded chains' words say, the heartbeat of WETH's feed."""
LIQUIDATABLE = {"2b": {"executed": 10, "freshest": 23}, "2c": {"executed": 6, "freshest": 17}}
TURNED = 13
"""On each of the recorded chains, by the 3 % that WETH's feed is apart."""

both_recordings = pytest.mark.parametrize("name", RECORDINGS)


def recording(name):
    return f"recording:{RECORDINGS[name]}"


def executed_at(run, token, age, **changes):
    """The replayed state with a token's executed price of an age."""
    return with_price(run.state(), token, timestamp=run.block.time - age, **changes)


def feed_call(run, token):
    """Where a token's feed answers ``latestRoundData``."""
    get_address = load_abi("gmx_v2", "DataStore").functions["getAddress"].selector
    asked = Call(run.deployment.contracts["DataStore"], get_address + key("PRICE_FEED", token))
    feed = "0x" + run.chain.answer([asked], run.block)[0].data[-20:].hex()
    return feed, load_abi("gmx_v2", "PriceFeed").functions["latestRoundData"].selector


def feed_at(run, token, age, answer=3_100 * 10**8):
    """A feed's answer of an age."""
    time = run.block.time - age
    values = encode(
        ["uint80", "int256", "uint256", "uint256", "uint80"], [1, answer, time, time, 1]
    )
    return {feed_call(run, token): Answer(values)}


def used_row(snapshot, token):
    (row,) = (row for row in of_type(snapshot.rows, PriceRow) if row.token == token and row.is_used)
    return row


def grounds(snapshot, token):
    """Why verdicts rest on the token's price, as all positions say it."""
    found = {
        facts["basis"]
        for row in of_type(snapshot.rows, Positions)
        for facts in row.inputs["price_basis"].values()
        if facts["token"] == token
    }
    (ground,) = found
    return ground


def buffer_of(account):
    """By how much a margin account is over what is required, in USD with 30 decimals."""
    verdict = account.outputs["executable"]
    required = max(verdict["minCollateralUsd"], verdict["minCollateralUsdForLeverage"])
    return verdict["remainingCollateralUsd"] - required


def states(snapshot):
    return {row.margin_id: row.state for row in of_type(snapshot.rows, MarginAccounts)}


@pytest.mark.parametrize(
    ("age", "source", "ground"),
    [(MAX_AGE, "executed", "executed"), (MAX_AGE + 1, "oracle", "feed")],
)
def test_an_executed_price_counts_up_to_the_protocols_own_maximum_age(age, source, ground):
    run = run_of("2b")
    snapshot = run.snapshot(state=executed_at(run, WETH, age), basis="freshest")
    assert (used_row(snapshot, WETH).source, grounds(snapshot, WETH)) == (source, ground)


@pytest.mark.parametrize(
    ("age", "source", "ground"),
    [(HEARTBEAT, "oracle", "feed"), (HEARTBEAT + 1, "executed", "last_observed")],
)
def test_a_feed_counts_within_its_heartbeat(age, source, ground):
    run = run_of("2b")
    run.changed = feed_at(run, WETH, age)
    snapshot = run.snapshot(basis="freshest")
    assert (used_row(snapshot, WETH).source, grounds(snapshot, WETH)) == (source, ground)


@pytest.mark.parametrize(("age", "source"), [(6_026, "executed"), (6_027, "oracle")])
def test_where_all_are_too_old_the_one_observed_last_counts_and_says_so(age, source):
    run = run_of("2b")
    snapshot = run.snapshot(state=executed_at(run, WBTC, age), basis="freshest")
    assert (used_row(snapshot, WBTC).source, grounds(snapshot, WBTC)) == (source, "last_observed")
    assert (
        f"{age if source == 'executed' else 6_026:,} s old, past its limit" in snapshot.price_basis
    )


@pytest.mark.parametrize("answer", [word(0), NOT_READ])
def test_without_a_maximum_age_no_executed_price_is_known_to_count(answer):
    run = run_of("2b")
    run.changed = {uint_of(run, "MAX_ORACLE_PRICE_AGE"): answer}
    snapshot = run.snapshot(state=executed_at(run, WETH, 1), basis="freshest")
    assert used_row(snapshot, WETH).source == "oracle"
    assert (used_row(snapshot, WBTC).source, grounds(snapshot, WBTC)) == (
        "executed", "last_observed",
    )  # fmt: skip
    assert used_row(snapshot, WBTC).max_age is None
    assert "s old, no limit known" in snapshot.price_basis


@both_recordings
def test_each_price_says_its_source_time_age_and_width(name):
    run = run_of(name)
    snapshot = run.snapshot(basis="freshest")
    rows = {(row.token, row.source): row for row in of_type(snapshot.rows, PriceRow)}
    assert (rows[WETH, "executed"].max_age, rows[WETH, "executed"].max_age_source) == (
        MAX_AGE, "MAX_ORACLE_PRICE_AGE",
    )  # fmt: skip
    for position in of_type(snapshot.rows, Positions):
        for price, facts in position.inputs["price_basis"].items():
            row = rows[facts["token"], facts["source"]]
            assert row.is_used
            assert facts["observed_at"] == row.observed_at
            assert (facts["age"], facts["max_age"]) == (
                run.block.time - row.observed_at, row.max_age,
            )  # fmt: skip
            taken = position.inputs["prices"][f"{price}TokenPrice"]
            assert {end: facts[end] for end in ("min", "max")} == taken
            assert {end: row.inputs[end] for end in ("min", "max")} == taken


@pytest.mark.parametrize("basis", ["executed", "feed"])
@both_recordings
def test_a_price_of_the_basis_counts_however_old_it_is(name, basis):
    snapshot = run_of(name).snapshot(basis=basis)
    source = {"executed": "executed", "feed": "oracle"}[basis]
    assert {used_row(snapshot, token).source for token in (WETH, WBTC, USDC)} == {source}
    assert snapshot.price_basis.startswith(f"{basis}: ")
    assert "past its limit" in snapshot.price_basis


def test_a_token_without_a_price_of_the_basis_has_the_freshest():
    run = run_of("2b")
    state = with_price(run.state(), WETH)
    del state[f"price:{WETH}"]
    snapshot = run.snapshot(state=state, basis="executed")
    assert (used_row(snapshot, WETH).source, grounds(snapshot, WETH)) == ("oracle", "feed")
    assert "on-chain feed, an estimate" in snapshot.price_basis


def test_a_users_price_goes_before_every_basis_and_stays_in_every_alternative():
    run = run_of("2b")
    given = run.snapshot(prices={WETH: 2_000 * 10**18}, basis="feed")
    assert (used_row(given, WETH).source, grounds(given, WETH)) == ("user", "user")
    other = run.snapshot(prices={WETH: 2_000 * 10**18}, basis="executed")
    ours = {row.margin_id: row for row in of_type(given.rows, MarginAccounts)}
    for margin_id, state in states(other).items():
        for one in ours[margin_id].outputs["price_alternatives"]:
            assert WETH not in one["tokens"]
            if one["kind"] == "source":
                assert one["state"] == state


STABLE = 10**24


@pytest.mark.parametrize(("answer", "low", "high"), [(99_990_000, -1, 0), (100_010_000, 0, 1)])
def test_a_feeds_price_is_as_wide_as_the_tokens_stable_price_is_apart(answer, low, high):
    run = run_of("2b")
    stable = {uint_of(run, "STABLE_PRICE", USDC): word(STABLE)}
    run.changed = stable | feed_at(run, USDC, 1, answer)
    row = used_row(run.snapshot(basis="freshest"), USDC)
    assert (row.source, row.inputs["min"], row.inputs["max"]) == (
        "oracle", STABLE + low * 10**20, STABLE + high * 10**20,
    )  # fmt: skip


def test_a_price_whose_width_was_not_read_is_unknown():
    run = run_of("2b")
    run.changed = {uint_of(run, "STABLE_PRICE", WETH): NOT_READ}
    snapshot = run.snapshot(basis="freshest")
    accounts = {row.margin_id: row for row in of_type(snapshot.rows, MarginAccounts)}
    for row in of_type(snapshot.rows, Positions):
        account, is_of_weth = accounts[row.margin_id], WETH in row.inputs["marketProps"].values()
        assert (account.state == "unknown") is is_of_weth
        assert not is_of_weth or f"the oracle price of token {WETH}: " in account.reason
    assert used_row(snapshot, WETH).price_min is None
    values = [line.value for one in stored(snapshot) for line in PROTOCOL.explain(one)]
    assert "oracle, which could not be read" in values


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        (Answer(error="execution reverted"), "known"),
        (NOT_READ, "unknown"),
        (Answer(b""), "unknown"),
    ],
)
def test_a_feed_that_reverts_names_no_price_and_one_that_was_not_read_may(answer, state):
    run = run_of("2b")
    run.changed = {feed_call(run, WETH): answer}
    snapshot = run.snapshot(basis="freshest")
    assert used_row(snapshot, WETH).source == {"known": "executed", "unknown": "oracle"}[state]
    assert ("unknown" in states(snapshot).values()) is (state == "unknown")


PRICE, UNREADABLE = Price(1, 2), Failed("a log could not be read")


@pytest.mark.parametrize(
    ("price", "age", "feed_age", "expected"),
    [
        (UNREADABLE, 300, 0, "executed"),
        (UNREADABLE, 301, 0, "feed"),
        (UNREADABLE, 301, 101, "last_observed"),
        (PRICE, 302, 301, "last_observed"),
        (None, 0, 101, "last_observed"),
        (None, 0, 100, "feed"),
    ],
)
def test_a_price_that_could_not_be_read_counts_as_if_it_had_been(price, age, feed_age, expected):
    """What rests on it is unknown: another price would be an answer to another question."""
    now = 1_000_000
    executed = Quote("executed", price, now - age, {}, 300, "LIMIT")
    feed = Quote("oracle", PRICE, now - feed_age, {}, 100, "LIMIT")
    quote, ground = choose((executed, feed), "freshest", now)
    assert ground == expected
    if quote is executed and price is UNREADABLE:
        with pytest.raises(MissingError, match="executed price of token 0x1: a log could not"):
            price_of("0x1", quote)
    else:
        assert price_of("0x1", quote) == PRICE


@both_recordings
def test_each_alternative_is_the_verdict_of_a_snapshot_at_its_prices(name):
    run = run_of(name)
    fresh, other = run.snapshot(basis="freshest"), run.snapshot(basis="executed")
    theirs = {row.margin_id: row for row in of_type(other.rows, MarginAccounts)}
    found = 0
    for account in of_type(fresh.rows, MarginAccounts):
        for one in account.outputs["price_alternatives"]:
            if (one["kind"], one["other"]["source"]) == ("source", "executed"):
                found += 1
                same = theirs[account.margin_id]
                assert one["state"] == same.state
                assert one["buffer_usd"] == decimal_text(buffer_of(same), 30)
                assert (one["is_current"], one["used_is_current"]) == (False, True)
    assert found == sum(
        any(facts["source"] == "oracle" for facts in row.inputs["price_basis"].values())
        for row in of_type(fresh.rows, Positions)
    )


@both_recordings
def test_prices_that_both_count_are_told_apart_from_one_that_is_too_old(name):
    run = run_of(name)
    state = executed_at(run, WETH, MAX_AGE)
    snapshot = run.snapshot(state=state, basis="freshest")
    differing = [
        one
        for row in of_type(snapshot.rows, MarginAccounts)
        for one in row.outputs["price_alternatives"]
        if one["state"] != row.state and one["kind"] == "source"
    ]
    assert len(differing) >= TURNED
    for one in differing:
        assert one["is_current"] is one["used_is_current"] is True
        assert (one["used"]["source"], one["other"]["source"]) == ("executed", "oracle")


@both_recordings
def test_a_liquidation_price_inside_the_width_is_one_verdict_at_each_end(name):
    run = run_of(name)
    found = [
        (row.margin_id, one)
        for row in of_type(run.snapshot(basis="freshest").rows, MarginAccounts)
        for one in row.outputs["price_alternatives"]
        if one["kind"] == "width"
    ]
    assert found
    for margin_id, one in found:
        used, at = one["used"], one["other"]
        assert used["min"] <= at["min"] == at["max"] <= used["max"]
        assert used["source"] == "executed"
        ends = [
            states(
                run.snapshot(
                    state=executed_at(
                        run, used["token"], used["age"], minPrice=used[end], maxPrice=used[end]
                    ),
                    basis="freshest",
                )
            )[margin_id]
            for end in ("min", "max")
        ]
        assert sorted(ends) == ["liquidatable", "safe"]


def checked(perpscope, database):
    """Margin accounts by the finding that names them."""
    ran = perpscope("check", "liquidatable", "price_dependent", "--db", database, "-f", "json")
    rows = json.loads(ran.out)
    return {
        query: {row["margin_id"]: row for row in rows if row["query"] == query}
        for query in ("liquidatable", "price_dependent")
    }


@both_recordings
def test_every_account_whose_verdict_the_feeds_difference_turns_is_named(perpscope, tmp_path, name):
    """Against two other databases, and against the Reader's own answers at both prices."""
    found = {}
    for basis in ("executed", "feed", "freshest"):
        database = tmp_path / f"{basis}.duckdb"
        chosen = () if basis == "freshest" else ("--price-basis", basis)
        ran = perpscope("index", "--rpc-url", recording(name), "--db", database, *chosen)
        assert ran.code == 0
        found[basis] = checked(perpscope, database)
        verified = perpscope(
            "verify", "--rpc-url", recording(name), "--db", database, "--format", "json"
        )
        if basis != "feed":
            (tally,) = json.loads(verified.out)
            assert (tally["verdict_mismatches"], tally["skipped"]) == (0, 0)
            assert len(found[basis]["liquidatable"]) == LIQUIDATABLE[name][basis]
    turned = found["executed"]["liquidatable"].keys() ^ found["feed"]["liquidatable"].keys()
    assert len(turned) == TURNED
    by_reader = {
        position["key"]
        for position in document(f"{name}.expected")["positions"]
        if position["reader"]["isLiquidatable"]
        != position["reader_at_feed_prices"]["isLiquidatable"]
    }
    assert len(by_reader) >= TURNED
    fresh = found["freshest"]
    assert turned <= fresh["price_dependent"].keys()
    assert by_reader <= fresh["price_dependent"].keys() | fresh["liquidatable"].keys()
    assert turned <= found["executed"]["price_dependent"].keys()
    for key_, row in fresh["price_dependent"].items():
        assert row["state"] == ("liquidatable" if key_ in fresh["liquidatable"] else "safe")
        assert {row["state"], row["other_state"]} == {"liquidatable", "safe"}
        assert row["why"] == ("other past limit" if key_ in turned else "width")
    for key_ in turned:
        row = found["executed"]["price_dependent"][key_]
        assert (row["why"], row["price_source"], row["other_source"]) == (
            "other within limit", "executed", "oracle",
        )  # fmt: skip
        assert (row["max_age"], row["other_max_age"]) == (MAX_AGE, HEARTBEAT)
        assert row["age_seconds"] > MAX_AGE
        assert row["other_age_seconds"] < HEARTBEAT


def test_the_choice_is_an_option_a_variable_and_a_key_of_the_file(perpscope, tmp_path, monkeypatch):
    def basis(*options):
        database = tmp_path / "x.duckdb"
        ran = perpscope("index", "--rpc-url", recording("2b"), "--db", database, *options)
        assert ran.code == 0, ran.err
        with duckdb.connect(str(database), read_only=True) as connection:
            ((text, kept),) = connection.execute(
                "select s.price_basis, r.price_basis from snapshots as s, raw_snapshots as r"
            ).fetchall()
        assert text.startswith(f"{kept}: ")
        return kept

    assert basis() == "freshest"
    (tmp_path / "perpscope.toml").write_text('price_basis = "feed"\n')
    assert basis() == "feed"
    monkeypatch.setenv("PERPSCOPE_PRICE_BASIS", "executed")
    assert basis() == "executed"
    assert basis("--price-basis", "freshest") == "freshest"


def test_a_choice_that_changes_nothing_is_refused(perpscope, tmp_path):
    node = f"recording:{GMX_V1_RECORDING}"
    database = tmp_path / "x.duckdb"
    ran = perpscope("index", "--rpc-url", node, "--db", database, "--price-basis", "executed")
    assert ran.code == 2
    assert "--price-basis has no effect here" in ran.err
    (tmp_path / "perpscope.toml").write_text('price_basis = "executed"\n')
    assert perpscope("index", "--rpc-url", node, "--db", database).code == 0


@pytest.mark.parametrize("time", [2**63, UINT256_MAX])
def test_a_price_from_beyond_the_calendar_is_explained_all_the_same(time):
    """The Oracle has no upper limit for a timestamp either."""
    run = run_of("2b")
    state = executed_at(run, WETH, run.block.time - time)
    for account in stored(run.snapshot(state=state, basis="freshest")):
        lines = {line.name: line for line in PROTOCOL.explain(account)}
        if account.positions[0].inputs["marketProps"]["indexToken"] == WETH:
            assert f"observed at unix time {time}, -" in lines["indexTokenPrice"].meaning


def test_explain_says_source_time_age_and_width_and_every_other_price():
    run = run_of("2c")
    accounts = stored(run.snapshot(basis="freshest"))
    (account,) = (
        one
        for one in accounts
        if any(found["kind"] == "width" for found in one.outputs["price_alternatives"])
    )
    every = PROTOCOL.explain(account)
    lines = {line.name: line for line in every}
    index = lines["indexTokenPrice"]
    assert index.value == "executed 119961.38 to 120033.38 USD"
    assert "observed last" in index.meaning
    assert "2026-11-29 00:18:07 UTC, 6,018 s old, limit 300 s by MAX_ORACLE" in index.meaning
    assert "of the on-chain feed, an estimate" in lines["longTokenPrice"].meaning
    assert "inside executed 119961.38 to 120033.38 USD" in lines["liquidation price"].meaning
    others = [
        line for line in every if line.name == "liquidatable (min collateral for leverage) at"
    ]
    assert [line.meaning.partition(";")[0] for line in others] == [f"token {USDC}", f"token {WBTC}"]
