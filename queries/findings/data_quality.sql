/* ---
title    = "Data that could not be taken as it came"
severity = "medium"
summary  = "What a run quarantined or found contradictory, up to each deployment's newest snapshot: amounts that do not fit, logs that do not decode, sources that differ."
advice   = "Read `detail`; an amount that did not fit stands exact in the inputs of its row, a difference between sources means that one of them is wrong."
grain    = "one row per deployment, kind and subject"
identity = ["chain_id", "protocol", "deployment", "kind", "subject"]
table    = ["deployment", "kind", "subject", "occurrences", "detail"]

[columns]
chain_id     = "Chain of the deployment."
protocol     = "Protocol of the deployment."
deployment   = "The deployment."
block_number = "Block of the newest occurrence."
kind         = "What kind of trouble it is."
subject      = "What it is about."
occurrences  = "How often it was met."
first_block  = "Block of the oldest occurrence."
detail       = "What was found at the newest occurrence."
--- */
select
    chain_id,
    protocol,
    deployment,
    max(block_number) as block_number,
    kind,
    subject,
    count(*) as occurrences,
    min(block_number) as first_block,
    arg_max(detail, (block_number, log_index, detail)) as detail
from current_data_quality
group by chain_id, protocol, deployment, kind, subject
order by chain_id, protocol, deployment, kind, subject
