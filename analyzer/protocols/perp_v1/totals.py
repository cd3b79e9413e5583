"""What an AMM keeps of all positions together, beside what the positions add up to.

``Amm.totalPositionSize`` moves by exactly what the size of a position moves by
(``Amm.updateReserve``), so there is no rounding between them. Two things part them:

* ``ClearingHouse.settlePosition`` pays a position of a closed AMM out and leaves the total as it
  is, so what has been settled is added back, at the size that the logs had of it. A closed AMM
  trades no more: where the chain has no position left that the logs still know, it was settled.
* ``Amm.migrateLiquidity`` of early releases moved the total to the new curve as if it were one
  position, and every position by itself. The curve is no line: they no longer add up.
"""

from collections import Counter
from collections.abc import Iterable, Mapping

from analyzer.errors import Revert
from analyzer.protocols.evidence import total
from analyzer.protocols.perp_v1.decimals import ONE, div_d
from analyzer.protocols.perp_v1.holdings import Held, Logged
from analyzer.protocols.perp_v1.reading import Key, Market, Readings
from analyzer.protocols.perp_v1.replay import SETTLED
from analyzer.reads import Failed, MissingError
from analyzer.rows import At, Totals
from analyzer.units import sdiv


def amm_totals(at: At, got: Readings, held: Iterable[Held], known: Logged) -> list[Totals]:
    """``totalPositionSize`` of every AMM; a position that was not read is in no sum."""
    sizes: Counter[str] = Counter()
    for one in held:
        if one.position is not None:
            sizes[one.amm] += one.position.size
    for key, logs in known.items():
        sizes[key[0]] += logs.get(SETTLED, 0) + _settled_without_log(got, key, logs)
    return [_total(at, market, sizes[market.address]) for market in got.markets.values()]


def _settled_without_log(got: Readings, key: Key, logs: Mapping[str, int]) -> int:
    """The size of a position that a closed AMM no longer has, though no log says that it ended."""
    stored = got.positions[key]
    is_gone = not isinstance(stored, Failed) and stored[0] == 0
    return logs["size"] if is_gone and got.markets[key[0]].get("open") is False else 0


def _total(at: At, market: Market, summed: int) -> Totals:
    stated = market.values["totalPositionSize"]
    migrations = (market.get("getLiquidityHistoryLength") or 1) - 1
    if migrations and not isinstance(stated, Failed) and stated != summed:
        stated = Failed(
            f"the AMM's liquidity was migrated {migrations} times, each position by itself: its "
            "total is no sum of positions"
        )
    return total(
        at, "totalPositionSize", market.address, "both", "size", stated, summed,
        usd=lambda difference: _worth(market, difference),
    )  # fmt: skip


def _worth(market: Market, size: int) -> int | None:
    """A size in quote (18 decimals) at the mark, or at the oracle's price where there is none."""
    try:
        price = div_d(*market.values.need("getReserve"))
    except (MissingError, Revert):
        price = market.get("getUnderlyingPrice")
    return None if price is None else sdiv(size * price, ONE)
