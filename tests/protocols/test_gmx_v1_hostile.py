"""Reads that fail or lie: what rests on them is unknown with the reason, the rest is intact."""

import pytest
from eth_abi.abi import encode

from analyzer.errors import AnalyzerError
from analyzer.evm import NOT_READ, Answer
from analyzer.protocols.gmx_v1 import PROTOCOL
from analyzer.protocols.gmx_v1.contracts import contract, vault_of
from analyzer.rows import (
    DataQuality,
    Funding,
    MarginAccounts,
    Markets,
    Positions,
    Prices,
    Tokens,
    Totals,
)
from tests.protocols.gmx_v1_run import LOCAL_A, LOCAL_C, Run, of_type, run_of, stored

STALE = Answer(error="VaultPriceFeed: invalid price")
HUGE = Answer(b"\xff" * 32)


@pytest.fixture
def run() -> Run:
    return run_of(LOCAL_C)


def price_feed(run: Run):
    read = vault_of(run.deployment).read("priceFeed")
    return contract("VaultPriceFeed", read.decode(run.answer([read.request])[0].data))


def some_market(run: Run) -> str:
    return of_type(run.snapshot().rows, Markets)[0].market


def accounts_of(rows) -> dict:
    return {account.margin_id: account for account in of_type(rows, MarginAccounts)}


def test_a_price_that_reverts_makes_its_positions_unknown_and_no_others(run):
    before, market = run.snapshot().rows, some_market(run)
    for maximise in (False, True):
        run.change(price_feed(run).read("getPrice", market, maximise, False, False), STALE)
    after = run.snapshot().rows
    touched = {p.margin_id for p in of_type(before, Positions) if p.market == market}
    assert 0 < len(touched) < len(of_type(before, Positions))
    old, new = accounts_of(before), accounts_of(after)
    assert old.keys() == new.keys()
    for margin_id, account in new.items():
        if margin_id in touched:
            assert account.state == "unknown"
            assert account.state_stored == old[margin_id].state_stored
            assert account.reason == (
                "VaultPriceFeed.getPrice reverted: VaultPriceFeed: invalid price"
            )
        else:
            assert account == old[margin_id]
    (price,) = [p for p in of_type(after, Prices) if (p.token, p.source) == (market, "contract")]
    assert (price.price_min, price.price_max) == (None, None)


def test_a_view_price_that_reverts_leaves_the_executable_verdict_alone(run):
    before, market = run.snapshot().rows, some_market(run)
    vault = vault_of(run.deployment)
    for name in ("getMinPrice", "getMaxPrice"):
        run.change(vault.read(name, market), STALE)
    after = accounts_of(run.snapshot().rows)
    for position in of_type(before, Positions):
        account = after[position.margin_id]
        assert account.state == accounts_of(before)[position.margin_id].state
        assert (account.state_stored == "unknown") == (position.market == market)


def test_a_view_that_reverts_as_foreseen_is_an_agreement(run):
    market = some_market(run)
    vault = vault_of(run.deployment)
    for name in ("getMinPrice", "getMaxPrice"):
        run.change(vault.read(name, market), STALE)
    snapshot = run.snapshot()
    views = (("validateLiquidation", (False,)), ("validateLiquidation", (True,)))
    for position in of_type(snapshot.rows, Positions):
        if position.market != market:
            continue
        p = position.inputs
        arguments = (p["account"], p["collateralToken"], p["indexToken"], p["isLong"])
        for name, rest in (*views, ("getPositionDelta", ())):
            run.change(vault.read(name, *arguments, *rest), STALE)
    comparison = run.verify(snapshot)
    assert comparison.differences == []
    assert comparison.skipped == 0
    assert comparison.verdicts == 570


def test_an_overflow_in_the_contracts_own_arithmetic_is_unknown_with_its_reason(run):
    market = some_market(run)
    for maximise in (False, True):
        run.change(price_feed(run).read("getPrice", market, maximise, False, False), HUGE)
    rows = run.snapshot().rows
    for position in of_type(rows, Positions):
        account = accounts_of(rows)[position.margin_id]
        if position.market == market:
            assert account.state == "unknown"
            assert account.reason == (
                "validateLiquidation reverts: SafeMath: multiplication overflow"
            )
        else:
            assert account.state != "unknown"


@pytest.mark.parametrize(
    "name", ["maxLeverage", "liquidationFeeUsd", "minProfitTime", "inPrivateLiquidationMode"]
)
def test_a_parameter_that_was_not_read_makes_every_verdict_unknown(name, run):
    found = run.probe()
    run.probe = lambda: found
    run.change(vault_of(run.deployment).read(name), NOT_READ)
    accounts = accounts_of(run.snapshot().rows).values()
    assert len(accounts) == 285
    assert {a.state for a in accounts} == {"unknown"}
    assert {a.reason for a in accounts} == {f"Vault.{name} not read"}


@pytest.mark.parametrize(
    ("answer", "fee"),
    [
        (Answer(error=""), 500),
        (Answer(b""), 500),
        (Answer(b"\x01"), None),
        (NOT_READ, None),
    ],
)
def test_a_gov_that_is_no_timelock_leaves_the_fee_at_rest_in_force(answer, fee, run):
    gov = vault_of(run.deployment).read("gov")
    timelock = contract("Timelock", gov.decode(run.answer([gov.request])[0].data))
    run.change(timelock.read("marginFeeBasisPoints"), answer)
    rows = run.snapshot().rows
    if fee is None:
        assert {a.state for a in of_type(rows, MarginAccounts)} == {"unknown"}
        assert "unknown" not in {a.state_stored for a in of_type(rows, MarginAccounts)}
    else:
        fees = {p.outputs["executable"]["marginFeeBasisPoints"] for p in of_type(rows, Positions)}
        assert fees == {fee}


@pytest.mark.parametrize("decimals", [0, 77, 78, 255, 256, 2**255, 2**256 - 1])
def test_absurd_numbers_of_decimals_neither_hang_nor_crash(decimals, run):
    market = some_market(run)
    word = Answer(decimals.to_bytes(32, "big"))
    run.change(price_feed(run).read("priceDecimals", market), word)
    run.change(vault_of(run.deployment).read("tokenDecimals", market), word)
    rows = run.snapshot().rows
    for position in of_type(rows, Positions):
        if position.market == market:
            (native,) = position.outputs["native"].values()
            assert "unknown" in native
            assert position.liquidation_kind == "flip"


@pytest.mark.parametrize("name", ["priceSampleSpace", "secondaryPriceFeed", "priceFeeds"])
def test_a_price_feed_with_huge_words_only_loses_its_explanation(name, run):
    feed, market = price_feed(run), some_market(run)
    read = feed.read(name, market) if name == "priceFeeds" else feed.read(name)
    states = {a.margin_id: a.state for a in of_type(run.snapshot().rows, MarginAccounts)}
    run.change(read, HUGE)
    rows = run.snapshot().rows
    assert {a.margin_id: a.state for a in of_type(rows, MarginAccounts)} == states
    natives = [
        flip for p in of_type(rows, Positions) if p.market == market
        for flip in p.outputs["native"].values()
    ]  # fmt: skip
    assert all("unknown" in flip for flip in natives)


def test_a_price_that_the_pipeline_does_not_explain_has_no_native_flip(run):
    read = price_feed(run).read("isSecondaryPriceEnabled")
    run.change(read, Answer(bytes(31) + b"\x01"))
    rows = run.snapshot().rows
    for position in of_type(rows, Positions):
        (native,) = position.outputs["native"].values()
        assert native["unknown"].startswith("the price pipeline gives ")
        assert position.liquidation_kind == "flip"
    assert {p.is_used for p in of_type(rows, Prices) if p.source == "fast"} == {True}


def test_a_fast_price_that_explains_the_price_is_searched_through(run):
    """Long after the fast feed's last update, prices carry its error spread."""
    market, feed = some_market(run), price_feed(run)
    run.change(feed.read("isSecondaryPriceEnabled"), Answer(bytes(31) + b"\x01"))
    (primary,) = [
        p for p in of_type(run.snapshot().rows, Prices)
        if (p.token, p.source) == (market, "oracle")
    ]  # fmt: skip
    reference = primary.inputs["price_min"]
    for maximise, sign in ((False, -1), (True, 1)):
        price = reference * (10_000 + sign * 500) // 10_000 * (10_000 + sign * 4) // 10_000
        read = feed.read("getPrice", market, maximise, False, False)
        run.change(read, Answer(price.to_bytes(32, "big")))
    for position in of_type(run.snapshot().rows, Positions):
        if position.market == market:
            (native,), (exact,) = (
                position.outputs["native"].values(),
                position.outputs["executable"]["flip"].values(),
            )
            sign = -1 if position.side == "long" else 1
            shift = (1 + sign * 500 / 10_000) * (1 + sign * 4 / 10_000)
            mapped = native["last_liquidatable"] * 10**22 * shift
            assert mapped == pytest.approx(exact["last_liquidatable"], rel=1e-9)


def test_a_price_feed_whose_answer_is_not_positive_is_said_so(run):
    market, feed = some_market(run), price_feed(run)
    address = feed.read("priceFeeds", market)
    proxy = contract("PriceFeed", address.decode(run.answer([address.request])[0].data))
    run.change(proxy.read("latestAnswer"), Answer(bytes(32)))
    natives = [
        flip for p in of_type(run.snapshot().rows, Positions) if p.market == market
        for flip in p.outputs["native"].values()
    ]  # fmt: skip
    assert {flip["unknown"] for flip in natives} == {
        "the price pipeline reverts: VaultPriceFeed: invalid price",
    }


def test_an_unknown_position_is_explained_by_what_is_missing(run):
    market = some_market(run)
    vault = vault_of(run.deployment)
    for maximise, name in ((False, "getMinPrice"), (True, "getMaxPrice")):
        run.change(price_feed(run).read("getPrice", market, maximise, False, False), STALE)
        run.change(vault.read(name, market), NOT_READ)
    snapshot = run.snapshot()
    account = next(a for a in stored(snapshot) if a.positions[0].market == market)
    lines = {line.value for line in PROTOCOL.explain(account) if line.name == "unknown"}
    assert lines == {
        "VaultPriceFeed.getPrice reverted: VaultPriceFeed: invalid price",
        f"Vault.{'getMinPrice' if account.positions[0].side == 'long' else 'getMaxPrice'} not read",
    }
    comparison = run.verify(snapshot)
    touched = sum(p.market == market for p in of_type(snapshot.rows, Positions))
    assert comparison.differences == []
    assert comparison.skipped == 3 * touched
    assert "is unknown to us" in comparison.skip_reasons[0]


def test_a_revert_without_a_reason_agrees_with_a_revert_foreseen(run):
    """Forks that never set their Vault's messages revert in silence."""
    state = run.state()
    key = next(iter(state))
    after = state[key]
    arguments = [after[n] for n in ("account", "collateralToken", "indexToken", "isLong")]
    vault = vault_of(run.deployment)
    stored = vault.read("getPosition", *arguments)
    honest = run.answer([stored.request])[0]
    run.change(stored, Answer(honest.data[:32] + bytes(32) + honest.data[64:]))
    snapshot = run.snapshot("logs", state)
    run.change(stored, honest)
    run.change(vault.read("getPositionLeverage", *arguments), Answer(error=""))
    differences = run.verify(snapshot).differences
    assert "getPositionLeverage" not in {d.name for d in differences if d.subject == key}
    assert "collateral" in {d.name for d in differences if d.subject == key}


@pytest.mark.parametrize(
    ("claimed", "kept"),
    [
        ("WETH", "WETH"),
        ("", ""),
        ("\x1b[31mETH\x00\u202e\n", "[31mETH"),
        ("A" * 5_000, "A" * 64),
    ],
)
def test_a_symbol_is_kept_as_far_as_it_can_be_printed(claimed, kept, run):
    market = some_market(run)
    run.change(contract("Token", market).read("symbol"), Answer(encode(["string"], [claimed])))
    (token,) = [t for t in of_type(run.snapshot().rows, Tokens) if t.token == market]
    assert token.symbol == kept


@pytest.mark.parametrize(
    "answer", [Answer(b""), Answer(error=""), Answer(b"\xff" * 96), Answer(b"MKR" + bytes(29))]
)
def test_a_symbol_that_is_no_text_is_left_out(answer, run):
    market = some_market(run)
    run.change(contract("Token", market).read("symbol"), answer)
    (token,) = [t for t in of_type(run.snapshot().rows, Tokens) if t.token == market]
    assert (token.symbol, token.decimals) == (None, 8)


def test_a_position_that_the_vault_does_not_answer_is_unknown(run):
    state = run.state()
    key, after = next(iter(state.items()))
    arguments = [after[n] for n in ("account", "collateralToken", "indexToken", "isLong")]
    run.change(vault_of(run.deployment).read("getPosition", *arguments), Answer(error="paused"))
    snapshot = run.snapshot("state", state)
    account = accounts_of(snapshot.rows)[key]
    assert (account.state, account.state_stored) == ("unknown", "unknown")
    assert account.reason == "Vault.getPosition reverted: paused"
    assert len(accounts_of(snapshot.rows)) == 285
    (position,) = [p for p in of_type(snapshot.rows, Positions) if p.position_id == key]
    assert (position.size_usd, position.liquidation_kind) == (None, "unknown")
    assert [m.open_interest_long_usd for m in of_type(snapshot.rows, Markets)] == [None] * 5


def test_an_unread_whitelist_entry_loses_no_position(run):
    vault = vault_of(run.deployment)
    expected = run.snapshot().rows
    run.change(vault.read("allWhitelistedTokens", 0), NOT_READ)
    assert accounts_of(run.snapshot().rows) == accounts_of(expected)


@pytest.mark.parametrize(
    ("read", "arguments"), [("allWhitelistedTokens", (3,)), ("stableTokens", None)]
)
def test_an_account_whose_tokens_were_not_all_read_may_have_more_positions(read, arguments, run):
    account = next(iter(run.state().values()))["account"]
    run.nothing_at = (vault_of(run.deployment).abi.functions["getPosition"].selector,)
    assert run.snapshot("state", accounts=(account,)).complete
    token = some_market(run)
    run.change(vault_of(run.deployment).read(read, *(arguments or (token,))), NOT_READ)
    snapshot = run.snapshot("state", accounts=(account,))
    (complaint,) = of_type(snapshot.rows, DataQuality)
    assert not snapshot.complete
    assert complaint.kind == "positions_not_read"
    assert complaint.detail == f"Vault.{read} not read"


@pytest.mark.parametrize("source", ["logs", "both"])
def test_an_account_is_not_complete_from_logs_that_were_not_read(source, run):
    run.nothing_at = (vault_of(run.deployment).abi.functions["getPosition"].selector,)
    snapshot = run.snapshot(source, accounts=("0x" + "a" * 40,))
    assert not snapshot.complete


def test_a_fast_price_that_was_never_set_is_used_by_nothing(run):
    market, feed = some_market(run), price_feed(run)
    run.change(feed.read("isSecondaryPriceEnabled"), Answer(bytes(31) + b"\x01"))
    address = feed.read("secondaryPriceFeed")
    fast = contract("FastPriceFeed", address.decode(run.answer([address.request])[0].data))
    run.change(fast.read("prices", market), Answer(bytes(32)))
    used = {p.token: p.is_used for p in of_type(run.snapshot().rows, Prices) if p.source == "fast"}
    assert used.pop(market) is False
    assert set(used.values()) == {True}


def test_an_empty_pool_has_no_rate_and_no_interval_is_unknown(run):
    market = some_market(run)
    vault = vault_of(run.deployment)
    run.change(vault.read("poolAmounts", market), Answer(bytes(32)))
    rows = run.snapshot().rows
    assert {f.funding_rate for f in of_type(rows, Funding) if f.collateral_token == market} == {0}
    run.change(vault.read("fundingInterval"), Answer(bytes(32)))
    rows = run.snapshot().rows
    assert {f.funding_rate for f in of_type(rows, Funding)} == {None}


def test_a_pool_that_cannot_pay_blocks_the_liquidating_call(run):
    due = next(a for a in of_type(run.snapshot().rows, MarginAccounts) if a.state != "safe")
    assert due.blocked_by is None
    (position,) = [
        p for p in of_type(run.snapshot().rows, Positions) if p.margin_id == due.margin_id
    ]
    vault = vault_of(run.deployment)
    run.change(vault.read("reservedAmounts", position.collateral_token), Answer(bytes(32)))
    blocked = accounts_of(run.snapshot().rows)[due.margin_id]
    assert blocked.blocked_by == "Vault: insufficient reserve"
    del run.changed[next(iter(run.changed))]
    run.change(vault.read("poolAmounts", position.collateral_token), Answer(bytes(31) + b"\x01"))
    blocked = accounts_of(run.snapshot().rows)[due.margin_id]
    assert blocked.blocked_by in ("Vault: poolAmount exceeded", "Vault: reserve exceeds pool")


@pytest.mark.parametrize(
    ("name", "answer", "said"),
    [
        ("allWhitelistedTokensLength", Answer(b""), "answered an empty answer"),
        ("allWhitelistedTokensLength", Answer(bytes(32)), "names 0 whitelisted tokens"),
        ("allWhitelistedTokensLength", HUGE, "whitelisted tokens; check the address"),
        ("maxLeverage", Answer(error=""), "Vault.maxLeverage reverted: no reason given"),
        ("includeAmmPrice", HUGE, "includeAmmPrice answered 32 bytes instead of its types"),
        ("vaultUtils", Answer(b""), "vaultUtils answered an empty answer"),
    ],
)
def test_a_vault_that_is_no_vault_is_an_error_that_says_what_was_found(name, answer, said, run):
    run.change(vault_of(run.deployment).read(name), answer)
    with pytest.raises(AnalyzerError, match="local-c has no GMX v1 Vault at 0x5fbdb2") as caught:
        run.probe()
    assert said in str(caught.value)


def test_a_vault_of_another_variant_than_the_entry_says_is_an_error():
    with pytest.raises(AnalyzerError, match="variant A, but its Vault answers vaultUtils"):
        run_of(LOCAL_C, variant="A").probe()
    for variant in ("B", "C"):
        with pytest.raises(AnalyzerError, match=f"variant {variant}, but its Vault has no"):
            run_of(LOCAL_A, variant=variant).probe()


def test_the_variant_is_found_where_the_chain_can_tell():
    assert run_of(LOCAL_C, primary_max_age=1).probe().release == "B or C"
    assert run_of(LOCAL_C, variant="B").probe().release == "B"
    assert run_of(LOCAL_A, primary_max_age=1).probe().release == "A"


def test_a_struct_that_the_logs_lost_is_taken_from_the_vault(run):
    state = run.state()
    key = next(iter(state))
    state[key] = {**state[key], "lastIncreasedTime": None}
    snapshot = run.snapshot("logs", state)
    assert accounts_of(snapshot.rows) == accounts_of(run.snapshot().rows)
    (complaint,) = of_type(snapshot.rows, DataQuality)
    assert (complaint.kind, complaint.subject) == ("position_difference", key)


def test_a_position_that_the_vault_does_not_answer_is_unknown_and_not_gone(run):
    state = run.state()
    key = next(iter(state))
    arguments = [state[key][n] for n in ("account", "collateralToken", "indexToken", "isLong")]
    run.change(vault_of(run.deployment).read("getPosition", *arguments), NOT_READ)
    snapshot = run.snapshot("logs", state)
    account = accounts_of(snapshot.rows)[key]
    assert account.state == "unknown"
    assert "getPosition not read" in account.reason
    run.changed.clear()
    kept = accounts_of(run.snapshot().rows)
    assert {k: v for k, v in accounts_of(snapshot.rows).items() if k != key} == {
        k: v for k, v in kept.items() if k != key
    }
    unbalanced = [one for one in of_type(snapshot.rows, Totals) if not one.is_balanced]
    assert {one.name for one in unbalanced} <= {
        "reservedAmounts", "guaranteedUsd", "globalShortSizes",
    }  # fmt: skip
    assert unbalanced
