/* ---
title    = "Margin accounts"
summary  = "Every margin account with its equity, its requirement and the contract's verdict: first those without a figure, then the least covered; last those of which nothing is required."
advice   = "`perpscope explain` with a margin account's id shows the arithmetic."
grain    = "one row per margin account"
identity = ["chain_id", "protocol", "deployment", "margin_id"]
table    = ["deployment", "account", "equity_usd", "requirement_usd", "buffer_usd", "state", "reason"]

[columns]
chain_id         = "Chain of the deployment."
protocol         = "Protocol of the deployment."
deployment       = "Deployment that holds the margin account."
block_number     = "Block of the snapshot."
account          = "Owner of the margin account."
margin_id        = "The margin account: a position (isolated margin) or the account (cross margin)."
kind             = "Kind of margin account."
equity_usd       = "What the margin rule counts as the account's value, in USD."
requirement_usd  = "What the margin rule requires, in USD."
buffer_usd       = "Equity less requirement in USD; negative where the account falls short."
coverage_bps     = "Equity over requirement in basis points, rounded down and kept within 1e9; null without a requirement."
state            = "The margin predicate at execution-time inputs."
state_stored     = "The margin predicate on what the contract's own view uses now."
collateral_state = "The collateral rule of a vault that has one."
reason           = "Why a state is unknown, or what the protocol says more."
blocked_by       = "What would make the liquidating call itself fail now."
inputs           = "The exact contract integers that the verdict rests on."
outputs          = "The exact contract integers that came out."
--- */
with covered as (
    select
        *,
        equity_usd / nullif(requirement_usd, 0) as coverage
    from current_margin_accounts
)

select
    chain_id,
    protocol,
    deployment,
    block_number,
    account,
    margin_id,
    kind,
    equity_usd,
    requirement_usd,
    buffer_usd,
    case
        when coverage is not null
            then
                greatest(
                    least(floor(round(coverage * 10000, 6)), 1000000000), -1000000000
                )::bigint
    end as coverage_bps,
    state,
    state_stored,
    collateral_state,
    reason,
    blocked_by,
    inputs,
    outputs
from covered
order by
    (equity_usd is null or requirement_usd is null) desc,
    coalesce(coverage_bps, case when equity_usd < 0 then -1000000000 end) asc nulls last,
    chain_id asc,
    protocol asc,
    deployment asc,
    margin_id asc
