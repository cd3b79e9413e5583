/* ---
title    = "Margin accounts that could not be judged"
severity = "high"
summary  = "Margin accounts whose state, or the price that liquidates one of their positions, is unknown: unknown is not safe."
advice   = "Read `reason`; if a read failed, index again with a node that answers it, otherwise look at the account on chain."
grain    = "one row per margin account with something unknown"
identity = ["chain_id", "protocol", "deployment", "margin_id"]
table    = ["deployment", "account", "unknowns", "size_usd", "reason"]

[columns]
chain_id         = "Chain of the deployment."
protocol         = "Protocol of the deployment."
deployment       = "Deployment that holds the margin account."
block_number     = "Block of the snapshot."
account          = "Owner of the margin account."
margin_id        = "The margin account."
kind             = "Kind of margin account."
unknowns         = "What is unknown: `state`, `state_stored`, `collateral_state`, `liquidation_price`."
size_usd         = "Sum of the sizes of its positions in USD; null if one is unknown or 1e12 and over."
state            = "The margin predicate at execution-time inputs."
state_stored     = "The margin predicate on what the contract's own view uses now."
collateral_state = "The collateral rule of a vault that has one."
reason           = "Why it is unknown."
blocked_by       = "What would make the liquidating call itself fail now."
inputs           = "The exact contract integers that were read."
outputs          = "The exact contract integers that came out."
--- */
with position_facts as (
    select
        chain_id,
        protocol,
        deployment,
        margin_id,
        bool_or(
            liquidation_kind = 'unknown'
            or (liquidation_kind = 'flip' and distance_bps is null)
        ) as without_price
    from current_positions
    group by chain_id, protocol, deployment, margin_id
    having without_price
),

unknown_accounts as (
    select
        margin.*,
        concat_ws(
            ', ',
            case when margin.state = 'unknown' then 'state' end,
            case when margin.state_stored = 'unknown' then 'state_stored' end,
            case when margin.collateral_state = 'unknown' then 'collateral_state' end,
            case when facts.without_price then 'liquidation_price' end
        ) as unknowns
    from current_margin_accounts as margin
    left join position_facts as facts
        on
            margin.chain_id = facts.chain_id
            and margin.protocol = facts.protocol
            and margin.deployment = facts.deployment
            and margin.margin_id = facts.margin_id
    where unknowns <> ''
),

sizes as (
    select
        held.chain_id,
        held.protocol,
        held.deployment,
        held.margin_id,
        case
            when bool_and(coalesce(held.size_usd < 1000000000000, false))
                then sum(held.size_usd) filter (where held.size_usd < 1000000000000)
        end as size_usd
    from current_positions as held
    inner join unknown_accounts as margin
        on
            held.chain_id = margin.chain_id
            and held.protocol = margin.protocol
            and held.deployment = margin.deployment
            and held.margin_id = margin.margin_id
    group by held.chain_id, held.protocol, held.deployment, held.margin_id
)

select
    unjudged.chain_id,
    unjudged.protocol,
    unjudged.deployment,
    unjudged.block_number,
    unjudged.account,
    unjudged.margin_id,
    unjudged.kind,
    unjudged.unknowns,
    sizes.size_usd,
    unjudged.state,
    unjudged.state_stored,
    unjudged.collateral_state,
    unjudged.reason,
    unjudged.blocked_by,
    unjudged.inputs,
    unjudged.outputs
from unknown_accounts as unjudged
left join sizes
    on
        unjudged.chain_id = sizes.chain_id
        and unjudged.protocol = sizes.protocol
        and unjudged.deployment = sizes.deployment
        and unjudged.margin_id = sizes.margin_id
order by
    sizes.size_usd desc nulls first,
    unjudged.chain_id asc,
    unjudged.protocol asc,
    unjudged.deployment asc,
    unjudged.margin_id asc
