"""One snapshot's reads: from a ledger to valued markets and complete accounts, in three rounds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from analyzer.errors import AnalyzerError
from analyzer.protocol import Deployment, Probe, SnapshotRequest
from analyzer.protocols.evidence import NOT_READ, unreadable_logs
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

PAID_BY_FUND: Final = ("CollateralLiquidated", "BadDebtSettled")
"""Events that move the insurance fund's account without naming it."""
UNREAD_FUND: Final = Failed(
    "the insurance fund's account was not read, and the logs do not tell all of it"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Readings:
    """What a snapshot rests on. ``values`` keeps the answers for columns that only inform."""

    system: System
    settlement_token: str
    ledger: Ledger
    accounts: Mapping[str, Account | Failed]
    liquidator: Liquidator
    complaints: Sequence[tuple[QualityKind, str, str]]
    """Where logs and contracts differ, or who may be missing: kind, account, detail."""
    values: Values


def read_snapshot(
    deployment: Deployment, found: Probe, request: SnapshotRequest
) -> Reads[Readings]:
    """All reads of a snapshot; raises ``AnalyzerError`` where nobody says which accounts."""
    settlement_token: str = found.facts["settlementToken"]
    holdings = yield from _holdings(deployment, request, settlement_token)
    ledger = holdings.ledger
    fund, fund_ledger = deployment.contracts["InsuranceFund"], holdings.fund
    ticks = {base_token: _ticks(ledger, base_token) for base_token in ledger.markets}
    readable = {base_token: pool for base_token, pool in ledger.markets.items() if pool}
    questions: dict[Any, Read] = config_questions(deployment, settlement_token)
    questions["settlement", "symbol"] = contract("ERC20", settlement_token).read("symbol")
    for base_token, pool in readable.items():
        questions |= market_questions(deployment, base_token, pool, ticks[base_token])
    for token in ledger.collaterals:
        questions |= collateral_questions(deployment, token)
    for trader, account in ledger.accounts.items():
        if trader not in holdings.failed:
            questions |= account_questions(deployment, trader, account)
    if not isinstance(fund_ledger, Failed):
        questions |= account_questions(deployment, fund, fund_ledger)
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
        trader: account_of(trader, account, first)
        for trader, account in ledger.accounts.items()
        if trader not in holdings.failed
    }
    fund_account = (
        fund_ledger if isinstance(fund_ledger, Failed) else account_of(fund, fund_ledger, first)
    )
    return Readings(
        system=System(
            config=config,
            markets=markets,
            collaterals={token: collateral_of(token, first) for token in ledger.collaterals},
        ),
        settlement_token=settlement_token,
        ledger=ledger,
        accounts=accounts | dict(holdings.failed),
        liquidator=Liquidator(
            insurance_fund=fund_account,
            insurance_fund_wallet=first["fund", "wallet"],
        ),
        complaints=holdings.complaints,
        values=Values({**first, **second, **third}),
    )


@dataclass(frozen=True, slots=True)
class _Holdings:
    """Who holds what by the contracts; who could not be read and why; where the logs differ."""

    ledger: Ledger
    failed: Mapping[str, Failed]
    complaints: Sequence[tuple[QualityKind, str, str]]
    fund: LedgerAccount | Failed


def _holdings(
    deployment: Deployment, request: SnapshotRequest, settlement_token: str
) -> Reads[_Holdings]:
    """Logs say whose accounts there are, the contracts what they hold.

    Accounts that only a log names which could not be read are asked for as well: most of those
    addresses are no accounts, and hold nothing.
    """
    fund = deployment.contracts["InsuranceFund"]
    if request.state is None and not request.accounts:
        raise AnalyzerError(
            f"accounts of {deployment.name} can only be found through logs: index with "
            "--positions logs, or name them with --account"
        )
    logs = ledger_of(request.state or {})
    known = {t: account for t, account in logs.accounts.items() if t != fund}
    if request.accounts:
        known = {t: known.get(t, NO_ACCOUNT) for t in sorted(request.accounts)}
    no_accounts = {
        *logs.markets, *logs.collaterals, *deployment.contracts.values(), settlement_token,
    }  # fmt: skip
    named = {a for log in unreadable_logs(request.state) for a in log.addresses} - no_accounts
    doubtful = sorted(named - known.keys()) if not request.accounts else []
    is_asked = request.state is None or request.source == "state"
    required = known.keys() if is_asked else ()
    funds = [] if request.state is None else [fund]
    state, failed = yield from read_ledger(
        deployment, [*sorted(known), *doubtful, *funds], required=required
    )
    fund_state, fund_failure = state.accounts.get(fund), failed.pop(fund, None)
    read = {trader: account for trader, account in state.accounts.items() if trader != fund}
    differences: list[tuple[QualityKind, str, str]] = [
        ("position_difference", trader, difference)
        for trader, account in read.items()
        if request.state is not None
        and (difference := _difference(logs.accounts.get(trader, NO_ACCOUNT), account))
    ]
    unknown = {t: f for t, f in failed.items() if t in request.accounts or not _is_empty(known, t)}
    accounts = {
        trader: replace(account, liquidations=known.get(trader, NO_ACCOUNT).liquidations)
        for trader, account in read.items()
        if trader in request.accounts or not account.is_empty
    }
    unread = {t: known[t] for t in unknown if t in known and t not in accounts}
    has_doubts = bool(differences or unknown) or any(
        fund in log.addresses or log.event in PAID_BY_FUND for log in unreadable_logs(request.state)
    )
    fund_account: LedgerAccount | Failed = UNREAD_FUND
    if fund_state is not None:
        fund_account = fund_state
    elif fund_failure is not None and request.state is not None and not has_doubts:
        fund_account = logs.accounts.get(fund, NO_ACCOUNT)
    return _Holdings(
        Ledger(
            markets={**logs.markets, **state.markets},
            collaterals=tuple(sorted({*logs.collaterals, *state.collaterals} - {settlement_token})),
            accounts=accounts | unread,
            traded=logs.traded,
        ),
        unknown,
        [*differences, *((NOT_READ, t, f.reason) for t, f in failed.items() if t not in unknown)],
        fund_account,
    )


def _is_empty(known: Mapping[str, LedgerAccount], trader: str) -> bool:
    return trader not in known or known[trader].is_empty


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
