"""One account to rows: its margin account, positions, legs and balances."""

from collections.abc import Mapping
from typing import Any, Final

from analyzer.errors import Revert
from analyzer.protocols.perp_v2.account import MarginAccount, value_account
from analyzer.protocols.perp_v2.forms import margin_legs
from analyzer.protocols.perp_v2.liquidation import get_insurance_fund_capacity, liquidation_outcomes
from analyzer.protocols.perp_v2.outputs import account_outputs, collateral_outputs
from analyzer.protocols.perp_v2.position_rows import position_row, unknown_position_row
from analyzer.protocols.perp_v2.reading import Readings
from analyzer.protocols.perp_v2.row_values import amount, shown
from analyzer.protocols.perp_v2.state import Account, attempt
from analyzer.reads import Failed, MissingError
from analyzer.rows import (
    LIQUIDATABLE,
    SAFE,
    UNKNOWN,
    At,
    Balances,
    MarginAccounts,
    MarginState,
    Row,
)
from analyzer.units import to_e18

CROSS: Final = "cross"
NO_REASON: Final = "the contract reverts without a reason"


def account_rows(at: At, got: Readings, trader: str) -> list[Row]:
    """All rows of an account; one market that cannot be read makes the account unknown."""
    found = got.accounts[trader]
    try:
        if isinstance(found, Failed):
            return _unknown_rows(at, got, trader, found.reason)
        margin = value_account(got.system, found)
    except (Revert, MissingError) as error:
        return _unknown_rows(at, got, trader, str(error))
    outputs = account_outputs(margin)
    outcomes = liquidation_outcomes(margin, got.liquidator)
    failure = _first_failure(outputs)
    rows: list[Row] = [_account_row(at, got, margin, outputs, outcomes, failure)]
    rows += [
        position_row(at, got, margin, base_token, outputs, outcomes[base_token])
        for base_token in margin.positions
    ]
    if failure is None:
        rows += margin_legs(at, trader, margin, got.settlement_token)
    return rows + balance_rows(at, got, trader)


def balance_rows(at: At, got: Readings, trader: str) -> list[Row]:
    """What the vault holds for an account, by token."""
    held = got.ledger.accounts.get(trader)
    if held is None:
        return []
    decimals = got.system.config.settlement_decimals
    balances: dict[str, int | None] = {
        got.settlement_token: to_e18(held.settlement_balance, decimals)
    }
    for token, balance in held.collaterals.items():
        collateral = got.system.collaterals.get(token)
        balances[token] = (
            None
            if collateral is None or isinstance(collateral, Failed)
            else to_e18(balance, collateral.decimals)
        )
    return [
        Balances(at=at, account=trader, token=token, amount=balance)
        for token, balance in balances.items()
        if balance != 0
    ]


def insurance_fund_row(at: At, got: Readings, fund: str) -> Balances:
    """What stands behind bad debt: ``InsuranceFund.getInsuranceFundCapacity``, computed.

    The fund's account in the vault and what it holds of the settlement token itself.
    """
    capacity = attempt(get_insurance_fund_capacity, got.system, got.liquidator)
    decimals = got.system.config.settlement_decimals
    return Balances(
        at=at,
        account=fund,
        token=got.settlement_token,
        amount=None if isinstance(capacity, Failed) else to_e18(capacity, decimals),
    )


def _account_row(
    at: At,
    got: Readings,
    margin: MarginAccount,
    outputs: Mapping[str, Any],
    outcomes: Mapping[str, str],
    failure: Failed | None,
) -> MarginAccounts:
    equity = amount(outputs["accountValue"])
    requirement = amount(outputs["marginRequirement"])
    state = _state(outputs["isLiquidatable"])
    return MarginAccounts(
        at=at,
        margin_id=margin.account.trader,
        account=margin.account.trader,
        kind=CROSS,
        equity_usd=equity,
        requirement_usd=requirement,
        buffer_usd=None if equity is None or requirement is None else equity - requirement,
        state=state,
        state_stored=state,
        collateral_state=_state(outputs["vaultIsLiquidatable"]),
        reason=(failure.reason or NO_REASON) if failure else None,
        blocked_by=_blocked_by(outcomes) if state == LIQUIDATABLE else None,
        inputs=_inputs(got, margin.account),
        outputs={
            **{name: shown(value) for name, value in outputs.items()},
            "liquidate": dict(outcomes),
            "maxRepaidSettlementAndLiquidatableCollateral": {
                token: shown(collateral_outputs(margin, token))
                for token in margin.account.collaterals
            },
        },
    )


def _blocked_by(outcomes: Mapping[str, str]) -> str | None:
    """The markets in which ``liquidate`` would fail, with the contract's reason.

    What is unknown of an outcome is not a refusal: ``outputs`` has it.
    """
    if not outcomes:
        return "there is no position to liquidate"
    refused = [
        f"{market}: {outcome or NO_REASON}"
        for market, outcome in outcomes.items()
        if outcome != "OK" and not outcome.startswith(UNKNOWN)
    ]
    return "; ".join(refused) or None


def _state(verdict: Any) -> MarginState:
    if isinstance(verdict, Failed):
        return UNKNOWN
    return LIQUIDATABLE if verdict else SAFE


def _first_failure(outputs: Mapping[str, Any]) -> Failed | None:
    return next((value for value in outputs.values() if isinstance(value, Failed)), None)


def _inputs(got: Readings, account: Account) -> dict[str, Any]:
    config = got.system.config
    return {
        "settlementBalance": account.settlement_balance,
        "settlementDecimals": config.settlement_decimals,
        "owedRealizedPnl": account.owed_realized_pnl,
        "collaterals": dict(account.collaterals),
        "debtThreshold": shown(account.debt_threshold) if account.collaterals else None,
        "imRatio": config.im_ratio,
        "mmRatio": config.mm_ratio,
        "mmRatioBuffer": config.mm_ratio_buffer,
        "insuranceFundCapacity": shown(
            attempt(get_insurance_fund_capacity, got.system, got.liquidator)
        ),
        "liquidations": got.ledger.accounts[account.trader].liquidations,
    }


def _unknown_rows(at: At, got: Readings, trader: str, reason: str) -> list[Row]:
    held = got.ledger.accounts.get(trader)
    row = MarginAccounts(
        at=at,
        margin_id=trader,
        account=trader,
        kind=CROSS,
        equity_usd=None,
        requirement_usd=None,
        buffer_usd=None,
        state=UNKNOWN,
        state_stored=UNKNOWN,
        collateral_state=UNKNOWN,
        reason=reason or NO_REASON,
        blocked_by=None,
        inputs={}
        if held is None
        else {
            "settlementBalance": held.settlement_balance,
            "owedRealizedPnl": held.owed_realized_pnl,
            "collaterals": dict(held.collaterals),
        },
        outputs={},
    )
    positions = {} if held is None else held.positions
    return [
        row,
        *(
            unknown_position_row(at, trader, base_token, position)
            for base_token, position in positions.items()
        ),
        *balance_rows(at, got, trader),
    ]
