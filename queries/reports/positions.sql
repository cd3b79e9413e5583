/* ---
title    = "Open positions"
summary  = "Every open position of each deployment's newest snapshot: first the liquidatable ones, then those nearest to liquidation."
advice   = "Narrow it with `--account`, `--protocol`, `--deployment` or `--chain`."
grain    = "one row per open position"
identity = ["chain_id", "protocol", "deployment", "position_id"]
table    = ["account", "market_side", "size_usd", "liquidation_price", "distance_bps", "state"]

[columns]
chain_id            = "Chain of the deployment."
protocol            = "Protocol of the deployment."
deployment          = "Deployment that holds the position."
block_number        = "Block of the snapshot."
account             = "Owner of the position."
market_side         = "Its side and asset; for an asset that is not mapped the market's own name."
position_id         = "The position, by the contract's own key where it has one."
margin_id           = "The margin account of the position."
market              = "Market of the position."
asset               = "Canonical asset of the market; null for a market that is not mapped."
side                = "`long`, `short`, `flat` (a maker without a net size now) or `unknown` (it could not be read)."
collateral_token    = "Token of the collateral, where a position has one of its own."
size_usd            = "Size in USD."
size_tokens         = "Size in tokens, where the contract counts them."
collateral_usd      = "Collateral in USD as the contract counts it."
collateral_amount   = "Collateral in tokens, where the contract counts them."
entry_price         = "Average entry price in USD."
price               = "Price the verdict rests on, in USD."
unrealized_pnl_usd  = "Unrealised profit or loss in USD."
funding_owed_usd    = "Funding owed in USD; negative where it is due to the position."
borrowing_owed_usd  = "Borrowing fee owed in USD."
leverage_bps        = "Size over the equity of its margin account, in basis points; null where that is not positive or not known."
liquidation_kind    = "`flip`, `never`, `always` or `unknown`."
liquidation_price   = "The nearer of the two prices that liquidate the position, in USD."
liquidation_below   = "Highest price under the safe region at which it is liquidatable, in USD."
liquidation_above   = "Lowest price over the safe region at which it is liquidatable, in USD."
distance_bps        = "How far the price has to move to the nearer liquidation price, in basis points of the price, rounded down; negative where it is past it, by how much; null where no price liquidates the position, or where one is not known."
state               = "State of the margin account at execution-time inputs."
state_stored        = "State of the margin account on what the contract's own view uses now."
inputs              = "The exact contract integers that the figures rest on."
outputs             = "The exact contract integers that came out."
--- */
select
    held.chain_id,
    held.protocol,
    held.deployment,
    held.block_number,
    held.account,
    held.side || ' ' || coalesce(held.asset, nullif(market.name, ''), held.market) as market_side,
    held.position_id,
    held.margin_id,
    held.market,
    held.asset,
    held.side,
    held.collateral_token,
    held.size_usd,
    held.size_tokens,
    held.collateral_usd,
    held.collateral_amount,
    held.entry_price,
    held.price,
    held.unrealized_pnl_usd,
    held.funding_owed_usd,
    held.borrowing_owed_usd,
    held.leverage_bps,
    held.liquidation_kind,
    case
        when
            held.liquidation_above is null
            or held.price - held.liquidation_below <= held.liquidation_above - held.price
            then held.liquidation_below
        else held.liquidation_above
    end as liquidation_price,
    held.liquidation_below,
    held.liquidation_above,
    held.distance_bps,
    margin.state,
    margin.state_stored,
    held.inputs,
    held.outputs
from current_positions as held
left join current_margin_accounts as margin
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
order by
    coalesce(margin.state = 'liquidatable', false) desc,
    held.distance_bps asc nulls last,
    held.size_usd desc nulls first,
    held.chain_id asc,
    held.protocol asc,
    held.deployment asc,
    held.position_id asc
