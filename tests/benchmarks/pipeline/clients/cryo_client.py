"""cryo, as its documentation has it, over the Python package that ships it. Runs in its own venv.

Its runtime's threads outlive the interpreter and now and then abort it on the way out, so the
process ends without that way.
"""

import json
import os
import sys

import cryo

job = json.loads(sys.argv[1])
options = {"inner_request_size": job["blocks"], "chunk_size": job["blocks"]}
if job["signature"]:
    options["event_signature"] = job["signature"]
if job["numbers"]:
    options["u256_types"] = job["numbers"]
cryo.freeze(
    "logs",
    blocks=[f"{job['first']}:{job['last'] + 1}"],
    rpc=job["url"],
    contract=[job["address"]],
    output_dir=job["folder"],
    verbose=False,
    **options,
)
sys.stdout.flush()
os._exit(0)
