"""What ``verify`` asks the contracts of an account and of its positions."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from analyzer.protocol import Deployment, StoredAccount, StoredPosition
from analyzer.protocols.perp_v2.contracts import order_id, role
from analyzer.reads import Read
from analyzer.rows import LIQUIDATABLE

ACCOUNT_VIEWS: Final = {
    "accountValue": ("ClearingHouse", "getAccountValue"),
    "marginRequirement": ("AccountBalance", "getMarginRequirementForLiquidation"),
    "totalAbsPositionValue": ("AccountBalance", "getTotalAbsPositionValue"),
    "totalDebtValue": ("AccountBalance", "getTotalDebtValue"),
    "hasOrder": ("AccountBalance", "hasOrder"),
    "allPendingFunding": ("Exchange", "getAllPendingFundingPayment"),
    "vaultAccountValue": ("Vault", "getAccountValue"),
    "vaultIsLiquidatable": ("Vault", "isLiquidatable"),
    "settlementTokenValue": ("Vault", "getSettlementTokenValue"),
    "freeCollateral": ("Vault", "getFreeCollateral"),
    "collateralMarginRequirement": ("Vault", "getMarginRequirementForCollateralLiquidation"),
}
POSITION_VIEWS: Final = {
    "takerPositionSize": ("AccountBalance", "getTakerPositionSize"),
    "base": ("AccountBalance", "getBase"),
    "quote": ("AccountBalance", "getQuote"),
    "totalPositionSize": ("AccountBalance", "getTotalPositionSize"),
    "totalPositionValue": ("AccountBalance", "getTotalPositionValue"),
    "totalOpenNotional": ("AccountBalance", "getTotalOpenNotional"),
    "pendingFundingPayment": ("Exchange", "getPendingFundingPayment"),
}


def best_liquidator(accounts: Sequence[StoredAccount]) -> str | None:
    """Who is most likely able to take a position over: who did so most often, or could at once.

    Among those who never did, an account without positions and the largest balance.
    """

    def ability(account: StoredAccount) -> tuple[int, bool, int]:
        return (
            int(account.inputs.get("liquidations") or 0),
            not account.positions,
            int(account.inputs.get("settlementBalance") or 0),
        )

    return max(accounts, key=ability).account if accounts else None


def account_questions(deployment: Deployment, account: StoredAccount) -> dict[Any, Read]:
    """The contracts' views of an account."""
    trader = account.account
    questions: dict[Any, Read] = {
        (trader, name): role(deployment, contract).read(view, trader)
        for name, (contract, view) in ACCOUNT_VIEWS.items()
    }
    balance = role(deployment, "AccountBalance")
    vault = role(deployment, "Vault")
    questions[trader, "pnl"] = balance.read("getPnlAndPendingFee", trader)
    questions[trader, "settlementBalance"] = vault.read("getBalance", trader)
    ratio = account.inputs.get("mmRatio")
    if ratio is not None:
        questions[trader, "freeCollateralByMmRatio"] = vault.read(
            "getFreeCollateralByRatio", trader, int(ratio)
        )
    for token in account.inputs.get("collaterals") or {}:
        questions[trader, "balance", token] = vault.read("getBalanceByToken", trader, token)
        questions[trader, "repaid", token] = vault.read(
            "getMaxRepaidSettlementAndLiquidatableCollateral", trader, token
        )
    return questions


def position_questions(
    deployment: Deployment, account: StoredAccount, position: StoredPosition, caller: str | None
) -> dict[Any, Read]:
    """The contracts' views of a position, and its liquidation by ``caller``."""
    trader, market = account.account, position.market
    questions: dict[Any, Read] = {
        (trader, market, name): role(deployment, contract).read(view, trader, market)
        for name, (contract, view) in POSITION_VIEWS.items()
    }
    questions["mark", market] = role(deployment, "AccountBalance").read("getMarkPrice", market)
    if account.state == LIQUIDATABLE:
        questions[trader, market, "liquidatablePositionSize"] = role(
            deployment, "AccountBalance"
        ).read("getLiquidatablePositionSize", trader, market, int(account.outputs["accountValue"]))
    for ticks, _ in orders_of(position):
        key = (trader, market, "order", order_id(trader, market, *ticks))
        questions[key] = role(deployment, "OrderBook").read("getPendingFee", trader, market, *ticks)
    questions[trader, market, "liquidate"] = role(deployment, "ClearingHouse").read(
        "liquidate", trader, market, sender=caller
    )
    return questions


def orders_of(position: StoredPosition) -> list[tuple[tuple[int, int], Mapping[str, Any]]]:
    """The orders that can be named: by their lower and upper tick."""
    named = [
        ((order["lowerTick"], order["upperTick"]), order)
        for order in position.inputs.get("orders") or ()
        if order is not None
    ]
    return [(ticks, order) for ticks, order in named if None not in ticks]
