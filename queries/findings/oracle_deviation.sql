/* ---
title    = "Oracle deviation"
severity = "medium"
summary  = "Prices that disagree with the outside observation of the same token, whose lower and upper price lie far apart, or that are no prices at all (what trading in a market makes is compared by `mark_index_gap`); beside it the deviation that the protocol itself tolerates and the positions whose verdict rests on the price. A source that no verdict rests on is information."
advice   = "Find out which source is wrong before trading; a deviation over the protocol's own limit changes the price that it liquidates at."
grain    = "one row per price and kind of deviation"
identity = ["chain_id", "protocol", "deployment", "price_id", "kind"]
table    = ["deployment", "priced", "source", "is_used", "deviation_bps", "limit_bps", "positions_usd", "price_min", "age_seconds", "reference", "reference_min", "reference_age"]

[params]
deviation_bps     = { type = "int", default = 100, help = "Report sources that differ by at least this, in basis points; a difference over the protocol's own limit is always reported." }
spread_bps        = { type = "int", default = 100, help = "Report a used price whose upper price is at least this over the lower, in basis points." }

[history]
measure = "deviation_bps"
worse   = "higher"

[columns]
chain_id          = "Chain of the deployment."
protocol          = "Protocol of the deployment."
deployment        = "Deployment that the price was read for."
block_number      = "Block of the snapshot."
severity          = "`medium` where a verdict rests on the source, else `info`."
priced            = "The asset; for a token that is not mapped the symbol that it claims, else its market's name."
price_id          = "The price."
token             = "Token that is priced."
asset             = "Canonical asset of the token."
kind              = "`sources` (two disagree), `spread` (lower and upper price) or `invalid` (missing, not positive, or crossed)."
source            = "The source that deviates most, or whose spread it is, in the words of the report `prices`: first of those that a verdict rests on."
role              = "What it is to the protocol, likewise."
is_used           = "Whether a verdict rests on this source."
price_min         = "Its lower price, in USD."
price_max         = "Its upper price, in USD."
age_seconds       = "Seconds from its observation to the snapshot's block; null if unknown."
reference         = "The source that it is compared with."
reference_min     = "Lower price of that, in USD."
reference_max     = "Upper price of that, in USD."
reference_age     = "Seconds from the observation of that to the snapshot's block; null if unknown."
deviation_bps     = "Difference over the reference (of a spread: over the lower price), in whole basis points rounded down, at most 1e9."
limit_bps         = "The least deviation that the protocol tolerates between sources of this price."
is_over_limit     = "Whether the sources differ by more than that; null if there is no limit."
positions         = "Open positions whose verdict rests on it; none where it is not used."
positions_usd     = "Sum of their sizes in USD, without the unsized ones; null if all are unsized."
positions_unsized = "How many of them have a size that is unknown, or so large (1e12 USD) that a sum might overflow."
inputs            = "The exact contract integers of the source."
--- */
with aged as (
    select
        price.*,
        date_diff('second', price.observed_at, newest.block_time) as age_seconds
    from current_prices as price
    inner join current_snapshots as newest
        on
            price.chain_id = newest.chain_id
            and price.protocol = newest.protocol
            and price.deployment = newest.deployment
            and price.block_number = newest.block_number
),

priced as (
    select
        *,
        min(deviation_limit_bps) over (
            partition by chain_id, protocol, deployment, price_id
        ) as limit_bps
    from aged
),

valid as (
    select *
    from priced
    where price_min > 0 and price_max >= price_min
),

reference_prices as (
    select *
    from valid
    where role = 'reference'
    qualify row_number() over (
        partition by chain_id, protocol, deployment, price_id
        order by source
    ) = 1
),

differing as (
    select
        price.*,
        base.source as reference,
        base.price_min as reference_min,
        base.price_max as reference_max,
        base.age_seconds as reference_age,
        greatest(
            abs(price.price_min - base.price_min) / base.price_min,
            abs(price.price_max - base.price_max) / base.price_max
        ) as ratio
    from valid as price
    inner join reference_prices as base
        on
            price.chain_id = base.chain_id
            and price.protocol = base.protocol
            and price.deployment = base.deployment
            and price.price_id = base.price_id
            and price.source <> base.source
    where price.role not in ('mark', 'twap')
),

spread as (
    select
        *,
        null::varchar as reference,
        null::decimal(38, 18) as reference_min,
        null::decimal(38, 18) as reference_max,
        null::bigint as reference_age,
        (price_max - price_min) / price_min as ratio
    from valid
    where is_used
),

invalid as (
    select
        *,
        null::varchar as reference,
        null::decimal(38, 18) as reference_min,
        null::decimal(38, 18) as reference_max,
        null::bigint as reference_age,
        null::double as ratio
    from priced
    where is_used and not coalesce(price_min > 0 and price_max >= price_min, false)
),

measured as (
    select
        *,
        'sources' as kind
    from differing
    union all
    select
        *,
        'spread' as kind
    from spread
    union all
    select
        *,
        'invalid' as kind
    from invalid
),

rounded as (
    select
        *,
        case
            when ratio is not null
                then least(floor(round(ratio * 10000, 6)), 1000000000)::bigint
        end as measured_bps,
        case when kind = 'sources' then measured_bps > limit_bps end as is_over_limit
    from measured
),

deviating as (
    select *
    from rounded
    where
        kind = 'invalid'
        or (kind = 'spread' and measured_bps >= $spread_bps)
        or (kind = 'sources' and (measured_bps >= $deviation_bps or is_over_limit))
    qualify row_number() over (
        partition by chain_id, protocol, deployment, price_id, kind
        order by is_used desc, ratio desc, source asc
    ) = 1
)

select
    price.chain_id,
    price.protocol,
    price.deployment,
    price.block_number,
    case when price.is_used then 'medium' else 'info' end as severity,
    coalesce(price.asset, nullif(token.symbol, ''), nullif(market.name, ''), price.token)
        as priced,
    price.price_id,
    price.token,
    price.asset,
    price.kind,
    price.source,
    price.role,
    price.is_used,
    price.price_min,
    price.price_max,
    price.age_seconds,
    price.reference,
    price.reference_min,
    price.reference_max,
    price.reference_age,
    price.measured_bps as deviation_bps,
    price.limit_bps,
    price.is_over_limit,
    coalesce(exposure.positions, 0) as positions,
    case when exposure.positions > 0 then exposure.positions_usd else 0 end as positions_usd,
    coalesce(exposure.positions_unsized, 0) as positions_unsized,
    price.inputs
from deviating as price
left join current_price_exposure as exposure
    on
        price.chain_id = exposure.chain_id
        and price.protocol = exposure.protocol
        and price.deployment = exposure.deployment
        and price.price_id = exposure.price_id
        and price.is_used
left join tokens as token
    on
        price.chain_id = token.chain_id
        and price.token = token.token
left join current_markets as market
    on
        price.chain_id = market.chain_id
        and price.protocol = market.protocol
        and price.deployment = market.deployment
        and price.token = market.market
order by
    price.is_used desc,
    price.kind asc,
    price.measured_bps desc nulls first,
    price.chain_id asc,
    price.protocol asc,
    price.deployment asc,
    price.price_id asc
