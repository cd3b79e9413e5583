/* ---
title    = "Deployments without fresh, complete data"
severity = "high"
summary  = "Deployments that were never read, whose newest snapshot is incomplete, or whose answering snapshots are old: findings about them may be missing."
advice   = "Run `perpscope index` for the deployment; if it stays incomplete, `unbalanced`, `unknown_state` and `data_quality` say what is missing, and `--complete` goes back to the last whole snapshot."
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
block_number     = "Block of the oldest snapshot that still answers for some account; null if there is none."
problem          = "`no snapshot`, `incomplete` (one that answers) or `old`."
block_time       = "Time of that block, in UTC."
age_seconds      = "Seconds from that block to the time of the run."
max_age          = "Age in seconds above which a snapshot is old."
incomplete_block = "Block of the newest snapshot that answers and is incomplete."
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

answering as (
    select
        chain_id,
        protocol,
        deployment,
        min(block_number) as block_number,
        min(block_time) as block_time,
        max(block_number) filter (where not complete) as incomplete_block
    from current_snapshots
    group by chain_id, protocol, deployment
),

freshness as (
    select
        known.chain_id,
        known.protocol,
        known.deployment,
        answering.block_number,
        answering.block_time,
        answering.incomplete_block
    from known_deployments as known
    left join answering
        on
            known.chain_id = answering.chain_id
            and known.protocol = answering.protocol
            and known.deployment = answering.deployment
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
    where block_number is null
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
