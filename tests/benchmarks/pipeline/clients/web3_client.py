"""The loop that everybody writes first: web3's get_logs and process_log, then executemany."""

import json
import sys
from pathlib import Path

import duckdb
from web3 import Web3

job = json.loads(sys.argv[1])
web3 = Web3(Web3.HTTPProvider(job["url"]))
contract = web3.eth.contract(Web3.to_checksum_address(job["address"]), abi=job["abi"])
event = contract.events[job["event"]]()
database = duckdb.connect(str(Path(job["folder"]) / "events.duckdb"))
database.execute(
    "create table events (block_number bigint, log_index bigint, transaction_hash varchar,"
    " arguments varchar)"
)
for first in range(job["first"], job["last"] + 1, job["blocks"]):
    query = {
        "address": contract.address,
        "topics": [event.topic],
        "fromBlock": first,
        "toBlock": min(first + job["blocks"] - 1, job["last"]),
    }
    rows = []
    for log in web3.eth.get_logs(query):
        decoded = event.process_log(log)
        rows.append(
            (
                decoded["blockNumber"],
                decoded["logIndex"],
                decoded["transactionHash"].hex(),
                Web3.to_json(decoded["args"]),
            )
        )
    if rows:
        database.begin()
        database.executemany("insert into events values (?, ?, ?, ?)", rows)
        database.commit()
sys.stdout.write(
    json.dumps({"rows": database.execute("select count(*) from events").fetchall()[0][0]}) + "\n"
)
