"""Reading a market: its status, pool, oracle answers and growth, in two rounds.

Growth has no getter: it is read from the storage of ``Exchange`` and ``OrderBook``.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Final

from analyzer.protocol import Deployment
from analyzer.protocols.perp_v2.contracts import (
    FEE_GROWTH_GLOBAL,
    FIRST_TRADED_TIMESTAMP,
    FUNDING_GROWTH,
    GROWTH_OUTSIDE_TICK,
    LAST_SETTLED_TIMESTAMP,
    contract,
    mapping_slot,
    role,
    slot_read,
)
from analyzer.protocols.perp_v2.funding_growth import funding_interval
from analyzer.protocols.perp_v2.market_twap import SHORTEST_TWAP
from analyzer.protocols.perp_v2.prices import reference_intervals
from analyzer.protocols.perp_v2.state import (
    Config,
    Growth,
    Known,
    Market,
    Status,
    TickGrowth,
    attempt,
    known,
)
from analyzer.reads import Failed, MissingError, Read, Values
from analyzer.units import checked_sub

STATUS: Final = ("isOpen", "isPaused", "isClosed", "getPausedTimestamp", "getPausedIndexPrice")
GROWTH_WORDS: Final = ("feeX128", "twPremiumX96", "twPremiumDivBySqrtPriceX96")


def market_questions(
    deployment: Deployment, base_token: str, pool: str, ticks: Iterable[int]
) -> dict[Any, Read]:
    """What does not depend on other answers: the first round."""
    base = contract("BaseToken", base_token)
    exchange = deployment.contracts["Exchange"]
    order_book = deployment.contracts["OrderBook"]
    growth = mapping_slot(base_token, FUNDING_GROWTH)

    def exchange_word(name: str, slot: int, *, signed: bool = False) -> Read:
        return slot_read(f"Exchange.{name}", exchange, slot, signed=signed)

    questions: dict[str, Read] = {
        **{getter: base.read(getter) for getter in STATUS},
        "priceFeed": base.read("getPriceFeed"),
        "symbol": contract("ERC20", base_token).read("symbol"),
        "info": role(deployment, "MarketRegistry").read("getMarketInfo", base_token),
        "slot0": contract("UniswapV3Pool", pool).read("slot0"),
        "firstTradedTimestamp": exchange_word(
            "firstTradedTimestamp", mapping_slot(base_token, FIRST_TRADED_TIMESTAMP)
        ),
        "lastSettledTimestamp": exchange_word(
            "lastSettledTimestamp", mapping_slot(base_token, LAST_SETTLED_TIMESTAMP)
        ),
        "twPremiumX96": exchange_word("twPremiumX96", growth, signed=True),
        "twPremiumDivBySqrtPriceX96": exchange_word(
            "twPremiumDivBySqrtPriceX96", growth + 1, signed=True
        ),
        "feeGrowthGlobalX128": slot_read(
            "OrderBook.feeGrowthGlobalX128",
            order_book,
            mapping_slot(base_token, FEE_GROWTH_GLOBAL),
        ),
    }
    outside = mapping_slot(base_token, GROWTH_OUTSIDE_TICK)
    return {("market", base_token, name): read for name, read in questions.items()} | {
        ("tick", base_token, tick, name): slot_read(
            f"OrderBook.growthOutside.{name}",
            order_book,
            mapping_slot(tick, outside) + offset,
            signed=offset > 0,
        )
        for tick in ticks
        for offset, name in enumerate(GROWTH_WORDS)
    }


def price_questions(
    config: Config, base_token: str, pool: str, first: Values, now: int
) -> dict[Any, Read]:
    """The market's TWAPs and index prices over the intervals that the first round tells."""
    market = _unpriced(base_token, (), first)
    spans = attempt(_spans, config, market, now)
    if isinstance(market, Failed) or isinstance(spans, Failed):
        return {}
    base = contract("BaseToken", base_token)
    questions: dict[Any, Read] = {}
    if spans.seconds_ago:
        observe = contract("UniswapV3Pool", pool).read("observe", list(spans.seconds_ago))
        questions["market", base_token, "observe"] = observe
    for interval in spans.index_intervals:
        questions["index", base_token, interval] = base.read("getIndexPrice", interval)
    if market.status == "closed":
        questions["market", base_token, "closedPrice"] = base.read("getClosedPrice")
    return questions


def market_of(
    config: Config, base_token: str, ticks: Iterable[int], first: Values, second: Values, now: int
) -> Market | Failed:
    """A market from its answers, or why nothing can be said of it."""
    market = _unpriced(base_token, ticks, first)
    spans = attempt(_spans, config, market, now)
    if isinstance(market, Failed):
        return market
    if isinstance(spans, Failed):
        return spans
    cumulatives: dict[int, int | Failed] = {}
    if spans.seconds_ago:
        cumulatives = _cumulatives(spans.seconds_ago, second["market", base_token, "observe"])
    return replace(
        market,
        closed_price=second.get(("market", base_token, "closedPrice"), market.closed_price),
        tick_cumulatives=Known("tick cumulative of seconds ago", cumulatives),
        index_prices=Known(
            "index price over seconds",
            {i: second["index", base_token, i] for i in spans.index_intervals},
        ),
    )


def _unpriced(base_token: str, ticks: Iterable[int], first: Values) -> Market | Failed:
    try:
        need = {name: first.need(("market", base_token, name)) for name in MARKET_WORDS}
        growths = {
            tick: TickGrowth(*(first.need(("tick", base_token, tick, w)) for w in GROWTH_WORDS))
            for tick in ticks
        }
    except MissingError as error:
        return Failed(str(error))
    sqrt_price_x96, tick, *_ = need["slot0"]
    status: Status = "open" if need["isOpen"] else "closed" if need["isClosed"] else "paused"
    return Market(
        base_token=base_token,
        status=status,
        paused_timestamp=need["getPausedTimestamp"],
        paused_index_price=need["getPausedIndexPrice"],
        closed_price=Failed("the market is not closed"),
        sqrt_price_x96=sqrt_price_x96,
        tick=tick,
        tick_cumulatives={},
        index_prices={},
        first_traded_timestamp=need["firstTradedTimestamp"],
        last_settled_timestamp=need["lastSettledTimestamp"],
        growth=Growth(need["twPremiumX96"], need["twPremiumDivBySqrtPriceX96"]),
        fee_growth_global_x128=need["feeGrowthGlobalX128"],
        ticks=growths,
    )


MARKET_WORDS: Final = (
    *STATUS, "slot0", "firstTradedTimestamp", "lastSettledTimestamp", "twPremiumX96",
    "twPremiumDivBySqrtPriceX96", "feeGrowthGlobalX128",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Spans:
    """The moments between which the pool's ticks are averaged, and the oracle's intervals."""

    seconds_ago: tuple[int, ...]
    index_intervals: tuple[int, ...]


def _spans(config: Config, found: Market | Failed, now: int) -> Spans:
    """What the reference price and funding need; a market that is not open has one index price."""
    market = known(found)
    interval = funding_interval(config, market, now)
    if market.status != "open":
        ago = checked_sub(now, market.paused_timestamp)
        return Spans((ago + interval, ago) if interval >= SHORTEST_TWAP else (), ())
    market_intervals, index_intervals = reference_intervals(config)
    spans = sorted({i for i in (*market_intervals, interval) if i >= SHORTEST_TWAP}, reverse=True)
    return Spans((*spans, 0) if spans else (), tuple(sorted({0, interval, *index_intervals})))


def _cumulatives(seconds_ago: tuple[int, ...], observed: Any) -> dict[int, int | Failed]:
    if isinstance(observed, Failed):
        return dict.fromkeys(seconds_ago, observed)
    cumulatives, _ = observed
    if len(cumulatives) != len(seconds_ago):
        malformed = Failed("malformed: UniswapV3Pool.observe answered for other moments")
        return dict.fromkeys(seconds_ago, malformed)
    return dict(zip(seconds_ago, cumulatives, strict=True))
