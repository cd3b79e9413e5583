"""Files of recorded v1 contract answers: how to read them, and what of them is compared.

A file holds, per snapshot block, the AMMs' state, the positions and the contracts' own answers, and
neighbouring values of oracle answer or reserves between which ``liquidate()`` changes its mind.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Final

from analyzer.errors import AnalyzerError, Revert
from analyzer.protocol import Comparison
from analyzer.protocols.perp_v1.amm import (
    Amm,
    ReserveSnapshot,
    get_spot_price,
    get_twap_price,
    is_over_spread_limit,
    move_reserves,
)
from analyzer.protocols.perp_v1.clearing_house import (
    Config,
    PnlCalcOption,
    Position,
    get_funding_payment,
    get_margin_ratio,
    get_position_notional_and_unrealized_pnl,
)
from analyzer.protocols.perp_v1.decimals import ONE
from analyzer.protocols.perp_v1.liquidate import liquidate
from analyzer.units import checked_mul

AGGREGATOR_DECIMALS: Final = 8
"""Oracle flips are written in the unit of a Chainlink USD aggregator's answer."""
TWAP_PRICE_INTERVAL: Final = 3600
"""The window of a snapshot's ``twapPrice3600``."""
OPTIONS: Final = {
    "spot": PnlCalcOption.SPOT_PRICE,
    "twap": PnlCalcOption.TWAP,
    "oracle": PnlCalcOption.ORACLE,
}

Judged = tuple[Amm, Position, Config]
Market = tuple[int, str]
"""Block and name: where an AMM is found in a file."""


def verify_vectors(document: Mapping[str, Any]) -> Comparison:
    """Compare everything that a file of contract answers holds with our own arithmetic."""
    comparison = Comparison()
    try:
        amms, positions, configs = _read(document)
        for snapshot in document["snapshots"]:
            block = int(snapshot["block"])
            for raw in snapshot["amms"]:
                _compare_amm(comparison, amms[block, raw["name"]], raw, f"{block}:{raw['name']}")
            for raw in snapshot["positions"]:
                subject = _subject(block, raw)
                amm, position = amms[block, raw["amm"]], positions[subject]
                _compare_position(comparison, amm, position, raw, subject)
                sim = _outcome(amm, position, configs[block])
                comparison.compare("verdict", subject, "liquidate()", sim, raw["liquidate_sim"])
        for raw in document.get("flips", ()):
            block = int(raw["block"])
            subject = _subject(block, raw)
            judged = amms[block, raw["amm"]], positions[subject], configs[block]
            _compare_flip(comparison, judged, raw, f"{subject}:{raw['kind']}")
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise AnalyzerError(
            f"this is not a file of Perpetual Protocol v1 contract answers ({error!r}): "
            "give one with snapshots, their amms and positions, and flips"
        ) from error
    return comparison


def _read(
    document: Mapping[str, Any],
) -> tuple[dict[Market, Amm], dict[str, Position], dict[int, Config]]:
    amms: dict[Market, Amm] = {}
    positions: dict[str, Position] = {}
    configs: dict[int, Config] = {}
    for snapshot in document["snapshots"]:
        block, time = int(snapshot["block"]), int(snapshot["timestamp"])
        configs[block] = _config(snapshot["config"])
        amms |= {(block, raw["name"]): _amm(raw, block, time) for raw in snapshot["amms"]}
        positions |= {_subject(block, raw): _position(raw) for raw in snapshot["positions"]}
    return amms, positions, configs


def _subject(block: int, raw: Mapping[str, Any]) -> str:
    return f"{block}:{raw['amm']}:{raw['trader'].lower()}"


def _one(value: Any) -> int:
    """A ``Decimal`` struct of one field, or the bare integer."""
    return int(value[0]) if isinstance(value, list) else int(value)


def _config(raw: Mapping[str, Any]) -> Config:
    return Config(
        init_margin_ratio=_one(raw["initMarginRatio"]),
        maintenance_margin_ratio=_one(raw["maintenanceMarginRatio"]),
        liquidation_fee_ratio=_one(raw["liquidationFeeRatio"]),
        partial_liquidation_ratio=_one(raw["partialLiquidationRatio"]),
    )


def _amm(raw: Mapping[str, Any], block: int, time: int) -> Amm:
    return Amm(
        quote_asset_reserve=_one(raw["quoteReserve"]),
        base_asset_reserve=_one(raw["baseReserve"]),
        reserve_snapshots=tuple(
            ReserveSnapshot(*map(_one, snapshot)) for snapshot in raw["reserveSnapshots"]
        ),
        first_snapshot=int(raw["reserveSnapshots_from"]),
        underlying_price=_recorded(raw["underlyingPrice"]),
        latest_cumulative_premium_fraction=_one(raw["latestCumulativePremiumFraction"]),
        is_open=bool(raw["open"]),
        settlement_price=_one(raw["settlementPrice"]),
        block_timestamp=time,
        block_number=block,
    )


def _position(raw: Mapping[str, Any]) -> Position:
    return Position(
        size=_one(raw["size"]),
        margin=_one(raw["margin"]),
        open_notional=_one(raw["openNotional"]),
        last_updated_cumulative_premium_fraction=_one(raw["lastUpdatedCumulativePremiumFraction"]),
        liquidity_history_index=int(raw["liquidityHistoryIndex"]),
        block_number=int(raw["blockNumber"]),
    )


def _compare_amm(comparison: Comparison, amm: Amm, raw: Mapping[str, Any], subject: str) -> None:
    for name, ours, theirs in (
        ("getSpotPrice", lambda: get_spot_price(amm), raw["spotPrice"]),
        ("getTwapPrice", lambda: get_twap_price(amm, TWAP_PRICE_INTERVAL), raw["twapPrice3600"]),
        ("isOverSpreadLimit", lambda: is_over_spread_limit(amm), raw["isOverSpreadLimit"]),
    ):
        comparison.compare("value", subject, name, _answer(ours), _recorded(theirs))


def _compare_position(
    comparison: Comparison, amm: Amm, position: Position, raw: Mapping[str, Any], subject: str
) -> None:
    for name, option in OPTIONS.items():
        ours = _answer(partial(get_position_notional_and_unrealized_pnl, amm, position, option))
        theirs = tuple(map(_one, raw[name])) if isinstance(raw[name], list) else raw[name]
        comparison.compare("value", subject, f"{name} notional and pnl", ours, _recorded(theirs))
    ratio = _answer(partial(_margin_ratio, amm, position))
    margin = max(0, position.margin - get_funding_payment(amm, position))
    with_funding = _one(raw["viewer_marginWithFunding"][1])
    comparison.compare("value", subject, "getMarginRatio", ratio, _recorded(raw["marginRatio"]))
    comparison.compare("value", subject, "margin with funding", margin, with_funding)


def _compare_flip(
    comparison: Comparison, judged: Judged, raw: Mapping[str, Any], subject: str
) -> None:
    """The verdict on both sides of the flip and at every point recorded around it."""
    amm, position, config = judged
    before, flip = _moved(amm, raw, int(raw["before"])), _moved(amm, raw, int(raw["flip"]))
    ours = tuple(_outcome(at, position, config) == "OK" for at in (before, flip))
    theirs = (raw["verdict_before"], raw["verdict_flip"])
    comparison.compare("flip", subject, f"{raw['before']}..{raw['flip']}", ours, theirs)
    for value, verdict in raw["verdict_at"]:
        succeeds = _outcome(_moved(amm, raw, int(value)), position, config) == "OK"
        comparison.compare("verdict", subject, f"liquidate() at {value}", succeeds, verdict)
    for side, moved in (("before", before), ("flip", flip)):
        ratio = _answer(partial(_margin_ratio, moved, position))
        over = _answer(partial(is_over_spread_limit, moved))
        recorded = raw[f"at_{side}"]
        comparison.compare(
            "value", subject, f"ratio at {side}", ratio, _recorded(recorded["marginRatio"])
        )
        comparison.compare(
            "value", subject, f"spread at {side}", over, _recorded(recorded["isOverSpreadLimit"])
        )
        if f"base_{side}" in raw:
            base = int(raw[f"base_{side}"])
            comparison.compare("value", subject, f"base at {side}", moved.base_asset_reserve, base)


def _moved(amm: Amm, raw: Mapping[str, Any], value: int) -> Amm:
    """The AMM with its oracle's answer, its reserves, or those and its newest snapshot moved."""
    match raw["kind"]:
        case "oracle":
            price = checked_mul(value, ONE) // 10**AGGREGATOR_DECIMALS
            return replace(amm, underlying_price=price)
        case "reserve_now":
            return move_reserves(amm, value)
        case "reserve_held":
            index = int(raw["snapshot_index"]) - amm.first_snapshot
            moved = move_reserves(amm, value)
            snapshots = list(amm.reserve_snapshots)
            snapshots[index] = replace(
                snapshots[index],
                quote_asset_reserve=moved.quote_asset_reserve,
                base_asset_reserve=moved.base_asset_reserve,
            )
            return replace(moved, reserve_snapshots=tuple(snapshots))
        case kind:
            raise ValueError(f"flip of an unknown kind {kind!r}")


def _margin_ratio(amm: Amm, position: Position) -> int:
    return get_margin_ratio(amm, position).margin_ratio


def _answer(ours: Callable[[], Any]) -> Any:
    """A value of ours, or the reason of the revert that we predict."""
    try:
        return ours()
    except Revert as revert:
        return revert.reason


def _recorded(theirs: Any) -> Any:
    """A recorded value, or the reason of a recorded revert."""
    if isinstance(theirs, dict):
        theirs = theirs.get("message", theirs.get("error"))
    if isinstance(theirs, list):
        return _one(theirs)
    if isinstance(theirs, str) and not theirs.lstrip("-").isdigit():
        return theirs.removeprefix("execution reverted").removeprefix(": ")
    return int(theirs) if isinstance(theirs, str) else theirs


def _outcome(amm: Amm, position: Position, config: Config) -> str:
    try:
        liquidate(amm, position, config)
    except Revert as revert:
        return revert.reason
    return "OK"
