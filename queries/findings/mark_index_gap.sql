/* ---
title    = "Gap between mark and index"
severity = "medium"
summary  = "Markets that make their own price and whose price lies far from the index, with the limits that the protocol itself sets: the gap over which it changes its rules, and the funding over which the gap no longer costs more."
advice   = "Expect the mark to move towards the index: look at the positions of the market that a move by the gap liquidates, and at what holding against it costs in funding."
grain    = "one row per open market"
identity = ["chain_id", "protocol", "deployment", "market"]
table    = ["deployment", "market_name", "source", "gap_bps", "limit_bps", "open_interest_usd"]

[params]
gap_bps = { type = "int", default = 100, help = "Report markets with a price at least this far from the index, in basis points of the index; a gap that reaches the protocol's own limit and funding at its most are always reported." }

[columns]
chain_id                = "Chain of the deployment."
protocol                = "Protocol of the deployment."
deployment              = "Deployment of the market."
block_number            = "Block of the snapshot."
market                  = "The market."
market_name             = "The asset, or the market's own name where it is not mapped."
asset                   = "Canonical asset of the market; null for a market that is not mapped."
source                  = "The market's price that lies furthest from the index, one that reaches its limit first: `contract` is the mark by the contract's own rule, `spot` the price of the pool or the reserves now."
price                   = "That price, in USD."
index_price             = "The index, in USD."
gap_bps                 = "That price over the index in basis points of the index, cut towards zero and kept within 1e9; negative below the index."
limit_bps               = "The gap of that price at which the protocol's rules change; null if it has no such limit."
is_over_limit           = "Whether the gap reaches that limit; null if there is none."
mark_price              = "The mark that verdicts use, in USD; null where none rests on it."
mark_gap_bps            = "The mark over the index, likewise."
funding_rate            = "What longs pay as a fraction of size per hour; negative where they receive."
max_funding_bps         = "The most that funding may come to in a day, in basis points; null if there is no limit."
is_funding_capped       = "Whether funding is at its most, so that a wider gap costs no more; null if there is no limit."
positions               = "Open positions of the market that were found."
open_interest_usd       = "Open interest of both sides in USD; null if one is unknown or 1e12 and over."
open_interest_long_usd  = "Open interest of longs in USD."
open_interest_short_usd = "Open interest of shorts in USD."
inputs                  = "The exact contract integers of that price."
--- */
with priced as (
    select *
    from current_prices
    where price_min > 0 and price_max >= price_min
),

index_prices as (
    select *
    from priced
    where role = 'reference'
    qualify row_number() over (
        partition by chain_id, protocol, deployment, price_id
        order by source
    ) = 1
),

market_prices as (
    select *
    from priced
    where role = 'mark'
),

gaps as (
    select
        price.chain_id,
        price.protocol,
        price.deployment,
        price.price_id,
        price.token,
        price.source,
        price.is_used,
        price.price_min as price,
        base.price_min as index_price,
        price.inputs,
        coalesce(price.deviation_limit_bps, base.deviation_limit_bps) as limit_bps,
        round((price.price_min - base.price_min) / base.price_min * 10000, 6) as gap,
        greatest(least(trunc(gap), 1000000000), -1000000000)::bigint as gap_bps,
        abs(gap) >= limit_bps as is_over_limit
    from market_prices as price
    inner join index_prices as base
        on
            price.chain_id = base.chain_id
            and price.protocol = base.protocol
            and price.deployment = base.deployment
            and price.price_id = base.price_id
),

widest as (
    select *
    from gaps
    qualify row_number() over (
        partition by chain_id, protocol, deployment, price_id
        order by coalesce(is_over_limit, false) desc, abs(gap) desc, source asc
    ) = 1
),

marks as (
    select *
    from gaps
    where is_used
    qualify row_number() over (
        partition by chain_id, protocol, deployment, price_id
        order by source
    ) = 1
),

paid as (
    select
        chain_id,
        protocol,
        deployment,
        market,
        max(funding_rate) as funding_rate
    from current_funding
    where side = 'long'
    group by chain_id, protocol, deployment, market
),

held as (
    select
        chain_id,
        protocol,
        deployment,
        market,
        count(*) as positions
    from current_positions
    group by chain_id, protocol, deployment, market
),

measured as (
    select
        market.*,
        widest.source,
        widest.price,
        widest.index_price,
        widest.gap_bps,
        widest.limit_bps,
        widest.is_over_limit,
        widest.inputs,
        marks.price as mark_price,
        marks.gap_bps as mark_gap_bps,
        paid.funding_rate,
        try_cast(market.parameters ->> 'maxFundingRate' as bigint) // 100 as max_funding_bps,
        round(abs(paid.funding_rate) / nullif(max_funding_bps / 240000, 0), 9) >= 1
            as is_funding_capped
    from current_markets as market
    inner join widest
        on
            market.chain_id = widest.chain_id
            and market.protocol = widest.protocol
            and market.deployment = widest.deployment
            and market.market = widest.token
    left join marks
        on
            widest.chain_id = marks.chain_id
            and widest.protocol = marks.protocol
            and widest.deployment = marks.deployment
            and widest.price_id = marks.price_id
    left join paid
        on
            market.chain_id = paid.chain_id
            and market.protocol = paid.protocol
            and market.deployment = paid.deployment
            and market.market = paid.market
    where market.status not in ('paused', 'closed')
),

gaping as (
    select *
    from measured
    where abs(gap_bps) >= $gap_bps or is_over_limit or is_funding_capped
)

select
    gaping.chain_id,
    gaping.protocol,
    gaping.deployment,
    gaping.block_number,
    gaping.market,
    coalesce(gaping.asset, nullif(gaping.name, ''), gaping.market) as market_name,
    gaping.asset,
    gaping.source,
    gaping.price,
    gaping.index_price,
    gaping.gap_bps,
    gaping.limit_bps,
    gaping.is_over_limit,
    gaping.mark_price,
    gaping.mark_gap_bps,
    gaping.funding_rate,
    gaping.max_funding_bps,
    gaping.is_funding_capped,
    coalesce(held.positions, 0) as positions,
    case
        when
            gaping.open_interest_long_usd < 1000000000000
            and gaping.open_interest_short_usd < 1000000000000
            then gaping.open_interest_long_usd + gaping.open_interest_short_usd
    end as open_interest_usd,
    gaping.open_interest_long_usd,
    gaping.open_interest_short_usd,
    gaping.inputs
from gaping
left join held
    on
        gaping.chain_id = held.chain_id
        and gaping.protocol = held.protocol
        and gaping.deployment = held.deployment
        and gaping.market = held.market
order by
    coalesce(gaping.is_over_limit, false) desc,
    abs(gaping.gap_bps) desc,
    gaping.chain_id asc,
    gaping.protocol asc,
    gaping.deployment asc,
    gaping.market asc
