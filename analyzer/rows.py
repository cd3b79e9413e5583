"""The normalised tables, one dataclass each: the columns that other programs rely on.

A field's annotation is its column type. Amounts are integers in units of 1e-18 (``E18``); times are
unix seconds; ``Json`` fields are mappings whose integers are written as strings, so that no reader
can round them; a ``Literal`` is text of which these are all the words, in every protocol. The store
derives its DDL from these classes and quarantines what does not fit.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Annotated, Any, ClassVar, Final, Literal, get_args, get_origin, get_type_hints

Text = Annotated[str, "VARCHAR"]
Whole = Annotated[int, "BIGINT"]
Flag = Annotated[bool, "BOOLEAN"]
Time = Annotated[int, "TIMESTAMP"]
E18 = Annotated[int, "DECIMAL(38,18)"]
Bps = Annotated[int, "BIGINT"]
Real = Annotated[float, "DOUBLE"]
Json = Annotated[Mapping[str, Any], "JSON"]
Books = Literal["balanced", "unbalanced", "none"]

MarginState = Literal["safe", "liquidatable", "unknown"]
SAFE: Final = "safe"
LIQUIDATABLE: Final = "liquidatable"
UNKNOWN: Final = "unknown"
"""Of a state, a side, a liquidation kind and a market's status: nobody can say, never a guess."""

Side = Literal["long", "short", "flat", "unknown"]
"""``flat``: a maker whose ranges have no net size now; ``unknown``: the side could not be read."""

RateSide = Literal["long", "short", "both"]
"""Who pays or receives a rate; ``both``: the log names no side."""

AccountKind = Literal["isolated", "cross"]
"""A margin account is one position's, or all positions' of an account."""

LiquidationKind = Literal["flip", "never", "always", "unknown"]
"""Whether a price decides (``flip``), or the verdict is the same at every price."""

MarketStatus = Literal[
    "open", "paused", "closed", "disabled", "delisted", "swap-only", "unknown",
]  # fmt: skip

PriceSource = Literal["contract", "oracle", "executed", "fast", "spot", "twap", "user"]
"""Who names a price.

``contract``: the contract's own rule for what it values positions or collateral at; ``oracle``: the
feed on chain that the protocol reads; ``executed``: a signed price that a keeper executed with;
``fast``: what keepers wrote to a fast price feed; ``spot``: an AMM's reserves or pool now;
``twap``: their mean over the contract's interval; ``user``: whoever runs the analysis.
"""

PriceRole = Literal["reference", "keeper", "mark", "twap", "derived", "user"]
"""What a price is to the protocol.

``reference``: an outside observation; ``keeper``: what its own keepers bring; ``mark``: what
trading in the market itself makes; ``twap``: the mean of that over time; ``derived``: what the
contract makes of others or fixes itself; ``user``: it knows nothing of it.
"""

EventKind = Literal[
    "increase", "decrease", "close", "flip", "liquidate", "settle", "adjust", "lost",
    "add_liquidity", "remove_liquidity", "funding",
    "deposit", "withdraw", "pnl", "liquidate_collateral", "bad_debt", "insurance_fund",
    "liquidator", "price", "premium", "reserve", "market_added", "collateral_added", "market",
    "unreadable",
]  # fmt: skip
"""What an event did.

To a position: ``increase``, ``decrease``, ``close``, ``flip`` (to the other side), ``liquidate``,
``settle`` (a closed market pays it out), ``adjust`` (the contract moved it, nobody traded),
``lost`` (it changed, but how could not be read), ``add_liquidity`` and ``remove_liquidity`` (a
maker's order), ``funding`` (its payment). To a margin: ``deposit``, ``withdraw``, ``pnl`` (realised
and owed), ``liquidate_collateral``, ``bad_debt`` (the insurance fund pays it), ``insurance_fund``
(what the fund gets or pays). To what the replay goes on with: ``liquidator`` (whoever liquidated:
the position's own row is ``liquidate``), ``price`` (executed), ``premium`` (of an AMM, cumulative),
``reserve`` (of an AMM, as snapshotted), ``market_added``, ``collateral_added``, ``market`` (what
its positions that ended leave to its totals), ``unreadable`` (a log of which only words are known).
"""

QualityKind = Literal[
    "malformed_log", "unknown_event", "gap_in_logs", "lost_position", "unknown_last_increase",
    "positions_not_read", "position_difference", "positions_not_compared", "funding_not_from_logs",
    "unbalanced", "token_symbol", "token_decimals", "overflow",
]  # fmt: skip
"""What could not be taken as it came.

Logs: ``malformed_log`` (it cannot be read), ``unknown_event``, ``gap_in_logs`` (it does not follow
from those before it), ``lost_position`` (what it left behind is not known),
``unknown_last_increase``. State: ``positions_not_read``, ``position_difference`` (logs and contract
differ), ``positions_not_compared``, ``funding_not_from_logs``, ``unbalanced`` (positions do not add
up to the contract's own total), ``token_symbol``, ``token_decimals``.
Any row: ``overflow`` (its column cannot hold a value).
"""


@dataclass(frozen=True, slots=True)
class At:
    """Where a row belongs: one deployment at one block."""

    chain_id: Whole
    protocol: Text
    deployment: Text
    block_number: Whole


def price_id(at: At, token: str) -> str:
    """The id under which a token's (or an AMM's) price stands in a deployment."""
    return f"{at.chain_id}:{at.protocol}:{at.deployment}:{token}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployments:
    """One row per deployment that was indexed."""

    KEY: ClassVar = ("chain_id", "protocol", "deployment")

    chain_id: Whole
    protocol: Text
    deployment: Text
    contracts: Json
    options: Json
    release: Text
    verified: Flag


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshots:
    """One row per deployment and block at which its state was read.

    ``scope`` is ``all`` or the accounts, comma-separated; ``positions_from`` is ``logs``, ``state``
    or ``both``; ``complete`` is false while anything of the scope is missing or nothing proves that
    it is not. ``books`` says how the positions compare with the totals that the protocol keeps:
    ``balanced``, ``unbalanced``, or ``none`` where some accounts were read and there is nothing to
    balance.

    A snapshot of some accounts never hides one of all. At the same block the two are one, of both
    scopes. At a later block it answers for its own accounts and the full one for all others:
    ``current_scopes`` names the block that answers for each account, and ``current_snapshots``
    shows every snapshot that answers for one. At an earlier block it is not shown.
    """

    KEY: ClassVar = ("chain_id", "protocol", "deployment", "block_number")

    at: At
    block_hash: Text
    block_time: Time
    scope: Text
    positions_from: Text
    price_basis: Text
    complete: Flag
    books: Annotated[Books, "VARCHAR"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """One row per token of a chain. ``symbol`` is the token's own claim; ``asset`` is ours."""

    KEY: ClassVar = ("chain_id", "token")

    chain_id: Whole
    token: Text
    symbol: Text | None
    decimals: Whole | None
    asset: Text | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Markets:
    """One row per market: open interest per side, the pool, and the parameters that decide."""

    KEY: ClassVar = ("chain_id", "protocol", "deployment", "block_number", "market")

    at: At
    market: Text
    asset: Text | None
    name: Text
    status: MarketStatus
    open_interest_long_usd: E18 | None
    open_interest_short_usd: E18 | None
    pool_usd: E18 | None
    parameters: Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Positions:
    """One row per open position.

    ``liquidation_below`` is the highest price under the safe region at which the position is
    liquidatable, ``liquidation_above`` the lowest over it. ``distance_bps`` and ``leverage_bps``
    are those of ``analyzer.ratios`` for every protocol. ``inputs`` and ``outputs`` hold the exact
    contract integers under the contract's own names.
    """

    KEY: ClassVar = ("chain_id", "protocol", "deployment", "block_number", "position_id")

    at: At
    position_id: Text
    margin_id: Text
    account: Text
    market: Text
    asset: Text | None
    side: Side
    collateral_token: Text | None
    size_usd: E18 | None
    size_tokens: E18 | None
    collateral_usd: E18 | None
    collateral_amount: E18 | None
    entry_price: E18 | None
    price: E18 | None
    unrealized_pnl_usd: E18 | None
    funding_owed_usd: E18 | None
    borrowing_owed_usd: E18 | None
    leverage_bps: Bps | None
    liquidation_kind: LiquidationKind
    liquidation_below: E18 | None
    liquidation_above: E18 | None
    distance_bps: Bps | None
    inputs: Json
    outputs: Json


@dataclass(frozen=True, slots=True, kw_only=True)
class MarginAccounts:
    """One row per margin account: a position (isolated margin) or an account (cross margin).

    ``state`` is the margin predicate at execution-time inputs, ``state_stored`` the same on what
    the contract's own view uses: ``safe``, ``liquidatable`` or ``unknown``; ``reason`` says why.
    """

    KEY: ClassVar = ("chain_id", "protocol", "deployment", "block_number", "margin_id")

    at: At
    margin_id: Text
    account: Text
    kind: AccountKind
    equity_usd: E18 | None
    requirement_usd: E18 | None
    buffer_usd: E18 | None
    state: MarginState
    state_stored: MarginState
    collateral_state: MarginState | None = None
    reason: Text | None
    blocked_by: Text | None
    inputs: Json
    outputs: Json


@dataclass(frozen=True, slots=True, kw_only=True)
class MarginLegs:
    """The piecewise-linear form of a margin account, for scenarios only, never for a verdict.

    Buffer in USD = min over pieces of the sum of ``intercept + slope * price``; negative means
    liquidatable. Prices are in USD per whole token.
    """

    KEY: ClassVar = (
        "chain_id", "protocol", "deployment", "block_number", "margin_id", "piece", "price_id",
    )  # fmt: skip

    at: At
    margin_id: Text
    piece: Whole
    price_id: Text
    intercept: Real
    slope: Real
    valid_from: Real | None
    valid_to: Real | None
    error_bound: Real


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """One row per price and source at a block.

    ``source`` says who names the price, ``role`` what it is to the protocol; ``log_index`` is -1
    for a price that was read instead of emitted. ``max_age`` is the age in seconds after which the
    source is stale by its own rules, ``deviation_limit_bps`` the deviation the protocol tolerates;
    ``is_used`` marks prices that a verdict at this block rests on.
    """

    KEY: ClassVar = (
        "chain_id", "protocol", "deployment", "block_number", "log_index", "price_id", "source",
    )  # fmt: skip

    at: At
    log_index: Whole
    price_id: Text
    token: Text
    asset: Text | None
    source: PriceSource
    role: PriceRole
    price_min: E18 | None
    price_max: E18 | None
    observed_at: Time | None
    max_age: Whole | None
    max_age_source: Text | None
    deviation_limit_bps: Bps | None
    is_used: Flag
    inputs: Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Funding:
    """One row per market, side and collateral: rates as a fraction of size per hour."""

    KEY: ClassVar = (
        "chain_id", "protocol", "deployment", "block_number", "log_index", "market", "side",
        "collateral_token",
    )  # fmt: skip

    at: At
    log_index: Whole
    market: Text
    side: RateSide
    collateral_token: Text
    funding_rate: E18 | None
    borrowing_rate: E18 | None
    inputs: Json


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionEvents:
    """One row per event that changed a position or an account's margin, in chain order.

    ``after`` is the exact state that the event left behind under ``state_key``, from which the next
    run goes on; a state of null has ended.
    """

    KEY: ClassVar = ("chain_id", "protocol", "deployment", "block_number", "log_index", "state_key")

    at: At
    log_index: Whole
    tx_hash: Text
    block_time: Time | None
    kind: EventKind
    state_key: Text
    position_id: Text | None = None
    margin_id: Text | None = None
    account: Text | None = None
    market: Text | None = None
    side: Side | None = None
    collateral_token: Text | None = None
    size_delta_usd: E18 | None = None
    collateral_delta: E18 | None = None
    price: E18 | None = None
    fee_usd: E18 | None = None
    pnl_usd: E18 | None = None
    after: Json | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Balances:
    """One row per account and token that matters to its margin."""

    KEY: ClassVar = ("chain_id", "protocol", "deployment", "block_number", "account", "token")

    at: At
    account: Text
    token: Text
    amount: E18 | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """One row per total that a protocol keeps of its positions, beside what they add up to.

    ``stated`` is the contract's integer, ``summed`` that of the snapshot's positions, as text;
    ``is_balanced`` if they differ by no more than ``bound``, the rounding that the contract's own
    arithmetic allows (0 where it is exact). ``measures`` is ``size`` or ``collateral``.
    """

    KEY: ClassVar = ("chain_id", "protocol", "deployment", "block_number", "total_id")

    at: At
    total_id: Text
    name: Text
    subject: Text
    side: Text
    measures: Text
    stated: Text | None
    summed: Text
    bound: Text
    difference_usd: E18 | None
    is_balanced: Flag
    reason: Text | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DataQuality:
    """What could not be taken as it came: quarantined, with the place and the reason.

    ``log_index`` is -1 for what a snapshot met.
    """

    KEY: ClassVar = (
        "chain_id", "protocol", "deployment", "block_number", "log_index", "kind", "subject",
    )  # fmt: skip

    at: At
    log_index: Whole = -1
    kind: QualityKind
    subject: Text
    detail: Text


Row = (
    Deployments | Snapshots | Tokens | Markets | Positions | MarginAccounts | MarginLegs | Prices
    | Funding | PositionEvents | Balances | Totals | DataQuality
)  # fmt: skip

TABLES: dict[type, str] = {
    Deployments: "deployments",
    Snapshots: "snapshots",
    Tokens: "tokens",
    Markets: "markets",
    Positions: "positions",
    MarginAccounts: "margin_accounts",
    MarginLegs: "margin_legs",
    Prices: "prices",
    Funding: "funding",
    PositionEvents: "position_events",
    Balances: "balances",
    Totals: "totals",
    DataQuality: "data_quality",
}


def columns(row_type: type) -> dict[str, str]:
    """Column names and SQL types of a table, in order, with ``at`` spread out."""
    hints = get_type_hints(row_type, include_extras=True)
    spread: dict[str, str] = {}
    for field in fields(row_type):
        if field.name == "at":
            spread |= columns(At)
        else:
            spread[field.name] = _sql_type(hints[field.name])
    return spread


def words(row_type: type) -> dict[str, tuple[str, ...]]:
    """The columns of a table that hold nothing but certain words, and those words."""
    hints = {name: _value(hint) for name, hint in get_type_hints(row_type).items()}
    return {name: get_args(hint) for name, hint in hints.items() if get_origin(hint) is Literal}


def _sql_type(hint: Any) -> str:
    value = _value(hint)
    return "VARCHAR" if get_origin(value) is Literal else str(value.__metadata__[0])


def _value(hint: Any) -> Any:
    """What a column holds where it is not null."""
    is_union = type(None) in get_args(hint)
    return next(part for part in get_args(hint) if part is not type(None)) if is_union else hint
