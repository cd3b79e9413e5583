"""Reading what logs do not tell of an account: funding and fee checkpoints, debt thresholds."""

from typing import Any

from analyzer.protocol import Deployment
from analyzer.protocols.perp_v2.contracts import order_id, role
from analyzer.protocols.perp_v2.ledger import LedgerAccount, LedgerOrder, LedgerPosition, Range
from analyzer.protocols.perp_v2.state import Account, AccountMarket, Order
from analyzer.reads import Failed, MissingError, Read, Values


def account_questions(
    deployment: Deployment, trader: str, account: LedgerAccount
) -> dict[Any, Read]:
    """One read per position, one per order; the threshold only where there is collateral."""
    questions: dict[Any, Read] = {}
    for base_token, position in account.positions.items():
        questions["info", trader, base_token] = role(deployment, "AccountBalance").read(
            "getAccountInfo", trader, base_token
        )
        for lower, upper in position.orders:
            questions["order", trader, base_token, lower, upper] = role(
                deployment, "OrderBook"
            ).read("getOpenOrderById", order_id(trader, base_token, lower, upper))
    if account.collaterals:
        questions["threshold", trader] = role(deployment, "CollateralManager").read(
            "getDebtThresholdByTrader", trader
        )
    return questions


def account_of(trader: str, ledger: LedgerAccount, values: Values) -> Account | Failed:
    """The ledger's account with its checkpoints; unknown where the contracts hold another."""
    try:
        positions = {
            base_token: _position(trader, base_token, position, values)
            for base_token, position in sorted(ledger.positions.items())
        }
    except MissingError as error:
        return Failed(str(error))
    threshold = ("threshold", trader)
    return Account(
        trader=trader,
        settlement_balance=ledger.settlement_balance,
        owed_realized_pnl=ledger.owed_realized_pnl,
        positions=positions,
        collaterals=dict(sorted(ledger.collaterals.items())),
        debt_threshold=values[threshold] if threshold in values else Failed("not needed"),
    )


def _position(
    trader: str, base_token: str, ledger: LedgerPosition, values: Values
) -> AccountMarket:
    size, notional, checkpoint = values.need(("info", trader, base_token))
    if (size, notional) != (ledger.taker_position_size, ledger.taker_open_notional):
        raise MissingError(
            f"the logs have a taker position of {ledger.taker_position_size} for "
            f"{ledger.taker_open_notional} in {base_token}, AccountBalance of {size} for {notional}"
        )
    return AccountMarket(
        taker_position_size=size,
        taker_open_notional=notional,
        last_tw_premium_growth_global_x96=checkpoint,
        orders=tuple(
            _order(ticks, order, values.need(("order", trader, base_token, *ticks)))
            for ticks, order in sorted(ledger.orders.items())
        ),
    )


def _order(ticks: Range, ledger: LedgerOrder, found: Any) -> Order:
    liquidity, lower, upper, fee, inside, below, div_inside, base_debt, quote_debt = found
    held = LedgerOrder(liquidity, base_debt, quote_debt)
    if held != ledger or (lower, upper) != ticks:
        raise MissingError(f"the logs have {ledger} at ticks {ticks}, OrderBook has {held}")
    return Order(
        lower_tick=lower,
        upper_tick=upper,
        liquidity=liquidity,
        last_fee_growth_inside_x128=fee,
        last_tw_premium_growth_inside_x96=inside,
        last_tw_premium_growth_below_x96=below,
        last_tw_premium_div_by_sqrt_price_growth_inside_x96=div_inside,
        base_debt=base_debt,
        quote_debt=quote_debt,
    )
