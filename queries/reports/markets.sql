/* ---
title    = "Markets"
summary  = "Every market at the newest snapshots with its open interest, its pool and the parameters that decide liquidations."
advice   = "Open interest in `open_interest_*` is the contract's own; `positions` counts what was found, so a difference tells of positions that were not read."
grain    = "one row per market"
identity = ["chain_id", "protocol", "deployment", "market"]
table    = ["deployment", "name", "asset", "open_interest_long_usd", "open_interest_short_usd", "pool_usd"]

[columns]
chain_id                = "Chain of the deployment."
protocol                = "Protocol of the deployment."
deployment              = "Deployment of the market."
block_number            = "Block of the snapshot."
market                  = "The market."
asset                   = "Canonical asset of the market; null for a market that is not mapped."
name                    = "The market's name, as the protocol or its token claims it."
market_status           = "Whether the market is open, as far as the protocol says so."
open_interest_long_usd  = "Open interest of longs in USD, by the contract."
open_interest_short_usd = "Open interest of shorts in USD, by the contract."
pool_usd                = "What backs the market, in USD."
positions               = "Open positions that were found."
parameters              = "The parameters that decide, as exact contract integers."
--- */
with held as (
    select
        chain_id,
        protocol,
        deployment,
        market,
        count(*) as positions
    from current_positions
    group by chain_id, protocol, deployment, market
)

select
    market.chain_id,
    market.protocol,
    market.deployment,
    market.block_number,
    market.market,
    market.asset,
    market.name,
    market.status as market_status,
    market.open_interest_long_usd,
    market.open_interest_short_usd,
    market.pool_usd,
    coalesce(held.positions, 0) as positions,
    market.parameters
from current_markets as market
left join held
    on
        market.chain_id = held.chain_id
        and market.protocol = held.protocol
        and market.deployment = held.deployment
        and market.market = held.market
order by
    market.chain_id,
    market.protocol,
    market.deployment,
    market.asset nulls last,
    market.market
