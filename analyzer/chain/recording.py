"""Recorded chains: one gzip JSON that answers like a node, and never beyond what was recorded."""

import gzip
import json
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from analyzer.chain import wire
from analyzer.chain.interface import Tag
from analyzer.chain.reverts import reverted_with
from analyzer.chain.wire import describe, matches
from analyzer.errors import AnalyzerError
from analyzer.evm import NOT_READ, Answer, Block, Call, Log, LogBatch, LogFilter, Request, Slot
from analyzer.payloads import Templates
from analyzer.reads import MalformedError

PREFIX: Final = "recording:"
BATCH_BLOCKS: Final = 2_000


class RecordedChain:
    """A chain read from a file; latest, safe and finalized are its highest block."""

    is_recorded = True
    requests = 0

    def __init__(self, path: Path) -> None:
        self.label = f"recording {path.name}"
        document = _load(path)
        try:
            self._chain_id = int(document["chain_id"])
            self.deployments: list[dict[str, Any]] = document.get("deployments", [])
            self._blocks = {block.number: block for block in map(wire.block, document["blocks"])}
            self._logs = _each_once(path, map(self._timed, map(wire.log, document.get("logs", ()))))
            self._answers = {_call_key(call): call for call in document.get("calls", ())}
            self._answers |= {_slot_key(slot): slot for slot in document.get("storage", ())}
            self._head = max(self._blocks)
        except (KeyError, TypeError, ValueError, AttributeError, MalformedError) as error:
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
        self,
        filters: Sequence[LogFilter],
        from_block: int,
        to_block: int,
        templates: Templates | None = None,
    ) -> Iterator[LogBatch]:
        """The recorded logs that match, in ranges of ``BATCH_BLOCKS``, each held as a whole."""
        del templates
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

    def _timed(self, log: Log) -> Log:
        """The log with its block's time, where the header is known and the log has none."""
        header = self._blocks.get(log.block_number)
        if log.block_time is not None or header is None:
            return log
        return replace(log, block_time=header.time)

    def _answer(self, request: Request, block: Block) -> Answer:
        key = _request_key(request, block.number)
        if key not in self._answers:
            if isinstance(request, Call) and request.is_optional:
                return NOT_READ
            raise AnalyzerError(
                f"the {self.label} does not hold {describe(request)} at block {block.number}: "
                "record the chain again with this version"
            )
        recorded = self._answers[key]
        if "error" in recorded:
            return reverted_with(recorded["error"])
        try:
            if isinstance(request, Slot):
                return Answer(wire.slot_value(recorded["result"]))
            return Answer(wire.payload(recorded["result"]))
        except (KeyError, MalformedError) as error:
            raise AnalyzerError(
                f"the {self.label} is damaged at {describe(request)}: record it again"
            ) from error


def _load(path: Path) -> dict[str, Any]:
    try:
        with gzip.open(path, "rt", encoding="utf-8") as file:
            document: dict[str, Any] = json.load(file)
    except FileNotFoundError as error:
        raise AnalyzerError(f"there is no recorded chain at {path}: check the path") from error
    except (OSError, EOFError, zlib.error, ValueError, RecursionError) as error:
        raise AnalyzerError(
            f"{path.name} cannot be read as a recorded chain ({error}): it must be gzip JSON"
        ) from error
    return document


def _each_once(path: Path, logs: Iterable[Log]) -> list[Log]:
    """The logs in chain order; a log that is there twice is one log."""
    by_place: dict[tuple[int, int], Log] = {}
    for log in logs:
        place = (log.block_number, log.log_index)
        if by_place.setdefault(place, log) != log:
            raise AnalyzerError(
                f"{path.name} holds two different logs {log.log_index} of block "
                f"{log.block_number}: it is damaged, record the chain again with --record"
            )
    return [by_place[place] for place in sorted(by_place)]


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
