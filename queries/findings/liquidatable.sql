/* ---
title    = "Liquidatable margin accounts"
severity = "critical"
summary  = "Margin accounts that anyone permitted can liquidate at the snapshot's block: the contract's own predicate at execution-time inputs, or the collateral rule of a vault that has one."
advice   = "Add collateral or close now; `perpscope explain ID` shows the arithmetic, `blocked_by` what would make the liquidating call itself fail."
grain    = "one row per liquidatable margin account"
identity = ["chain_id", "protocol", "deployment", "margin_id"]
table    = ["deployment", "account", "positions", "size_usd", "equity_usd", "buffer_usd"]

[history]
subject = ["margin_id"]
measure = "buffer_usd"
worse   = "lower"

[columns]
chain_id         = "Chain of the deployment."
protocol         = "Protocol of the deployment."
deployment       = "Deployment that holds the margin account."
block_number     = "Block of the snapshot."
account          = "Owner of the margin account."
margin_id        = "The margin account: a position (isolated margin) or the account (cross margin)."
kind             = "Kind of margin account."
liquidation      = "What can be liquidated: `margin`, `collateral` or `margin and collateral`."
positions        = "Its open positions, by side and asset; for an asset that is not mapped by the market's own name."
size_usd         = "Sum of the sizes of its positions in USD; 0 without any, null if one is unknown or 1e12 and over."
equity_usd       = "What the margin rule counts as the account's value, in USD."
requirement_usd  = "What the margin rule requires, in USD."
buffer_usd       = "Equity less requirement in USD; negative where the account falls short."
state            = "The margin predicate at execution-time inputs."
state_stored     = "The margin predicate on what the contract's own view uses now."
collateral_state = "The collateral rule of a vault that has one."
reason           = "Why a state is what it is, where the protocol says more."
blocked_by       = "What would make the liquidating call itself fail now."
inputs           = "The exact contract integers that the verdict rests on."
outputs          = "The exact contract integers that came out."
--- */
with liquidatable_accounts as (
    select *
    from current_margin_accounts
    where state = 'liquidatable' or collateral_state = 'liquidatable'
),

open_positions as (
    select
        held.chain_id,
        held.protocol,
        held.deployment,
        held.margin_id,
        string_agg(
            held.side || ' ' || coalesce(held.asset, nullif(market.name, ''), held.market), ', '
            order by held.asset, market.name, held.market, held.side, held.position_id
        ) as positions,
        case
            when bool_and(coalesce(held.size_usd < 1000000000000, false))
                then sum(held.size_usd) filter (where held.size_usd < 1000000000000)
        end as size_usd
    from current_positions as held
    inner join liquidatable_accounts as margin
        on
            held.chain_id = margin.chain_id
            and held.protocol = margin.protocol
            and held.deployment = margin.deployment
            and held.margin_id = margin.margin_id
    left join current_markets as market
        on
            held.chain_id = market.chain_id
            and held.protocol = market.protocol
            and held.deployment = market.deployment
            and held.market = market.market
    group by held.chain_id, held.protocol, held.deployment, held.margin_id
)

select
    margin.chain_id,
    margin.protocol,
    margin.deployment,
    margin.block_number,
    margin.account,
    margin.margin_id,
    margin.kind,
    case
        when coalesce(margin.collateral_state, '') <> 'liquidatable' then 'margin'
        when margin.state <> 'liquidatable' then 'collateral'
        else 'margin and collateral'
    end as liquidation,
    held.positions,
    case when held.margin_id is null then 0 else held.size_usd end as size_usd,
    margin.equity_usd,
    margin.requirement_usd,
    margin.buffer_usd,
    margin.state,
    margin.state_stored,
    margin.collateral_state,
    margin.reason,
    margin.blocked_by,
    margin.inputs,
    margin.outputs
from liquidatable_accounts as margin
left join open_positions as held
    on
        margin.chain_id = held.chain_id
        and margin.protocol = held.protocol
        and margin.deployment = held.deployment
        and margin.margin_id = held.margin_id
order by
    size_usd desc nulls first,
    margin.chain_id asc,
    margin.protocol asc,
    margin.deployment asc,
    margin.margin_id asc
