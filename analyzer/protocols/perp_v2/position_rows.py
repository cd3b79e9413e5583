"""A position to its row: exact integers in ``inputs`` and ``outputs``, amounts beside them."""

from collections.abc import Mapping
from typing import Any

from analyzer.assets import asset_of
from analyzer.protocols.perp_v2.account import MarginAccount
from analyzer.protocols.perp_v2.ledger import LedgerPosition
from analyzer.protocols.perp_v2.liquidation_price import (
    LiquidationPrice,
    MarkSlice,
    get_liquidation_price,
    get_reachable_liquidation,
    mark_slice,
)
from analyzer.protocols.perp_v2.orders import get_pending_fee
from analyzer.protocols.perp_v2.outputs import position_outputs
from analyzer.protocols.perp_v2.perp_math import WAD
from analyzer.protocols.perp_v2.position import Position
from analyzer.protocols.perp_v2.prices import get_mark_price_range
from analyzer.protocols.perp_v2.reading import Readings
from analyzer.protocols.perp_v2.row_values import amount, shown
from analyzer.protocols.perp_v2.state import Order, attempt
from analyzer.ratios import distance_bps, leverage_bps
from analyzer.reads import Failed
from analyzer.rows import UNKNOWN, At, Positions, Side


def position_row(
    at: At,
    got: Readings,
    margin: MarginAccount,
    base_token: str,
    account: Mapping[str, Any],
    outcome: str,
) -> Positions:
    """A position with the marks that liquidate its account, everything else frozen."""
    position, trader = margin.positions[base_token], margin.account.trader
    size, value = position.total_position_size, position.total_position_value
    price = amount(position.priced.reference_price)
    cut = attempt(mark_slice, margin, base_token)
    found = attempt(get_liquidation_price, cut) if not isinstance(cut, Failed) else cut
    below, above = (None, None) if isinstance(found, Failed) else (found.below, found.above)
    size_usd = None if isinstance(value, Failed) else abs(value)
    return Positions(
        at=at,
        position_id=f"{trader}:{base_token}",
        margin_id=trader,
        account=trader,
        market=base_token,
        asset=asset_of(at.chain_id, base_token),
        side=side_of(size),
        collateral_token=None,
        size_usd=size_usd,
        size_tokens=abs(size),
        collateral_usd=None,
        collateral_amount=None,
        entry_price=abs(position.total_open_notional) * WAD // abs(size) if size else None,
        price=price,
        unrealized_pnl_usd=(
            None if isinstance(value, Failed) else value + position.total_open_notional
        ),
        funding_owed_usd=amount(position.pending_funding_payment),
        borrowing_owed_usd=0,
        leverage_bps=leverage_bps(size_usd, amount(account["accountValue"])),
        liquidation_kind=UNKNOWN if isinstance(found, Failed) else found.kind,
        liquidation_below=below,
        liquidation_above=above,
        distance_bps=distance_bps(price, below, above),
        inputs=_inputs(position),
        outputs={
            **{name: shown(v) for name, v in position_outputs(margin, base_token).items()},
            "liquidate": outcome,
            **_liquidation_outputs(got, position, cut, found),
        },
    )


def unknown_position_row(
    at: At, trader: str, base_token: str, position: LedgerPosition
) -> Positions:
    """A position of an account of which nothing else can be said."""
    return Positions(
        at=at,
        position_id=f"{trader}:{base_token}",
        margin_id=trader,
        account=trader,
        market=base_token,
        asset=asset_of(at.chain_id, base_token),
        side=UNKNOWN if position.orders else side_of(position.taker_position_size),
        collateral_token=None,
        size_usd=None,
        size_tokens=None if position.orders else abs(position.taker_position_size),
        collateral_usd=None,
        collateral_amount=None,
        entry_price=None,
        price=None,
        unrealized_pnl_usd=None,
        funding_owed_usd=None,
        borrowing_owed_usd=None,
        leverage_bps=None,
        liquidation_kind=UNKNOWN,
        liquidation_below=None,
        liquidation_above=None,
        distance_bps=None,
        inputs={
            "takerPositionSize": position.taker_position_size,
            "takerOpenNotional": position.taker_open_notional,
        },
        outputs={},
    )


def side_of(size: int) -> Side:
    """``long`` or ``short``; ``flat`` where a maker's range or what is left has no size now."""
    return "flat" if size == 0 else "long" if size > 0 else "short"


def _inputs(position: Position) -> dict[str, Any]:
    market, state = position.priced.market, position.state
    return {
        "status": market.status,
        "markPrice": shown(position.priced.mark_price) if market.status == "open" else None,
        "referencePrice": shown(position.priced.reference_price),
        "sqrtPriceX96": market.sqrt_price_x96,
        "tick": market.tick,
        "twPremiumGrowthGlobalX96": (
            shown(position.priced.funding)
            if isinstance(position.priced.funding, Failed)
            else position.priced.funding.growth.tw_premium_x96
        ),
        "takerPositionSize": state.taker_position_size,
        "takerOpenNotional": state.taker_open_notional,
        "lastTwPremiumGrowthGlobalX96": state.last_tw_premium_growth_global_x96,
        "orders": [_order(position, order) for order in state.orders],
    }


def _order(position: Position, order: Order) -> dict[str, Any]:
    return {
        "lowerTick": order.lower_tick,
        "upperTick": order.upper_tick,
        "liquidity": order.liquidity,
        "baseDebt": order.base_debt,
        "quoteDebt": order.quote_debt,
        "pendingFee": get_pending_fee(position.priced.market, order),
    }


def _liquidation_outputs(
    got: Readings, position: Position, cut: MarkSlice | Failed, found: LiquidationPrice | Failed
) -> dict[str, Any]:
    """The edges, the band in which a long's verdict turns, and whether the oracle can get there."""
    if isinstance(found, Failed) or isinstance(cut, Failed):
        return {"liquidationPrice": shown(found)}
    edges = {
        "liquidationPrice": {
            "kind": found.kind,
            "below": found.below,
            "above": found.above,
            "firstSafe": found.first_safe,
        }
    }
    if position.priced.market.status != "open":
        return {**edges, "reachable_by_oracle_only": False}
    reach = attempt(get_mark_price_range, got.system.config, position.priced.market)
    if isinstance(reach, Failed):
        return {**edges, "reachable_by_oracle_only": shown(reach)}
    mark = get_reachable_liquidation(cut, found, *reach)
    return {
        **edges,
        "reachable_by_oracle_only": mark is not None,
        "reachableMark": mark,
        "markPriceRange": list(reach),
    }
