"""The digest of a range's logs as they are stored."""

from hashlib import sha256

import numpy as np

from analyzer.log_columns import LogColumns


class Digest:
    """A digest of a range's logs, as they are held: payloads by their templates.

    Each column has a SHA-256 of its own, so that logs can be added as they come: block numbers,
    places in the block, places of the transactions, numbers of topics and sizes of payloads, each
    as eight bytes, little-endian; then hashes of blocks and transactions, addresses, topics (four
    of each log), keys of templates (zeros where there is none) and payloads without what templates
    hold. The digest is the SHA-256 of these eleven.
    """

    def __init__(self) -> None:
        self._columns = [sha256() for _ in range(11)]

    def add(self, logs: LogColumns) -> None:
        """Take up the logs that follow in chain order."""
        numbers = (
            logs.block_number, logs.log_index, logs.tx_index, logs.topic_count, logs.lengths,
        )  # fmt: skip
        rows = (
            logs.block_hash, logs.tx_hash, logs.address, logs.topics, logs.payloads.keys,
            logs.payloads.data,
        )  # fmt: skip
        values = [
            *(column.astype("<i8") for column in numbers),
            *(np.ascontiguousarray(column) for column in rows),
        ]
        for running, column in zip(self._columns, values, strict=True):
            running.update(column.data)

    def hexdigest(self) -> str:
        """The digest of all logs so far."""
        return sha256(b"".join(column.digest() for column in self._columns)).hexdigest()


def digest(logs: LogColumns) -> str:
    """The digest of logs that are at hand as a whole."""
    made = Digest()
    made.add(logs)
    return made.hexdigest()
