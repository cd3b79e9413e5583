"""Rows of events: an operation on a position, a cumulative funding rate, a fast price."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from analyzer.assets import asset_of
from analyzer.errors import AnalyzerError
from analyzer.evm import Log
from analyzer.protocols.gmx_v1.contracts import Identity
from analyzer.rows import At, EventKind, Funding, Prices, price_id
from analyzer.units import to_e18

INCREASE: Final = "increase"
DECREASE: Final = "decrease"
ADJUST: Final = "adjust"
CLOSE: Final = "close"
LIQUIDATE: Final = "liquidate"
USD_DECIMALS: Final = 30


@dataclass(frozen=True, slots=True)
class Operation:
    """What was done to a position; amounts and price in 1e30 USD, as far as they are named."""

    log: Log
    kind: EventKind
    key: str
    identity: Identity
    size_delta: int | None = None
    collateral_delta: int | None = None
    price: int | None = None
    fee: int | None = None
    pnl: int | None = None


def event_columns(operation: Operation, *, is_gone: bool) -> dict[str, Any]:
    """An operation as the columns of a position event.

    A liquidation that leaves collateral over is a close: only its caller tells it from the owner's.
    """
    identity = operation.identity
    return {
        "kind": CLOSE if is_gone and operation.kind != LIQUIDATE else operation.kind,
        "position_id": operation.key,
        "margin_id": operation.key,
        "account": identity.account,
        "market": identity.index_token,
        "side": "long" if identity.is_long else "short",
        "collateral_token": identity.collateral_token,
        "size_delta_usd": _usd(operation.size_delta),
        "collateral_delta": _usd(operation.collateral_delta),
        "price": _usd(operation.price),
        "fee_usd": _usd(operation.fee),
        "pnl_usd": _usd(operation.pnl),
    }


def funding_row(at: At, log: Log, values: Mapping[str, Any]) -> Funding:
    """``UpdateFundingRate``: the new cumulative rate, which holds for all positions in a token."""
    return Funding(
        at=at,
        log_index=log.log_index,
        market=values["token"],
        side="both",
        collateral_token=values["token"],
        funding_rate=None,
        borrowing_rate=None,
        inputs={"cumulativeFundingRate": values["fundingRate"]},
    )


def fast_price_row(at: At, log: Log, values: Mapping[str, Any]) -> Prices:
    """``PriceUpdate``: a fast price (1e30) that a price feed was given."""
    token, price = values["token"], _usd(values["price"])
    return Prices(
        at=at,
        log_index=log.log_index,
        price_id=price_id(at, token),
        token=token,
        asset=asset_of(at.chain_id, token),
        source="fast",
        role="keeper",
        price_min=price,
        price_max=price,
        observed_at=block_time(log),
        max_age=None,
        max_age_source=None,
        deviation_limit_bps=None,
        is_used=False,
        inputs={"price": values["price"], "priceFeed": values["priceFeed"]},
    )


def block_time(log: Log) -> int:
    """The time of the log's block (unix seconds): the Vault stores it as lastIncreasedTime."""
    if log.block_time is None:
        raise AnalyzerError(f"block {log.block_number} has logs but its time was not read")
    return log.block_time


def _usd(amount: int | None) -> int | None:
    return None if amount is None else to_e18(amount, USD_DECIMALS)
