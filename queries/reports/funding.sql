/* ---
title    = "Funding and borrowing"
summary  = "Funding and borrowing rates per market and side at the newest snapshots."
advice   = "A positive rate is paid by the side, a negative one received; rates are what the contract would charge if nothing changed."
grain    = "one row per market, side and collateral"
identity = ["chain_id", "protocol", "deployment", "market", "side", "collateral_token"]
table    = ["deployment", "market_name", "side", "collateral_token", "funding_bps_per_year", "borrowing_bps_per_year"]

[columns]
chain_id               = "Chain of the deployment."
protocol               = "Protocol of the deployment."
deployment             = "Deployment of the market."
block_number           = "Block of the snapshot."
market                 = "The market."
market_name            = "The asset, or the market's own name where it is not mapped."
asset                  = "Canonical asset of the market; null for a market that is not mapped."
side                   = "`long` or `short`."
collateral_token       = "Collateral that the rate is for; empty where it is for all."
funding_rate           = "Funding as a fraction of size per hour."
borrowing_rate         = "Borrowing fee as a fraction of size per hour."
funding_bps_per_year   = "Funding in basis points of size per year of 8760 hours, kept within 1e9."
borrowing_bps_per_year = "Borrowing fee in basis points of size per year of 8760 hours, kept within 1e9."
inputs                 = "The exact contract integers, cumulative indices included."
--- */
with rates as (
    select
        *,
        funding_rate::double * 87600000 as funding_bps,
        borrowing_rate::double * 87600000 as borrowing_bps
    from current_funding
)

select
    rate.chain_id,
    rate.protocol,
    rate.deployment,
    rate.block_number,
    rate.market,
    coalesce(market.asset, nullif(market.name, ''), rate.market) as market_name,
    market.asset,
    rate.side,
    rate.collateral_token,
    rate.funding_rate,
    rate.borrowing_rate,
    case
        when rate.funding_bps is not null
            then greatest(least(round(rate.funding_bps), 1000000000), -1000000000)::bigint
    end as funding_bps_per_year,
    case
        when rate.borrowing_bps is not null
            then greatest(least(round(rate.borrowing_bps), 1000000000), -1000000000)::bigint
    end as borrowing_bps_per_year,
    rate.inputs
from rates as rate
left join current_markets as market
    on
        rate.chain_id = market.chain_id
        and rate.protocol = market.protocol
        and rate.deployment = market.deployment
        and rate.market = market.market
order by
    market.asset nulls last,
    rate.chain_id,
    rate.protocol,
    rate.deployment,
    rate.market,
    rate.side,
    rate.collateral_token
