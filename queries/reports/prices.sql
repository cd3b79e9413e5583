/* ---
title    = "Prices"
summary  = "Every price that was read at the newest snapshots, by source, with its age at that block."
advice   = "`used` marks what a verdict rests on; see the findings `oracle_deviation` and `stale_price`."
grain    = "one row per price and source"
identity = ["chain_id", "protocol", "deployment", "price_id", "source"]
table    = ["deployment", "priced", "source", "price_min", "price_max", "spread_bps", "age_seconds", "is_used"]

[columns]
chain_id            = "Chain of the deployment."
protocol            = "Protocol of the deployment."
deployment          = "Deployment that the price was read for."
block_number        = "Block of the snapshot."
priced              = "The asset; for a token that is not mapped the symbol that it claims, else its market's name."
price_id            = "The price."
token               = "Token that is priced."
asset               = "Canonical asset of the token; null for a token that is not mapped."
source              = "Who names the price: `contract` (its own rule), `oracle` (the feed on chain), `executed` (a signed price), `fast`, `spot`, `twap` or `user`."
role                = "What the price is to the protocol: `reference` (an outside observation), `keeper`, `mark` (trading in the market makes it), `twap`, `derived` (made of others) or `user`."
price_min           = "Lower price, in USD."
price_max           = "Upper price, in USD."
spread_bps          = "Upper over lower price, in whole basis points rounded down, at most 1e9."
observed_at         = "When the source observed it, in UTC; null if it does not say."
age_seconds         = "Seconds from the observation to the snapshot's block."
max_age             = "Age in seconds after which the source is stale by its own rules."
max_age_source      = "Where that limit comes from."
deviation_limit_bps = "Deviation that the protocol tolerates, in basis points."
is_used             = "Whether a verdict at this block rests on it."
inputs              = "The exact contract integers of the source."
--- */
select
    price.chain_id,
    price.protocol,
    price.deployment,
    price.block_number,
    coalesce(price.asset, nullif(token.symbol, ''), nullif(market.name, ''), price.token)
        as priced,
    price.price_id,
    price.token,
    price.asset,
    price.source,
    price.role,
    price.price_min,
    price.price_max,
    case
        when price.price_min > 0 and price.price_max >= price.price_min
            then
                least(
                    floor(
                        round(
                            (price.price_max - price.price_min) / price.price_min * 10000, 6
                        )
                    ),
                    1000000000
                )::bigint
    end as spread_bps,
    price.observed_at,
    date_diff('second', price.observed_at, newest.block_time) as age_seconds,
    price.max_age,
    price.max_age_source,
    price.deviation_limit_bps,
    price.is_used,
    price.inputs
from current_prices as price
inner join current_snapshots as newest
    on
        price.chain_id = newest.chain_id
        and price.protocol = newest.protocol
        and price.deployment = newest.deployment
        and price.block_number = newest.block_number
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
    price.asset asc nulls last,
    price.chain_id asc,
    price.protocol asc,
    price.deployment asc,
    price.price_id asc,
    price.is_used desc,
    price.source asc
