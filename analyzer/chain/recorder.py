"""Writing down what a chain said, so that the same run can be made again without it."""

import contextlib
import gzip
import json
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from analyzer.chain import wire
from analyzer.chain.interface import Chain, Tag
from analyzer.errors import AnalyzerError
from analyzer.evm import Answer, Block, Log, LogBatch, LogFilter, Request, Slot
from analyzer.payloads import Templates


class Recorder:
    """A chain that is recorded to a file when it is closed.

    ``deployments`` holds what a config file's ``[[deployment]]`` tables hold. What is written names
    no host. The file appears whole or not at all: not if a range of logs was left unfinished, since
    a recording has no way to say that logs are missing.
    """

    def __init__(self, chain: Chain, path: Path) -> None:
        if not path.parent.is_dir():
            raise AnalyzerError(f"cannot record to {path}: its folder does not exist, create it")
        self.label = chain.label
        self.is_recorded = chain.is_recorded
        self.deployments: Sequence[Mapping[str, Any]] = chain.deployments
        self._chain = chain
        self._path = path
        self._chain_id: int | None = None
        self._blocks: dict[int, Block] = {}
        self._logs: dict[tuple[int, int], Log] = {}
        self._calls: dict[tuple[int, Request], Answer] = {}
        self._read_up_to = -1
        self._unfinished = 0
        self._closed = False

    @property
    def requests(self) -> int:
        """The requests of the chain that is recorded."""
        return self._chain.requests

    def chain_id(self) -> int:
        """The chain's id."""
        self._chain_id = self._chain.chain_id()
        return self._chain_id

    def block(self, which: int | Tag) -> Block:
        """A header."""
        block = self._chain.block(which)
        self._blocks[block.number] = block
        return block

    def logs(
        self,
        filters: Sequence[LogFilter],
        from_block: int,
        to_block: int,
        templates: Templates | None = None,
    ) -> Iterator[LogBatch]:
        """Logs, batch by batch."""
        self._unfinished += 1
        for batch in self._chain.logs(filters, from_block, to_block, templates):
            self._blocks.update((block.number, block) for block in batch.blocks)
            self._logs.update(((log.block_number, log.log_index), log) for log in batch.logs)
            self._read_up_to = max(self._read_up_to, batch.to_block)
            yield batch
        self._unfinished -= 1

    def answer(self, requests: Sequence[Request], block: Block) -> list[Answer]:
        """State reads."""
        answers = self._chain.answer(requests, block)
        self._blocks[block.number] = block
        self._read_up_to = max(self._read_up_to, block.number)
        self._calls.update(
            ((block.number, request), answer)
            for request, answer in zip(requests, answers, strict=True)
            if answer.read
        )
        return answers

    def close(self) -> None:
        """Write the recording, then let go of the chain."""
        if self._closed:
            return
        self._closed = True
        try:
            if not self._unfinished and self._read_up_to >= 0:
                self._write()
        finally:
            self._chain.close()

    def _write(self) -> None:
        chain_id = self._chain_id if self._chain_id is not None else self._chain.chain_id()
        if self._read_up_to not in self._blocks:
            self._blocks[self._read_up_to] = self._chain.block(self._read_up_to)
        document = {
            "chain_id": chain_id,
            "deployments": list(self.deployments),
            "blocks": [self._block(number) for number in sorted(self._blocks)
                       if number <= self._read_up_to],
            "logs": [_log(self._logs[place]) for place in sorted(self._logs)],
            "calls": [_call(number, request, answer)
                      for (number, request), answer in self._calls.items()
                      if not isinstance(request, Slot)],
            "storage": [_slot(number, request, answer)
                        for (number, request), answer in self._calls.items()
                        if isinstance(request, Slot)],
        }  # fmt: skip
        try:
            _write_whole(self._path, json.dumps(document, separators=(",", ":")).encode())
        except OSError as error:
            raise AnalyzerError(
                f"cannot record to {self._path} ({error.strerror}): free some space or name "
                "another file"
            ) from error

    def _block(self, number: int) -> dict[str, str]:
        block = self._blocks[number]
        raw = {
            "number": hex(block.number),
            "hash": block.hash,
            "parentHash": block.parent_hash,
            "timestamp": hex(block.time),
        }
        bloom = block.logs_bloom
        return raw if bloom is None else raw | {"logsBloom": "0x" + bloom.hex()}


def _log(log: Log) -> dict[str, Any]:
    raw: dict[str, Any] = {
        "address": log.address,
        "topics": list(log.topics),
        "data": "0x" + log.data.hex(),
        "blockNumber": hex(log.block_number),
        "blockHash": log.block_hash,
        "transactionHash": log.tx_hash,
        "transactionIndex": hex(log.tx_index),
        "logIndex": hex(log.log_index),
        "removed": False,
    }
    return raw if log.block_time is None else raw | {"blockTimestamp": hex(log.block_time)}


def _call(number: int, call: Any, answer: Answer) -> dict[str, Any]:
    raw: dict[str, Any] = {"block": hex(number), **wire.call_object(call)}
    if answer.error is None:
        return raw | {"result": "0x" + answer.data.hex()}
    message = f"execution reverted: {answer.error}" if answer.error else "execution reverted"
    return raw | {"error": {"code": 3, "message": message, "data": "0x" + answer.data.hex()}}


def _slot(number: int, slot: Slot, answer: Answer) -> dict[str, str]:
    return {
        "block": hex(number),
        "address": slot.address,
        "slot": f"0x{slot.slot:064x}",
        "result": "0x" + answer.data.hex(),
    }


def _write_whole(path: Path, content: bytes) -> None:
    """Compressed into a new file beside the target, which then takes its name."""
    handle, name = tempfile.mkstemp(prefix=path.name, suffix=".part", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(gzip.compress(content, mtime=0))
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        raise
