/* ---
title    = "Bad debt"
severity = "high"
summary  = "Margin accounts that are worth less than nothing: what they owe and cannot pay, and whether the insurance fund of their deployment covers the sum of it. An isolated position in a closed market is settled instead and leaves none."
advice   = "Where the fund does not cover the sum, the rest falls on the pool or the other side of the market: take out what can be withdrawn, and do not count on unrealised profit."
grain    = "one row per margin account with a negative equity"
identity = ["chain_id", "protocol", "deployment", "margin_id"]
table    = ["deployment", "account", "shortfall_usd", "insurance_fund_usd", "is_covered"]

[history]
measure = "shortfall_usd"
worse   = "higher"

[columns]
chain_id            = "Chain of the deployment."
protocol            = "Protocol of the deployment."
deployment          = "Deployment that holds the margin account."
block_number        = "Block of the snapshot."
account             = "Owner of the margin account."
margin_id           = "The margin account: a position (isolated margin) or the account (cross margin)."
kind                = "Kind of margin account."
positions           = "How many open positions it has."
size_usd            = "Sum of their sizes in USD; 0 without any, null if one is unknown or 1e12 and over."
equity_usd          = "What the margin rule counts as the account's value, in USD."
shortfall_usd       = "What is missing to zero, in USD."
total_shortfall_usd = "Sum of all shortfalls of the deployment in USD; null if one is 1e12 and over."
insurance_fund_usd  = "What the deployment's insurance fund can pay, in USD; null where there is none or its balance is not read."
is_covered          = "Whether the fund covers the total; null if one of them is not known."
state               = "The margin predicate at execution-time inputs."
collateral_state    = "The collateral rule of a vault that has one."
reason              = "Why a state is what it is, where the protocol says more."
blocked_by          = "What would make the liquidating call itself fail now."
inputs              = "The exact contract integers that the verdict rests on."
outputs             = "The exact contract integers that came out."
--- */
with settled as (
    select
        held.chain_id,
        held.protocol,
        held.deployment,
        held.margin_id
    from current_positions as held
    inner join current_markets as market
        on
            held.chain_id = market.chain_id
            and held.protocol = market.protocol
            and held.deployment = market.deployment
            and held.market = market.market
    where market.status = 'closed'
),

underwater as (
    select
        margin.*,
        -margin.equity_usd as shortfall_usd
    from current_margin_accounts as margin
    left join settled
        on
            margin.kind = 'isolated'
            and margin.chain_id = settled.chain_id
            and margin.protocol = settled.protocol
            and margin.deployment = settled.deployment
            and margin.margin_id = settled.margin_id
    where margin.equity_usd < 0 and settled.margin_id is null
),

totals as (
    select
        chain_id,
        protocol,
        deployment,
        case
            when bool_and(shortfall_usd < 1000000000000)
                then sum(shortfall_usd) filter (where shortfall_usd < 1000000000000)
        end as total_shortfall_usd
    from underwater
    group by chain_id, protocol, deployment
),

funds as (
    select
        balance.chain_id,
        balance.protocol,
        balance.deployment,
        case
            when bool_and(coalesce(abs(balance.amount) < 1000000000000, false))
                then sum(balance.amount) filter (where abs(balance.amount) < 1000000000000)
        end as insurance_fund_usd
    from current_balances as balance
    inner join deployments as deployment
        on
            balance.chain_id = deployment.chain_id
            and balance.protocol = deployment.protocol
            and balance.deployment = deployment.deployment
            and balance.account = lower(deployment.contracts ->> 'InsuranceFund')
    group by balance.chain_id, balance.protocol, balance.deployment
),

open_positions as (
    select
        held.chain_id,
        held.protocol,
        held.deployment,
        held.margin_id,
        count(*) as positions,
        case
            when bool_and(coalesce(held.size_usd < 1000000000000, false))
                then sum(held.size_usd) filter (where held.size_usd < 1000000000000)
        end as size_usd
    from current_positions as held
    inner join underwater
        on
            held.chain_id = underwater.chain_id
            and held.protocol = underwater.protocol
            and held.deployment = underwater.deployment
            and held.margin_id = underwater.margin_id
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
    coalesce(held.positions, 0) as positions,
    case when held.margin_id is null then 0 else held.size_usd end as size_usd,
    margin.equity_usd,
    margin.shortfall_usd,
    total.total_shortfall_usd,
    fund.insurance_fund_usd,
    total.total_shortfall_usd <= fund.insurance_fund_usd as is_covered,
    margin.state,
    margin.collateral_state,
    margin.reason,
    margin.blocked_by,
    margin.inputs,
    margin.outputs
from underwater as margin
inner join totals as total
    on
        margin.chain_id = total.chain_id
        and margin.protocol = total.protocol
        and margin.deployment = total.deployment
left join funds as fund
    on
        margin.chain_id = fund.chain_id
        and margin.protocol = fund.protocol
        and margin.deployment = fund.deployment
left join open_positions as held
    on
        margin.chain_id = held.chain_id
        and margin.protocol = held.protocol
        and margin.deployment = held.deployment
        and margin.margin_id = held.margin_id
order by
    margin.shortfall_usd desc,
    margin.chain_id asc,
    margin.protocol asc,
    margin.deployment asc,
    margin.margin_id asc
