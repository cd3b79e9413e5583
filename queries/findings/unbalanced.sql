/* ---
title    = "Books that do not balance"
severity = "high"
summary  = "Totals that a protocol keeps of its own and that the positions of the snapshot do not add up to: positions are missing, or some are there that should not be."
advice   = "Run `perpscope index` with another node; until it balances, what is shown of this market is not all, whatever its accounts say of themselves."
grain    = "one row per total that differs"
identity = ["chain_id", "protocol", "deployment", "total_id"]
table    = ["deployment", "name", "token", "side", "difference_usd", "why"]

[columns]
chain_id       = "Chain of the deployment."
protocol       = "Protocol of the deployment."
deployment     = "The deployment."
block_number   = "Block of the snapshot."
total_id       = "The total."
name           = "What the contract calls it."
subject        = "The token or market that it is kept for."
token          = "Symbol of the token, or name of the market; its address where it has none."
side           = "`long`, `short` or `both`."
measures       = "What it measures: `size` or `collateral`."
stated         = "The contract's integer; null if it could not be read."
summed         = "What the positions of the snapshot add up to, in the same unit."
bound          = "The difference that the contract's own rounding allows."
difference_usd = "The contract's total less that of the positions, in USD; null if there is no price for it."
why            = "Which way it differs, or why the total could not be read."
--- */
with symbols as (
    select
        chain_id,
        token,
        symbol
    from tokens
),

names as (
    select distinct
        chain_id,
        protocol,
        deployment,
        market,
        name
    from current_markets
)

select
    totals.chain_id,
    totals.protocol,
    totals.deployment,
    totals.block_number,
    totals.total_id,
    totals.name,
    totals.subject,
    coalesce(names.name, symbols.symbol, totals.subject) as token,
    totals.side,
    totals.measures,
    totals.stated,
    totals.summed,
    totals.bound,
    totals.difference_usd,
    coalesce(
        totals.reason,
        case
            when totals.difference_usd > 0 then 'positions are missing'
            when totals.difference_usd < 0 then 'positions are there that should not be'
            else 'it differs by less than can be told in USD'
        end
    ) as why
from current_totals as totals
left join names
    on
        totals.chain_id = names.chain_id
        and totals.protocol = names.protocol
        and totals.deployment = names.deployment
        and totals.subject = names.market
left join symbols
    on totals.chain_id = symbols.chain_id and totals.subject = symbols.token
where not totals.is_balanced
order by
    abs(totals.difference_usd) desc nulls first,
    totals.chain_id asc,
    totals.protocol asc,
    totals.deployment asc,
    totals.total_id asc
