/* ---
title    = "Accounts"
summary  = "Every account over all protocols and chains, with what it holds and how far its nearest position is from liquidation: first the liquidatable ones, then those of which nothing is known, then the nearest."
advice   = "Look at one with `perpscope show positions --account ADDRESS`."
grain    = "one row per account"
identity = ["account"]
table    = ["account", "deployments", "size_usd", "equity_usd", "distance_bps", "buffer_bps", "state"]

[columns]
account         = "The account."
deployments     = "Where it holds something, as protocol/deployment@chain."
margin_accounts = "How many margin accounts it has."
positions       = "How many open positions it has."
size_usd        = "Sum of the sizes of its positions in USD; null if one is unknown or 1e12 and over."
equity_usd      = "Sum of what the margin rules count as its value in USD; null if one is unknown or 1e12 and over."
distance_bps    = "How far the price of its nearest position has to move to liquidate it, in basis points of that price, rounded down; negative where it is past that; null if no move of one price alone does so, or if it is not known."
buffer_bps      = "Equity less requirement of its least covered margin account over the sizes of its positions, in basis points rounded down and kept within 1e9: about the move of all its prices at once that liquidates it. It ranks an account without a distance."
state           = "The worst state of its margin accounts, by margin or by collateral: `liquidatable`, `unknown` or `safe`."
liquidatable    = "How many of its margin accounts are liquidatable, by margin or by collateral."
unknown_states  = "How many of its margin accounts have an unknown state or collateral state."
--- */
with held as (
    select
        chain_id,
        protocol,
        deployment,
        margin_id,
        count(*) as positions,
        bool_and(coalesce(size_usd < 1000000000000, false)) as is_sized,
        sum(size_usd) filter (where size_usd < 1000000000000) as size_usd,
        min(distance_bps) as distance_bps
    from current_positions
    group by chain_id, protocol, deployment, margin_id
),

margins as (
    select
        margin.account,
        margin.protocol || '/' || margin.deployment || '@' || margin.chain_id as place,
        margin.equity_usd,
        coalesce(held.positions, 0) as positions,
        coalesce(held.is_sized, true) as is_sized,
        coalesce(held.size_usd, 0) as size_usd,
        held.distance_bps,
        case when held.is_sized then margin.buffer_usd / nullif(held.size_usd, 0) end as buffer,
        coalesce(
            margin.state = 'liquidatable' or margin.collateral_state = 'liquidatable', false
        ) as is_liquidatable,
        coalesce(
            margin.state = 'unknown' or margin.collateral_state = 'unknown', false
        ) as is_unknown
    from current_margin_accounts as margin
    left join held
        on
            margin.chain_id = held.chain_id
            and margin.protocol = held.protocol
            and margin.deployment = held.deployment
            and margin.margin_id = held.margin_id
),

accounts as (
    select
        account,
        array_to_string(list_sort(list_distinct(list(place))), ', ') as deployments,
        count(*) as margin_accounts,
        sum(positions)::bigint as positions,
        case when bool_and(is_sized) then sum(size_usd) end as size_usd,
        case
            when bool_and(coalesce(abs(equity_usd) < 1000000000000, false))
                then sum(equity_usd) filter (where abs(equity_usd) < 1000000000000)
        end as equity_usd,
        min(distance_bps) as distance_bps,
        case
            when min(buffer) is not null
                then
                    greatest(
                        least(floor(round(min(buffer) * 10000, 6)), 1000000000), -1000000000
                    )::bigint
        end as buffer_bps,
        count(*) filter (where is_liquidatable) as liquidatable,
        count(*) filter (where is_unknown) as unknown_states
    from margins
    group by account
)

select
    account,
    deployments,
    margin_accounts,
    positions,
    size_usd,
    equity_usd,
    distance_bps,
    buffer_bps,
    case
        when liquidatable > 0 then 'liquidatable'
        when unknown_states > 0 then 'unknown'
        else 'safe'
    end as state,
    liquidatable,
    unknown_states
from accounts
order by
    liquidatable > 0 desc,
    (unknown_states > 0 and distance_bps is null) desc,
    coalesce(distance_bps, buffer_bps) asc nulls last,
    size_usd desc nulls first,
    account asc
