"""The ledger of named accounts from the contracts' own getters, without logs."""

from collections.abc import Collection, Sequence
from typing import Any

from analyzer.protocol import Deployment
from analyzer.protocols.perp_v2.contracts import role
from analyzer.protocols.perp_v2.ledger import Ledger, LedgerAccount, LedgerOrder, LedgerPosition
from analyzer.reads import Failed, MissingError, Read, Reads, Values


def read_ledger(
    deployment: Deployment, traders: Sequence[str], *, required: Collection[str]
) -> Reads[tuple[Ledger, dict[str, Failed]]]:
    """The accounts' balances, positions and orders; those that could not be read, and why.

    The ``required`` ones a recorded chain must hold.
    """
    first = yield _account_questions(deployment, traders, required=required)
    failed = {t: f for t in traders if (f := _failure(first, t, ACCOUNT_FIELDS))}
    readable = [trader for trader in traders if trader not in failed]
    held = {t: [b.lower() for b in first[t, "getBaseTokens"]] for t in readable}
    tokens = {t: [c.lower() for c in first[t, "getCollateralTokens"]] for t in readable}
    second = yield _holding_questions(deployment, held, tokens)
    third = yield {
        ("order", trader, base_token, order): role(deployment, "OrderBook").read(
            "getOpenOrderById", order
        )
        for trader, base_tokens in held.items()
        for base_token in base_tokens
        if not isinstance(second["orders", trader, base_token], Failed)
        for order in second["orders", trader, base_token]
    }
    accounts: dict[str, LedgerAccount] = {}
    for trader in readable:
        try:
            accounts[trader] = LedgerAccount(
                settlement_balance=first.need((trader, "getBalance")),
                collaterals={t: second.need(("balance", trader, t)) for t in tokens[trader]},
                owed_realized_pnl=first.need((trader, "getPnlAndPendingFee"))[0],
                positions={b: _position(trader, b, second, third) for b in held[trader]},
            )
        except MissingError as error:
            failed[trader] = Failed(str(error))
    markets = {b: _pool(second, b) for bases in held.values() for b in bases}
    collaterals = tuple(sorted({t for found in tokens.values() for t in found}))
    return Ledger(markets, collaterals, accounts), failed


ACCOUNT_FIELDS = {
    "getBaseTokens": "AccountBalance",
    "getPnlAndPendingFee": "AccountBalance",
    "getBalance": "Vault",
    "getCollateralTokens": "Vault",
}
"""``getPnlAndPendingFee`` is the only getter of owedRealizedPnl; its other values are not used."""


def _account_questions(
    deployment: Deployment, traders: Sequence[str], *, required: Collection[str]
) -> dict[Any, Read]:
    return {
        (trader, getter): role(deployment, contract).read(
            getter, trader, is_optional=trader not in required
        )
        for trader in traders
        for getter, contract in ACCOUNT_FIELDS.items()
    }


def _holding_questions(
    deployment: Deployment, held: dict[str, list[str]], tokens: dict[str, list[str]]
) -> dict[Any, Read]:
    questions: dict[Any, Read] = {}
    for trader, base_tokens in held.items():
        for base_token in base_tokens:
            questions["market", base_token] = role(deployment, "MarketRegistry").read(
                "getMarketInfo", base_token
            )
            questions["info", trader, base_token] = role(deployment, "AccountBalance").read(
                "getAccountInfo", trader, base_token
            )
            questions["orders", trader, base_token] = role(deployment, "OrderBook").read(
                "getOpenOrderIds", trader, base_token
            )
        for token in tokens[trader]:
            questions["balance", trader, token] = role(deployment, "Vault").read(
                "getBalanceByToken", trader, token
            )
    return questions


def _failure(values: Values, trader: str, fields: Any) -> Failed | None:
    found = (values[trader, name] for name in fields)
    return next((value for value in found if isinstance(value, Failed)), None)


def _pool(values: Values, base_token: str) -> str:
    """A market's pool; an unreadable one is left to the market's own reads to report."""
    info = values["market", base_token]
    return "" if isinstance(info, Failed) else str(info[0]).lower()


def _position(trader: str, base_token: str, second: Values, third: Values) -> LedgerPosition:
    size, notional, _ = second.need(("info", trader, base_token))
    orders = {}
    for order in second.need(("orders", trader, base_token)):
        found = third.need(("order", trader, base_token, order))
        liquidity, lower, upper, *_, base_debt, quote_debt = found
        orders[lower, upper] = LedgerOrder(liquidity, base_debt, quote_debt)
    return LedgerPosition(size, notional, orders)
