/* ---
title    = "Positions close to liquidation"
severity = "high"
summary  = "Open positions that a price move of a few per cent makes liquidatable: the exact price at which the contract's predicate flips, all else as it is."
advice   = "Add collateral or reduce size; `perpscope explain ID` shows where the price comes from."
grain    = "one row per open position that is not yet liquidatable"
identity = ["chain_id", "protocol", "deployment", "position_id"]
table    = ["account", "market_side", "size_usd", "liquidation_price", "distance_bps"]

[params]
within_bps = { type = "int", default = 500, help = "Report positions at most this far from liquidation, in basis points of the price." }

[history]
subject      = ["margin_id"]
measure      = "distance_bps"
worse        = "lower"
escalates_to = ["liquidatable"]

[columns]
chain_id          = "Chain of the deployment."
protocol          = "Protocol of the deployment."
deployment        = "Deployment that holds the position."
block_number      = "Block of the snapshot."
account           = "Owner of the position."
market_side       = "Its side and asset; for an asset that is not mapped the market's own name."
position_id       = "The position, by the contract's own key where it has one."
margin_id         = "The margin account of the position."
market            = "Market of the position."
asset             = "Canonical asset of the market; null for a market that is not mapped."
side              = "`long`, `short`, `flat` (a maker without a net size now) or `unknown` (it could not be read)."
size_usd          = "Size in USD."
collateral_usd    = "Collateral in USD as the contract counts it."
leverage_bps      = "Size over the equity of its margin account, in basis points; null where that is not positive or not known."
price             = "Price the verdict rests on, in USD."
liquidation_price = "The nearer of the two prices that liquidate the position, in USD."
liquidation_below = "Highest price under the safe region at which it is liquidatable, in USD."
liquidation_above = "Lowest price over the safe region at which it is liquidatable, in USD."
distance_bps      = "How far the price has to move to the nearer liquidation price, in basis points of the price, rounded down; negative where it is past it, by how much, and another price (a TWAP, an oracle) still protects the position."
buffer_usd        = "Equity less requirement of the margin account, in USD."
state             = "State of the margin account at execution-time inputs."
state_stored      = "State of the margin account on what the contract's own view uses now."
inputs            = "The exact contract integers that the position's figures rest on."
outputs           = "The exact contract integers that came out."
--- */
with near_positions as (
    select *
    from current_positions
    where distance_bps <= $within_bps
)

select
    near.chain_id,
    near.protocol,
    near.deployment,
    near.block_number,
    near.account,
    near.side || ' ' || coalesce(near.asset, nullif(market.name, ''), near.market) as market_side,
    near.position_id,
    near.margin_id,
    near.market,
    near.asset,
    near.side,
    near.size_usd,
    near.collateral_usd,
    near.leverage_bps,
    near.price,
    case
        when
            near.liquidation_above is null
            or near.price - near.liquidation_below <= near.liquidation_above - near.price
            then near.liquidation_below
        else near.liquidation_above
    end as liquidation_price,
    near.liquidation_below,
    near.liquidation_above,
    near.distance_bps,
    margin.buffer_usd,
    margin.state,
    margin.state_stored,
    near.inputs,
    near.outputs
from near_positions as near
left join current_margin_accounts as margin
    on
        near.chain_id = margin.chain_id
        and near.protocol = margin.protocol
        and near.deployment = margin.deployment
        and near.margin_id = margin.margin_id
left join current_markets as market
    on
        near.chain_id = market.chain_id
        and near.protocol = market.protocol
        and near.deployment = market.deployment
        and near.market = market.market
where coalesce(margin.state, '') <> 'liquidatable'
order by
    near.distance_bps asc,
    near.size_usd desc nulls first,
    near.chain_id asc,
    near.protocol asc,
    near.deployment asc,
    near.position_id asc
