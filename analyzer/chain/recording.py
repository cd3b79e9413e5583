"""Recorded chains: one gzip JSON that answers like a node, and never beyond what was recorded."""

import gzip
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from analyzer.chain.interface import Tag
from analyzer.errors import AnalyzerError
from analyzer.evm import Answer, Block, Log, LogBatch, LogFilter, Request, Slot

PREFIX: Final = "recording:"
BATCH_BLOCKS: Final = 2_000


class RecordedChain:
    """A chain read from a file; latest, safe and finalized are its highest block."""

    is_recorded = True

    def __init__(self, path: Path) -> None:
        self.label = f"recording {path.name}"
        document = _load(path)
        try:
            self._chain_id = int(document["chain_id"])
            self.deployments: list[dict[str, Any]] = document.get("deployments", [])
            self._blocks = {block.number: block for block in map(_block, document["blocks"])}
            self._logs = sorted(
                map(_log, document.get("logs", ())),
                key=lambda log: (log.block_number, log.log_index),
            )
            self._answers = {_call_key(call): call for call in document.get("calls", ())}
            self._answers |= {_slot_key(slot): slot for slot in document.get("storage", ())}
            self._head = max(self._blocks)
        except (KeyError, TypeError, ValueError) as error:
            raise AnalyzerError(
                f"{path.name} is not a recorded chain ({error!r}): record it again with --record"
            ) from error

    def chain_id(self) -> int:
        """The chain id that the file names."""
        return self._chain_id

    def block(self, which: int | Tag) -> Block:
        """A recorded header."""
        number = which if isinstance(which, int) else self._head
        if number not in self._blocks:
            raise AnalyzerError(
                f"block {number} is not in the {self.label}: its highest block is {self._head}"
            )
        return self._blocks[number]

    def logs(
        self, filters: Sequence[LogFilter], from_block: int, to_block: int
    ) -> Iterator[LogBatch]:
        """The recorded logs that match, in ranges of ``BATCH_BLOCKS``."""
        for start in range(from_block, to_block + 1, BATCH_BLOCKS):
            end = min(start + BATCH_BLOCKS - 1, to_block)
            logs = [
                log
                for log in self._logs
                if start <= log.block_number <= end and any(matches(log, f) for f in filters)
            ]
            numbers = sorted({log.block_number for log in logs} & self._blocks.keys())
            yield LogBatch(start, end, logs, [self._blocks[number] for number in numbers])

    def answer(self, requests: Sequence[Request], block: Block) -> list[Answer]:
        """The recorded answers; what was not recorded is an error that names the request."""
        return [self._answer(request, block) for request in requests]

    def close(self) -> None:
        """Nothing is held open."""

    def _answer(self, request: Request, block: Block) -> Answer:
        key = _request_key(request, block.number)
        if key not in self._answers:
            raise AnalyzerError(
                f"the {self.label} does not hold {describe(request)} at block {block.number}: "
                "record the chain again with this version"
            )
        recorded = self._answers[key]
        if "error" in recorded:
            return _revert(recorded["error"])
        return Answer(bytes.fromhex(recorded["result"][2:]))


def describe(request: Request) -> str:
    """A request in words, for errors."""
    if isinstance(request, Slot):
        return f"storage slot {request.slot:#x} of {request.address}"
    sender = f" from {request.sender}" if request.sender else ""
    return f"eth_call 0x{request.data.hex()} to {request.to}{sender}"


def matches(log: Log, wanted: LogFilter) -> bool:
    """Whether a node would return this log for the filter."""
    if wanted.addresses and log.address not in wanted.addresses:
        return False
    if len(wanted.topics) > len(log.topics):
        return False
    return all(
        not accepted or topic in accepted
        for accepted, topic in zip(wanted.topics, log.topics, strict=False)
    )


def _load(path: Path) -> dict[str, Any]:
    try:
        with gzip.open(path, "rt", encoding="utf-8") as file:
            document: dict[str, Any] = json.load(file)
    except FileNotFoundError as error:
        raise AnalyzerError(f"there is no recorded chain at {path}: check the path") from error
    except (OSError, EOFError, ValueError) as error:
        raise AnalyzerError(
            f"{path.name} cannot be read as a recorded chain ({error}): it must be gzip JSON"
        ) from error
    return document


def _block(raw: dict[str, Any]) -> Block:
    bloom = raw.get("logsBloom")
    return Block(
        number=int(raw["number"], 16),
        hash=raw["hash"].lower(),
        parent_hash=raw["parentHash"].lower(),
        time=int(raw["timestamp"], 16),
        logs_bloom=bytes.fromhex(bloom[2:]) if bloom else None,
    )


def _log(raw: dict[str, Any]) -> Log:
    time = raw.get("blockTimestamp")
    return Log(
        block_number=int(raw["blockNumber"], 16),
        block_hash=raw["blockHash"].lower(),
        tx_hash=raw["transactionHash"].lower(),
        tx_index=int(raw["transactionIndex"], 16),
        log_index=int(raw["logIndex"], 16),
        address=raw["address"].lower(),
        topics=tuple(topic.lower() for topic in raw["topics"]),
        data=bytes.fromhex(raw["data"][2:]),
        block_time=int(time, 16) if time else None,
    )


def _revert(error: Any) -> Answer:
    """A recorded revert: JSON-RPC error object, or the bare message."""
    if not isinstance(error, dict):
        return Answer(error=str(error))
    data = error.get("data")
    message = str(error.get("message", "")).removeprefix("execution reverted").removeprefix(": ")
    return Answer(
        data=bytes.fromhex(data[2:]) if isinstance(data, str) and data.startswith("0x") else b"",
        error=message,
    )


def _call_key(raw: dict[str, Any]) -> tuple[Any, ...]:
    return (
        int(raw["block"], 16),
        raw["to"].lower(),
        bytes.fromhex(raw["data"][2:]),
        raw["from"].lower() if raw.get("from") else None,
    )


def _slot_key(raw: dict[str, Any]) -> tuple[Any, ...]:
    return (int(raw["block"], 16), raw["address"].lower(), int(raw["slot"], 16))


def _request_key(request: Request, block_number: int) -> tuple[Any, ...]:
    if isinstance(request, Slot):
        return (block_number, request.address, request.slot)
    return (block_number, request.to, request.data, request.sender)
