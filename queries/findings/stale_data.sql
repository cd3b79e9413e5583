/* ---
title    = "Deployments without fresh, complete data"
severity = "high"
summary  = "Deployments that were never read completely, whose newest snapshot is incomplete, or whose newest complete snapshot is old: findings about them may be missing."
advice   = "Run `perpscope index` for the deployment; if it stays incomplete, `perpscope doctor` says what the node cannot do."
grain    = "one row per deployment and problem"
identity = ["chain_id", "protocol", "deployment", "problem"]
table    = ["protocol", "deployment", "problem", "block_number", "block_time", "age_seconds"]

[params]
max_age = { type = "int", default = 3600, help = "Age in seconds above which a snapshot is old." }
now     = { type = "timestamp", default = "now", help = "The time of the run, in UTC." }

[columns]
chain_id         = "Chain of the deployment."
protocol         = "Protocol of the deployment."
deployment       = "The deployment."
block_number     = "Block of the newest complete snapshot; null if there is none."
problem          = "`no snapshot`, `incomplete` (the newest one) or `old`."
block_time       = "Time of that block, in UTC."
age_seconds      = "Seconds from that block to the time of the run."
max_age          = "Age in seconds above which a snapshot is old."
incomplete_block = "Block of the newest snapshot where that one is incomplete."
--- */
with known_deployments as (
    select
        chain_id,
        protocol,
        deployment
    from deployments
    union
    select
        chain_id,
        protocol,
        deployment
    from snapshots
),

newest as (
    select
        chain_id,
        protocol,
        deployment,
        max(block_number) as block_number
    from snapshots
    group by chain_id, protocol, deployment
),

freshness as (
    select
        known.chain_id,
        known.protocol,
        known.deployment,
        complete.block_number,
        complete.block_time,
        case
            when newest.block_number > coalesce(complete.block_number, -1) then newest.block_number
        end as incomplete_block
    from known_deployments as known
    left join newest
        on
            known.chain_id = newest.chain_id
            and known.protocol = newest.protocol
            and known.deployment = newest.deployment
    left join current_snapshots as complete
        on
            known.chain_id = complete.chain_id
            and known.protocol = complete.protocol
            and known.deployment = complete.deployment
),

aged as (
    select
        *,
        date_diff('second', block_time, $now::timestamp) as age_seconds
    from freshness
),

problems as (
    select
        *,
        'no snapshot' as problem
    from aged
    where block_number is null and incomplete_block is null
    union all
    select
        *,
        'incomplete' as problem
    from aged
    where incomplete_block is not null
    union all
    select
        *,
        'old' as problem
    from aged
    where age_seconds > $max_age
)

select
    chain_id,
    protocol,
    deployment,
    block_number,
    problem,
    block_time,
    age_seconds,
    $max_age::bigint as max_age,
    incomplete_block
from problems
order by chain_id, protocol, deployment, problem
