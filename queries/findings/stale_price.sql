/* ---
title    = "Stale prices"
severity = "medium"
summary  = "Price sources whose newest observation was older, at the snapshot's block, than the source's own rules allow; many contracts use such a price without looking at its age. A source that no verdict rests on is information."
advice   = "Where a verdict rests on the source, do not rely on the liquidation prices of its positions: compare with an independent source before adding risk."
grain    = "one row per price and source"
identity = ["chain_id", "protocol", "deployment", "price_id", "source"]
table    = ["deployment", "priced", "source", "is_used", "age_seconds", "price_min", "positions_usd"]

[params]
default_max_age = { type = "int", default = 90000, help = "Age in seconds above which a price is stale where its source states no limit; 90000 is a daily heartbeat and an hour." }

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
source            = "Who names the price, in the words of the report `prices`."
role              = "What it is to the protocol, likewise."
price_min         = "Lower price, in USD."
price_max         = "Upper price, in USD."
observed_at       = "When the source observed it, in UTC; null if it does not say."
age_seconds       = "Seconds from the observation to the snapshot's block; null if unknown."
max_age           = "Age in seconds above which it is stale."
max_age_source    = "Where that limit comes from; `default` is the parameter `default_max_age`."
is_used           = "Whether a verdict rests on this source."
positions         = "Open positions whose verdict rests on it; none where it is not used."
positions_usd     = "Sum of their sizes in USD, without the unsized ones; null if all are unsized."
positions_unsized = "How many of them have a size that is unknown, or so large (1e12 USD) that a sum might overflow."
inputs            = "The exact contract integers of the source."
--- */
with aged as (
    select
        price.*,
        date_diff('second', price.observed_at, newest.block_time) as age_seconds,
        case when price.max_age is null then 'default' else price.max_age_source end as stated_by
    from current_prices as price
    inner join current_snapshots as newest
        on
            price.chain_id = newest.chain_id
            and price.protocol = newest.protocol
            and price.deployment = newest.deployment
            and price.block_number = newest.block_number
),

stale as (
    select
        *,
        coalesce(max_age, $default_max_age) as allowed_age
    from aged
    where
        age_seconds > coalesce(max_age, $default_max_age)
        or (observed_at is null and max_age is not null)
)

select
    stale.chain_id,
    stale.protocol,
    stale.deployment,
    stale.block_number,
    case when stale.is_used then 'medium' else 'info' end as severity,
    coalesce(stale.asset, nullif(token.symbol, ''), nullif(market.name, ''), stale.token)
        as priced,
    stale.price_id,
    stale.token,
    stale.asset,
    stale.source,
    stale.role,
    stale.price_min,
    stale.price_max,
    stale.observed_at,
    stale.age_seconds,
    stale.allowed_age as max_age,
    stale.stated_by as max_age_source,
    stale.is_used,
    coalesce(exposure.positions, 0) as positions,
    case when exposure.positions > 0 then exposure.positions_usd else 0 end as positions_usd,
    coalesce(exposure.positions_unsized, 0) as positions_unsized,
    stale.inputs
from stale
left join current_price_exposure as exposure
    on
        stale.chain_id = exposure.chain_id
        and stale.protocol = exposure.protocol
        and stale.deployment = exposure.deployment
        and stale.price_id = exposure.price_id
        and stale.is_used
left join tokens as token
    on
        stale.chain_id = token.chain_id
        and stale.token = token.token
left join current_markets as market
    on
        stale.chain_id = market.chain_id
        and stale.protocol = market.protocol
        and stale.deployment = market.deployment
        and stale.token = market.market
order by
    stale.is_used desc,
    positions_usd desc nulls first,
    stale.chain_id asc,
    stale.protocol asc,
    stale.deployment asc,
    stale.price_id asc,
    stale.source asc
