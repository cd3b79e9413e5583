/* ---
title    = "Liquidations that would be refused"
severity = "high"
summary  = "Positions that the margin rule says are liquidatable and that the liquidating call would refuse all the same: which one of the account, and why. Meanwhile its losses grow."
advice   = "Clear the cause that `why` names; until then, where `is_stuck` says that no other position of the account can be liquidated either, its shortfall only grows."
grain    = "one row per refused position, or margin account without positions"
identity = ["chain_id", "protocol", "deployment", "leg"]
table    = ["account", "market_side", "size_usd", "why"]

[history]
measure = "buffer_usd"
worse   = "lower"

[columns]
chain_id          = "Chain of the deployment."
protocol          = "Protocol of the deployment."
deployment        = "Deployment that holds the margin account."
block_number      = "Block of the snapshot."
account           = "Owner of the margin account."
margin_id         = "The margin account: a position (isolated margin) or the account (cross margin)."
kind              = "Kind of margin account."
position_id       = "The refused position; null for an account without positions."
leg               = "The refused position, by the contract's own key where it has one; of an account without positions the margin account."
market_side       = "Its side and asset; for an asset that is not mapped the market's own name."
market            = "Market of the position."
asset             = "Canonical asset of the market; null for a market that is not mapped."
side              = "`long`, `short`, `flat` (a maker without a net size now) or `unknown` (it could not be read)."
size_usd          = "Size in USD; 0 without a position."
refusal           = "The reason with which the contract refuses."
why               = "What that means, in a few words."
liquidatable_legs = "How many other positions of the margin account the call would accept."
is_stuck          = "Whether it would accept none."
equity_usd        = "What the margin rule counts as the account's value, in USD."
requirement_usd   = "What the margin rule requires, in USD."
buffer_usd        = "Equity less requirement in USD: by how much the account falls short."
inputs            = "The exact contract integers that the margin account's verdict rests on."
outputs           = "The exact contract integers that came out."
--- */
with meanings (refusal, meaning) as (
    values
    ('CH_MNO', 'the market is not open'),
    ('CH_CLWTISO', 'cancel its open orders first'),
    ('CH_PSZ', 'nothing taken in this market'),
    ('CH_IIC', 'insurance fund cannot cover it'),
    ('SafeCast: value doesn''t fit in 24 bits', 'too small: take a larger leg'),
    ('Pausable: paused', 'the deployment is paused'),
    ('amm was closed', 'market shut down: settle it'),
    ('amm not found', 'the market is not listed'),
    ('not backstop LP', 'only a backstop LP may do it'),
    ('Vault: poolAmount exceeded', 'the pool cannot pay it out'),
    ('Vault: insufficient reserve', 'the reserve is too small'),
    ('Vault: reserve exceeds pool', 'the pool is reserved'),
    ('DisabledMarket', 'the market is disabled')
),

blocked as (
    select *
    from current_margin_accounts
    where state = 'liquidatable' and blocked_by is not null
),

judged as (
    select
        margin.*,
        held.position_id,
        held.market,
        held.asset,
        held.side,
        held.size_usd,
        case
            when json_type(held.outputs -> 'liquidate') = 'VARCHAR'
                then held.outputs ->> 'liquidate'
            else margin.blocked_by
        end as refusal,
        coalesce(refusal <> 'OK' and not starts_with(refusal, 'unknown'), false) as is_refused,
        count(*) filter (where refusal = 'OK') over (
            partition by
                margin.chain_id, margin.protocol, margin.deployment, margin.margin_id
        ) as liquidatable_legs,
        count(*) filter (where starts_with(refusal, 'unknown')) over (
            partition by
                margin.chain_id, margin.protocol, margin.deployment, margin.margin_id
        ) as unknown_legs
    from blocked as margin
    left join current_positions as held
        on
            margin.chain_id = held.chain_id
            and margin.protocol = held.protocol
            and margin.deployment = held.deployment
            and margin.margin_id = held.margin_id
)

select
    judged.chain_id,
    judged.protocol,
    judged.deployment,
    judged.block_number,
    judged.account,
    judged.margin_id,
    judged.kind,
    judged.position_id,
    coalesce(judged.position_id, judged.margin_id) as leg,
    judged.side || ' ' || coalesce(judged.asset, nullif(market.name, ''), judged.market)
        as market_side,
    judged.market,
    judged.asset,
    judged.side,
    case when judged.position_id is null then 0 else judged.size_usd end as size_usd,
    coalesce(nullif(judged.refusal, ''), 'reverts without a reason') as refusal,
    coalesce(meanings.meaning, nullif(judged.refusal, ''), 'reverts without a reason') as why,
    judged.liquidatable_legs,
    case
        when judged.liquidatable_legs > 0 then false
        when judged.unknown_legs = 0 then true
    end as is_stuck,
    judged.equity_usd,
    judged.requirement_usd,
    judged.buffer_usd,
    judged.inputs,
    judged.outputs
from judged
left join meanings
    on judged.refusal = meanings.refusal
left join current_markets as market
    on
        judged.chain_id = market.chain_id
        and judged.protocol = market.protocol
        and judged.deployment = market.deployment
        and judged.market = market.market
where judged.is_refused
order by
    size_usd desc nulls first,
    judged.chain_id asc,
    judged.protocol asc,
    judged.deployment asc,
    leg asc
