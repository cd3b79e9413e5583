/* ---
title    = "Verdicts that depend on which price counts"
severity = "high"
summary  = "Margin accounts whose state is another one at another price that a liquidation may be executed at: the contract's own predicate at each, or a liquidation price inside the width of the price in use."
advice   = "Where the other price counts too, or inside a width, the next transaction decides: treat the account as liquidatable; `perpscope explain ID` shows every price, `perpscope index --price-basis` chooses one."
grain    = "one row per margin account: of several other prices the one that counts most"
identity = ["chain_id", "protocol", "deployment", "margin_id"]
table    = ["account", "market_side", "size_usd", "state", "why"]

[columns]
chain_id          = "Chain of the deployment."
protocol          = "Protocol of the deployment."
deployment        = "Deployment that holds the margin account."
block_number      = "Block of the snapshot."
severity          = "`high` where the other price counts or in a width; `medium` where no price counts, `info` where just the one in use does."
account           = "Owner of the margin account."
margin_id         = "The margin account."
kind              = "Kind of margin account."
market_side       = "Side and asset of its position; for an asset that is not mapped the market's own name. Null unless there is just one."
size_usd          = "Sum of the sizes of its positions in USD; null if one is unknown or 1e12 and over."
equity_usd        = "What is at stake in USD: the account's value as the margin rule counts it, at the price in use."
why               = "`both within limit`: the age of both prices lets them count. `other within limit`, `other past limit`, `both past limit`: of the other one alone, of the one in use alone, of none. `width`: the liquidation price lies between the lower and the upper price in use."
state             = "The margin predicate at the price in use."
buffer_usd        = "Equity less requirement in USD, at the price in use."
other_state       = "The margin predicate at the other price."
other_buffer_usd  = "Equity less requirement in USD, at the other price; null inside a width."
other_reason      = "Why it is that there, where the protocol says more."
priced            = "The token that has two prices, by its asset or the symbol that it claims; the index token where several have."
price_token       = "That token."
tokens            = "How many tokens have another price: all of the market that the other source prices."
price_source      = "Who names the price in use."
price_min         = "Its lower price, in USD."
price_max         = "Its upper price, in USD."
age_seconds       = "Its age at the snapshot's block."
max_age           = "The age in seconds up to which the protocol accepts it; null if that is not known."
other_source      = "Who names the other price."
other_price_min   = "Its lower price, in USD; inside a width the liquidation price."
other_price_max   = "Its upper price, in USD; inside a width the liquidation price."
other_age_seconds = "Its age at the snapshot's block."
other_max_age     = "The age in seconds up to which the protocol accepts it; null if that is not known."
inputs            = "The exact contract integers that the verdict rests on."
outputs           = "The exact contract integers that came out, with every other price under `price_alternatives`."
--- */
with listed as (
    select
        margin.*,
        unnest(
            from_json(
                margin.outputs -> 'price_alternatives',
                '[{
                    "kind": "VARCHAR", "state": "VARCHAR", "reason": "VARCHAR",
                    "buffer_usd": "VARCHAR", "is_current": "BOOLEAN", "used_is_current": "BOOLEAN",
                    "tokens": ["VARCHAR"],
                    "used": {
                        "token": "VARCHAR", "source": "VARCHAR", "price_min": "VARCHAR",
                        "price_max": "VARCHAR", "age": "VARCHAR", "max_age": "VARCHAR"
                    },
                    "other": {
                        "token": "VARCHAR", "source": "VARCHAR", "price_min": "VARCHAR",
                        "price_max": "VARCHAR", "age": "VARCHAR", "max_age": "VARCHAR"
                    }
                }]'
            )
        ) as alternative
    from current_margin_accounts as margin
    where margin.state <> 'unknown'
),

differing as (
    select
        *,
        alternative['state'] as other_state,
        case
            when alternative['kind'] = 'width' then 'width'
            when alternative['is_current'] and alternative['used_is_current']
                then 'both within limit'
            when alternative['is_current'] then 'other within limit'
            when alternative['used_is_current'] then 'other past limit'
            else 'both past limit'
        end as why,
        list_position(
            [
                'both within limit', 'other within limit', 'width', 'both past limit',
                'other past limit'
            ],
            why
        ) as rank
    from listed
    where other_state <> state and (other_state <> 'unknown' or why <> 'other past limit')
    qualify row_number() over (
        partition by chain_id, protocol, deployment, margin_id
        order by rank, alternative['other']['source'], alternative['other']['price_min']
    ) = 1
),

open_positions as (
    select
        held.chain_id,
        held.protocol,
        held.deployment,
        held.margin_id,
        case
            when count(*) = 1
                then
                    min(
                        held.side || ' '
                        || coalesce(held.asset, nullif(market.name, ''), held.market)
                    )
        end as market_side,
        case
            when bool_and(coalesce(held.size_usd < 1000000000000, false))
                then sum(held.size_usd) filter (where held.size_usd < 1000000000000)
        end as size_usd
    from current_positions as held
    inner join differing as margin
        on
            held.chain_id = margin.chain_id
            and held.protocol = margin.protocol
            and held.deployment = margin.deployment
            and held.margin_id = margin.margin_id
    left join current_markets as market
        on
            held.chain_id = market.chain_id
            and held.protocol = market.protocol
            and held.deployment = market.deployment
            and held.market = market.market
    group by held.chain_id, held.protocol, held.deployment, held.margin_id
)

select
    margin.chain_id,
    margin.protocol,
    margin.deployment,
    margin.block_number,
    case margin.why
        when 'other past limit' then 'info'
        when 'both past limit' then 'medium'
        else 'high'
    end as severity,
    margin.account,
    margin.margin_id,
    margin.kind,
    held.market_side,
    held.size_usd,
    margin.equity_usd,
    margin.why,
    margin.state,
    margin.buffer_usd,
    margin.other_state,
    try_cast(margin.alternative.buffer_usd as decimal(38, 18)) as other_buffer_usd,
    margin.alternative.reason as other_reason,
    coalesce(token.asset, nullif(token.symbol, ''), margin.alternative.used.token) as priced,
    margin.alternative.used.token as price_token,
    len(margin.alternative.tokens)::bigint as tokens,
    margin.alternative.used.source as price_source,
    try_cast(margin.alternative.used.price_min as decimal(38, 18)) as price_min,
    try_cast(margin.alternative.used.price_max as decimal(38, 18)) as price_max,
    try_cast(margin.alternative.used.age as bigint) as age_seconds,
    try_cast(margin.alternative.used.max_age as bigint) as max_age,
    margin.alternative.other.source as other_source,
    try_cast(margin.alternative.other.price_min as decimal(38, 18)) as other_price_min,
    try_cast(margin.alternative.other.price_max as decimal(38, 18)) as other_price_max,
    try_cast(margin.alternative.other.age as bigint) as other_age_seconds,
    try_cast(margin.alternative.other.max_age as bigint) as other_max_age,
    margin.inputs,
    margin.outputs
from differing as margin
left join open_positions as held
    on
        margin.chain_id = held.chain_id
        and margin.protocol = held.protocol
        and margin.deployment = held.deployment
        and margin.margin_id = held.margin_id
left join tokens as token
    on
        margin.chain_id = token.chain_id
        and margin.alternative.used.token = token.token
order by
    margin.rank asc,
    held.size_usd desc nulls first,
    margin.chain_id asc,
    margin.protocol asc,
    margin.deployment asc,
    margin.margin_id asc
