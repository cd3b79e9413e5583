"""Vault balances and realised profit, as logs change them."""

from collections.abc import Mapping
from typing import Any

from analyzer.evm import Log
from analyzer.protocols.perp_v2.perp_math import format_settlement_token
from analyzer.protocols.perp_v2.replayed import Replayed
from analyzer.units import to_e18


def deposited(replayed: Replayed, log: Log, event: Mapping[str, Any]) -> None:
    """``Vault.Deposited``, by the trader or for them."""
    token, trader = event["collateralToken"].lower(), event["trader"].lower()
    account = replayed.account(trader)
    told = _move(replayed, account, token, event["amount"])
    replayed.emit_account(log, "deposit", trader, account, **told)


def withdrawn(replayed: Replayed, log: Log, event: Mapping[str, Any]) -> None:
    """``Vault.Withdrawn``; of the settlement token it also settles what was owed.

    ``Vault._settleAndDecreaseBalance`` adds the owed profit to the balance, rounded down to the
    token's unit, and forgets the rest; no other event tells.
    """
    token, trader = event["collateralToken"].lower(), event["trader"].lower()
    account = replayed.account(trader)
    if not replayed.is_collateral(token):
        account["settlementBalance"] += format_settlement_token(
            account["owedRealizedPnl"], replayed.settlement_decimals
        )
        account["owedRealizedPnl"] = 0
    told = _move(replayed, account, token, -event["amount"])
    replayed.emit_account(log, "withdraw", trader, account, **told)


def pnl_realized(replayed: Replayed, log: Log, event: Mapping[str, Any]) -> None:
    """``AccountBalance.PnlRealized``: profit, funding, fees and penalties, owed until settled."""
    trader = event["trader"].lower()
    account = replayed.account(trader)
    account["owedRealizedPnl"] += event["amount"]
    replayed.emit_account(log, "pnl", trader, account, pnl_usd=event["amount"])


def position_liquidated(replayed: Replayed, log: Log, event: Mapping[str, Any]) -> None:
    """``ClearingHouse.PositionLiquidated``: the position has moved already; who took it over."""
    liquidator, trader = event["liquidator"].lower(), event["trader"].lower()
    base_token, fee = event["baseToken"].lower(), event["liquidationFee"]
    if not replayed.name_liquidation(log, trader, base_token, fee):
        replayed.emit_position(
            log,
            "liquidate",
            trader,
            base_token,
            replayed.registered(trader, base_token),
            size_delta_usd=-event["positionNotional"],
            fee_usd=fee,
        )
    account = replayed.account(liquidator)
    account["liquidations"] += 1
    replayed.emit_account(log, "liquidator", liquidator, account, market=base_token)


def collateral_liquidated(replayed: Replayed, log: Log, event: Mapping[str, Any]) -> None:
    """``Vault.CollateralLiquidated``: collateral goes, settlement comes, the fund takes a share."""
    token, trader = event["collateralToken"].lower(), event["trader"].lower()
    fee = event["insuranceFundFeeX10_S"]
    account = replayed.account(trader)
    _move(replayed, account, token, -event["collateral"])
    account["settlementBalance"] += event["repaidSettlementWithoutInsuranceFundFeeX10_S"]
    replayed.emit_account(
        log,
        "liquidate_collateral",
        trader,
        account,
        collateral_token=token,
        fee_usd=to_e18(fee, replayed.settlement_decimals),
    )
    _credit_insurance_fund(replayed, log, fee)


def bad_debt_settled(replayed: Replayed, log: Log, event: Mapping[str, Any]) -> None:
    """``Vault.BadDebtSettled``: the insurance fund pays what an emptied account still owes."""
    trader = event["trader"].lower()
    account = replayed.account(trader)
    account["settlementBalance"] += event["amount"]
    paid = to_e18(event["amount"], replayed.settlement_decimals)
    replayed.emit_account(log, "bad_debt", trader, account, collateral_delta=paid)
    _credit_insurance_fund(replayed, log, -event["amount"])


def _move(replayed: Replayed, account: dict[str, Any], token: str, amount: int) -> dict[str, Any]:
    """Change a balance; the columns that tell of it. Only the settlement's decimals are known."""
    if not replayed.is_collateral(token):
        account["settlementBalance"] += amount
        moved = to_e18(amount, replayed.settlement_decimals)
        return {"collateral_token": token, "collateral_delta": moved}
    collaterals = account["collaterals"]
    collaterals[token] = int(collaterals.get(token, 0)) + amount
    if collaterals[token] == 0:
        del collaterals[token]
    return {"collateral_token": token}


def _credit_insurance_fund(replayed: Replayed, log: Log, amount: int) -> None:
    fund = replayed.deployment.contracts["InsuranceFund"]
    account = replayed.account(fund)
    account["settlementBalance"] += amount
    moved = to_e18(amount, replayed.settlement_decimals)
    replayed.emit_account(log, "insurance_fund", fund, account, collateral_delta=moved)
