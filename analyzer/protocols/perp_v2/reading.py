"""One snapshot's reads: from a ledger to valued markets and complete accounts, in three rounds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from analyzer.errors import AnalyzerError
from analyzer.protocol import Deployment, Probe, SnapshotRequest
from analyzer.protocols.perp_v2.account import System
from analyzer.protocols.perp_v2.account_reads import account_of, account_questions
from analyzer.protocols.perp_v2.config_reads import (
    collateral_of,
    collateral_questions,
    config_of,
    config_questions,
)
from analyzer.protocols.perp_v2.contracts import contract
from analyzer.protocols.perp_v2.ledger import NO_ACCOUNT, Ledger, LedgerAccount, ledger_of
from analyzer.protocols.perp_v2.ledger_reads import read_ledger
from analyzer.protocols.perp_v2.liquidation import Liquidator
from analyzer.protocols.perp_v2.market_reads import market_of, market_questions, price_questions
from analyzer.protocols.perp_v2.prices import PricedMarket, price_market
from analyzer.protocols.perp_v2.state import Account
from analyzer.reads import Failed, Read, Reads, Values
from analyzer.rows import QualityKind

UNREAD_FUND: Final = Failed("the insurance fund's account was not read")


@dataclass(frozen=True, slots=True, kw_only=True)
class Readings:
    """What a snapshot rests on. ``values`` keeps the answers for columns that only inform."""

    system: System
    settlement_token: str
    ledger: Ledger
    accounts: Mapping[str, Account | Failed]
    liquidator: Liquidator
    complaints: Sequence[tuple[QualityKind, str, str]]
    """Where logs and contracts differ or cannot be compared: kind, account, detail."""
    values: Values


def read_snapshot(
    deployment: Deployment, found: Probe, request: SnapshotRequest
) -> Reads[Readings]:
    """All reads of a snapshot; raises ``AnalyzerError`` where nobody says which accounts."""
    ledger, failed, complaints = yield from _ledger(deployment, request)
    settlement_token: str = found.facts["settlementToken"]
    fund = deployment.contracts["InsuranceFund"]
    ticks = {base_token: _ticks(ledger, base_token) for base_token in ledger.markets}
    readable = {base_token: pool for base_token, pool in ledger.markets.items() if pool}
    questions: dict[Any, Read] = config_questions(deployment, settlement_token)
    questions["settlement", "symbol"] = contract("ERC20", settlement_token).read("symbol")
    for base_token, pool in readable.items():
        questions |= market_questions(deployment, base_token, pool, ticks[base_token])
    for token in ledger.collaterals:
        questions |= collateral_questions(deployment, token)
    for trader, account in ledger.accounts.items():
        questions |= account_questions(deployment, trader, account)
    first = yield questions
    config, now = config_of(deployment, found.release, first), request.block.time
    questions = {}
    for base_token, pool in readable.items():
        questions |= price_questions(config, base_token, pool, first, now)
    questions |= _dispatcher_questions(readable, first)
    second = yield questions
    third = yield _feed_questions(readable, second)
    markets: dict[str, PricedMarket | Failed] = dict.fromkeys(
        ledger.markets, Failed("MarketRegistry does not name the market's pool")
    )
    for base_token in readable:
        market = market_of(config, base_token, ticks[base_token], first, second, now)
        markets[base_token] = (
            market if isinstance(market, Failed) else price_market(config, market, now)
        )
    accounts: dict[str, Account | Failed] = {
        trader: account_of(trader, account, first) for trader, account in ledger.accounts.items()
    }
    has_fund = request.state is not None
    fund_account = account_of(fund, ledger.accounts.get(fund, NO_ACCOUNT), first)
    accounts.pop(fund, None)
    return Readings(
        system=System(
            config=config,
            markets=markets,
            collaterals={token: collateral_of(token, first) for token in ledger.collaterals},
        ),
        settlement_token=settlement_token,
        ledger=ledger,
        accounts=accounts | failed,
        liquidator=Liquidator(
            insurance_fund=fund_account if has_fund else UNREAD_FUND,
            insurance_fund_wallet=first["fund", "wallet"],
        ),
        complaints=complaints,
        values=Values({**first, **second, **third}),
    )


def _ledger(
    deployment: Deployment, request: SnapshotRequest
) -> Reads[tuple[Ledger, dict[str, Failed], list[tuple[QualityKind, str, str]]]]:
    """Who holds what, from where the request says; for ``both``, where the two differ."""
    fund = deployment.contracts["InsuranceFund"]
    from_logs = None if request.state is None else ledger_of(request.state)
    if request.source == "state" or from_logs is None:
        found = Ledger({}, (), {}) if from_logs is None else from_logs
        if from_logs is None and not request.accounts:
            raise AnalyzerError(
                f"accounts of {deployment.name} can only be found through logs: index with "
                "--positions logs, or name them with --account"
            )
        traders = [t for t, a in found.accounts.items() if t != fund and not a.is_empty]
        ledger, failed = yield from read_ledger(deployment, request.accounts or traders)
        return _with_registries(ledger, found, fund), failed, []
    held = {t: account for t, account in from_logs.accounts.items() if not account.is_empty}
    if request.accounts:
        named = {*request.accounts, fund}
        held = {trader: held.get(trader, NO_ACCOUNT) for trader in sorted(named)}
    ledger = Ledger(from_logs.markets, from_logs.collaterals, held)
    if request.source != "both":
        return ledger, {}, []
    traders = [trader for trader in ledger.accounts if trader != fund]
    from_state, failed = yield from read_ledger(deployment, traders)
    complaints: list[tuple[QualityKind, str, str]] = [
        ("position_difference", trader, difference)
        for trader, account in from_state.accounts.items()
        if (difference := _difference(ledger.accounts[trader], account))
    ]
    complaints += [("positions_not_compared", t, f.reason) for t, f in failed.items()]
    return ledger, {}, complaints


def _with_registries(state: Ledger, logs: Ledger, fund: str) -> Ledger:
    """What only logs can list: all markets and collaterals, and the insurance fund's account."""
    funds = {fund: logs.accounts[fund]} if fund in logs.accounts else {}
    liquidations = {trader: account.liquidations for trader, account in logs.accounts.items()}
    return Ledger(
        markets={**logs.markets, **state.markets},
        collaterals=tuple(sorted({*logs.collaterals, *state.collaterals})),
        accounts=funds
        | {
            trader: replace(account, liquidations=liquidations.get(trader, 0))
            for trader, account in state.accounts.items()
        },
    )


def _difference(logs: LedgerAccount, state: LedgerAccount) -> str | None:
    for name in ("settlement_balance", "collaterals", "owed_realized_pnl", "positions"):
        ours, theirs = getattr(logs, name), getattr(state, name)
        if ours != theirs:
            return f"{name} is {ours} by the logs and {theirs} by the contracts"
    return None


def _ticks(ledger: Ledger, base_token: str) -> set[int]:
    """The ticks at which any order in the market begins or ends."""
    return {
        tick
        for account in ledger.accounts.values()
        if base_token in account.positions
        for ticks in account.positions[base_token].orders
        for tick in ticks
    }


def _dispatcher_questions(markets: Mapping[str, str], first: Values) -> dict[Any, Read]:
    """Which feed a market's oracle answers come from: only for the age of its prices."""
    return {
        ("dispatcher", base_token, getter): contract("PriceFeedDispatcher", feed).read(getter)
        for base_token in markets
        if not isinstance(feed := first["market", base_token, "priceFeed"], Failed)
        for getter in ("getChainlinkPriceFeedV3", "isToUseUniswapV3PriceFeed")
    }


def _feed_questions(markets: Mapping[str, str], second: Values) -> dict[Any, Read]:
    questions = {}
    for base_token in markets:
        feed = second.get(("dispatcher", base_token, "getChainlinkPriceFeedV3"))
        if feed is not None and not isinstance(feed, Failed):
            for getter in ("getLatestOrCachedPrice", "getTimeout"):
                questions["feed", base_token, getter] = contract("ChainlinkPriceFeedV3", feed).read(
                    getter
                )
    return questions
