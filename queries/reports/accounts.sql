/* ---
title    = "Accounts"
summary  = "Every account over all protocols and chains, with what it holds and how far its nearest position is from liquidation; the nearest first."
advice   = "Look at one with `perpscope show positions --account ADDRESS`."
grain    = "one row per account"
identity = ["account"]
table    = ["account", "positions", "size_usd", "equity_usd", "distance_bps", "liquidatable", "unknown_states"]

[columns]
account         = "The account."
deployments     = "Where it holds something, as protocol/deployment@chain."
margin_accounts = "How many margin accounts it has."
positions       = "How many open positions it has."
size_usd        = "Sum of the sizes of its positions in USD; null if one is unknown or 1e12 and over."
equity_usd      = "Sum of what the margin rules count as its value in USD; null if one is unknown or 1e12 and over."
distance_bps    = "Price move that liquidates its nearest position, in basis points of that price."
liquidatable    = "How many of its margin accounts are liquidatable, by margin or by collateral."
unknown_states  = "How many of its margin accounts have an unknown state or collateral state."
--- */
with held as (
    select
        account,
        count(*) as positions,
        case
            when bool_and(coalesce(size_usd < 1000000000000, false))
                then sum(size_usd) filter (where size_usd < 1000000000000)
        end as size_usd,
        min(distance_bps) as distance_bps
    from current_positions
    group by account
),

margins as (
    select
        account,
        array_to_string(
            list_sort(list_distinct(list(protocol || '/' || deployment || '@' || chain_id))), ', '
        ) as deployments,
        count(*) as margin_accounts,
        case
            when bool_and(coalesce(abs(equity_usd) < 1000000000000, false))
                then sum(equity_usd) filter (where abs(equity_usd) < 1000000000000)
        end as equity_usd,
        count(*) filter (
            where state = 'liquidatable' or collateral_state = 'liquidatable'
        ) as liquidatable,
        count(*) filter (where state = 'unknown' or collateral_state = 'unknown') as unknown_states
    from current_margin_accounts
    group by account
)

select
    margins.account,
    margins.deployments,
    margins.margin_accounts,
    coalesce(held.positions, 0) as positions,
    case when held.account is null then 0 else held.size_usd end as size_usd,
    margins.equity_usd,
    held.distance_bps,
    margins.liquidatable,
    margins.unknown_states
from margins
left join held on margins.account = held.account
order by
    margins.liquidatable > 0 desc,
    held.distance_bps asc nulls last,
    held.size_usd desc nulls first,
    margins.account asc
