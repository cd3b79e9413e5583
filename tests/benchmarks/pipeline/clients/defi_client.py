"""web3-ethereum-defi's multi-threaded event reader into DuckDB in memory. Runs in its own venv.

Simple events are decoded with its own converters, as its documentation does; it has none for nested
tuples, so those go through its ``decode_log``.
"""

import json
import logging
import sys
from itertools import islice

import duckdb
import pyarrow as pa
from eth_defi.event_reader.conversion import (
    convert_int256_bytes_to_int,
    convert_jsonrpc_value_to_int,
    convert_uint256_hex_string_to_address,
    decode_data,
)
from eth_defi.event_reader.filter import Filter
from eth_defi.event_reader.logresult import decode_log
from eth_defi.event_reader.multithread import MultithreadEventReader
from web3 import Web3

BATCH = 20_000
SIGNED = (True, True, False, True, True, False)
WORDS = (
    "exchangedPositionSize", "exchangedPositionNotional", "fee", "openNotional", "realizedPnl",
    "sqrtPriceAfterX96",
)  # fmt: skip


def simple(log):
    words = decode_data(log["data"])
    values = {
        name: str(convert_int256_bytes_to_int(word, signed=signed))
        for name, word, signed in zip(WORDS, words, SIGNED, strict=True)
    }
    return {
        "trader": convert_uint256_hex_string_to_address(log["topics"][1]),
        "base_token": convert_uint256_hex_string_to_address(log["topics"][2]),
    } | values


def nested(log):
    arguments = decode_log(log)["args"]
    return {
        "msg_sender": arguments["msgSender"],
        "event_name": arguments["eventName"],
        "event_data": json.dumps(arguments["eventData"], default=as_text),
    }


def as_text(value):
    return value.hex() if isinstance(value, bytes) else dict(value)


def place(log):
    return {
        "block_number": convert_jsonrpc_value_to_int(log["blockNumber"]),
        "log_index": convert_jsonrpc_value_to_int(log["logIndex"]),
        "transaction_hash": log["transactionHash"],
    }


job = json.loads(sys.argv[1])
logging.disable(logging.WARNING)
web3 = Web3()
contract = web3.eth.contract(Web3.to_checksum_address(job["address"]), abi=job["abi"])
wanted = Filter.create_filter(job["address"], [contract.events[job["event"]]])
reader = MultithreadEventReader(
    job["url"], max_threads=job["threads"], max_blocks_once=job["blocks"]
)
decode = {"PositionChanged": simple, "EventLog1": nested}[job["event"]]
database = duckdb.connect()
logs = iter(reader(None, job["first"], job["last"], filter=wanted, extract_timestamps=None))
verb = "create table events as"
while rows := [place(log) | decode(log) for log in islice(logs, BATCH)]:
    batch = pa.Table.from_pylist(rows)
    database.execute(f"{verb} select * from batch")
    verb = "insert into events"
reader.close()
sys.stdout.write(
    json.dumps({"rows": database.execute("select count(*) from events").fetchone()[0]}) + "\n"
)
