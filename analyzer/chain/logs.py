"""Logs of a range of blocks: complete, in order, checked, whatever the provider's limits are."""

from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, replace
from typing import Final

import msgspec

from analyzer.chain import wire
from analyzer.chain.failure import SHRINKABLE, SPLITTABLE, Kind, RpcFailure
from analyzer.chain.headers import headers
from analyzer.chain.rpc import Rpc
from analyzer.chain.settings import Settings
from analyzer.chain.windows import Window
from analyzer.evm import Block, Log, LogBatch, LogFilter
from analyzer.reads import MalformedError

GET_LOGS: Final = "eth_getLogs"
HELD: Final = 4
"""Batches held in memory at most, times the number of concurrent requests."""
LEFT_TO_US: Final = SPLITTABLE | {Kind.TOO_MANY_ADDRESSES}


@dataclass(frozen=True, slots=True)
class _Segment:
    """A closed range of blocks, with what is fetching its beginning, if anything is."""

    first: int
    last: int
    future: Future[LogBatch] | None = None


class LogReader:
    """Reads logs of one node; what it learns about the node's limits stays."""

    def __init__(self, rpc: Rpc, settings: Settings, pool: Executor) -> None:
        self._rpc = rpc
        self._settings = settings
        self._pool = pool
        self._window = Window(settings.log_window, settings.max_log_window)
        self._max_addresses: int | None = None

    def read(
        self,
        filters: Sequence[LogFilter],
        from_block: int,
        to_block: int,
        progress: Callable[[LogBatch], None],
    ) -> Generator[LogBatch]:
        """Consecutive batches that cover the range; several are fetched at a time, few are held."""
        segments = deque([_Segment(from_block, to_block)] if from_block <= to_block else [])
        try:
            while segments:
                self._fill(segments, filters)
                segment = segments.popleft()
                assert segment.future is not None
                batch = segment.future.result()
                if batch.to_block < segment.last:
                    segments.appendleft(_Segment(batch.to_block + 1, segment.last))
                progress(batch)
                yield batch
        finally:
            for segment in segments:
                if segment.future is not None:
                    segment.future.cancel()

    def _fill(self, segments: deque["_Segment"], filters: Sequence[LogFilter]) -> None:
        """Start what may run beside what is running, the earliest blocks first."""
        running = sum(s.future is not None and not s.future.done() for s in segments)
        for index in range(HELD * self._settings.concurrency):
            if index and (index >= len(segments) or running >= self._settings.concurrency):
                break
            segment = segments[index]
            if segment.future is None:
                end = min(segment.last, segment.first + self._window.size - 1)
                future = self._pool.submit(self._beginning, filters, segment.first, end)
                segments[index] = _Segment(segment.first, end, future)
                running += 1
                if end < segment.last:
                    segments.insert(index + 1, _Segment(end + 1, segment.last))

    def _beginning(self, filters: Sequence[LogFilter], first: int, last: int) -> LogBatch:
        """As much of the range's beginning as the node gives at once."""
        while True:
            end = min(last, first + self._window.size - 1)
            try:
                batch = self._agreed(filters, first, end)
            except RpcFailure as failure:
                if first == end or failure.kind not in SHRINKABLE:
                    raise
                self._window.too_large(first, end, failure)
            else:
                self._window.fits(end - first + 1)
                return batch

    def _agreed(self, filters: Sequence[LogFilter], first: int, last: int) -> LogBatch:
        """One batch in which logs and headers speak of the same blocks; asked again until so."""
        attempt = 1
        while True:
            try:
                return self._batch(filters, first, last)
            except MalformedError as error:
                failure = RpcFailure(Kind.MALFORMED, GET_LOGS, str(error))
            if attempt >= self._settings.max_attempts:
                raise failure
            self._rpc.back_off(failure, attempt)
            attempt += 1

    def _batch(self, filters: Sequence[LogFilter], first: int, last: int) -> LogBatch:
        found: dict[tuple[int, int], Log] = {}
        for wanted in filters:
            for log in self._matching(wanted, first, last):
                if found.setdefault((log.block_number, log.log_index), log) != log:
                    raise MalformedError(f"two different logs {log.log_index} of one block")
        logs = [found[key] for key in sorted(found)]
        timeless = {log.block_number for log in logs if log.block_time is None}
        blocks = headers(self._rpc, sorted(timeless | {last}))
        by_number = {block.number: block for block in blocks}
        _check_hashes(logs, by_number)
        return LogBatch(first, last, [_timed(log, by_number) for log in logs], blocks)

    def _matching(self, wanted: LogFilter, first: int, last: int) -> list[Log]:
        """The logs of one filter, split further where even one block is too much."""
        limit = self._max_addresses
        if limit is not None and len(wanted.addresses) > limit:
            return self._divided(_by_addresses(wanted, limit), first, last)
        try:
            return self._ask(wanted, first, last)
        except RpcFailure as failure:
            if failure.kind is Kind.TOO_MANY_ADDRESSES and len(wanted.addresses) > 1:
                count = len(wanted.addresses)
                self._max_addresses = max(
                    (n for n in failure.limits if 1 <= n < count), default=count // 2
                )
                return self._matching(wanted, first, last)
            if first != last or failure.kind is not Kind.TOO_MANY_RESULTS:
                raise
            if parts := _halves(wanted):
                return self._divided(parts, first, last)
            return self._from_receipts(wanted, first)

    def _divided(self, parts: Sequence[LogFilter], first: int, last: int) -> list[Log]:
        return [log for part in parts for log in self._matching(part, first, last)]

    def _ask(self, wanted: LogFilter, first: int, last: int) -> list[Log]:
        query: dict[str, object] = {"fromBlock": hex(first), "toBlock": hex(last)}
        if wanted.addresses:
            several = len(wanted.addresses) > 1
            query["address"] = list(wanted.addresses) if several else wanted.addresses[0]
        if wanted.topics:
            query["topics"] = [list(accepted) or None for accepted in wanted.topics]
        final = LEFT_TO_US | SHRINKABLE if last > first else LEFT_TO_US - {Kind.TIMEOUT}
        raw = self._rpc.call(GET_LOGS, [query], final)
        logs = wire.logs(msgspec.json.decode(raw))
        _check_answer(logs, wanted, first, last)
        return logs

    def _from_receipts(self, wanted: LogFilter, number: int) -> list[Log]:
        """The last resort for a block with more matching logs than the node returns at once."""
        raw = msgspec.json.decode(self._rpc.call("eth_getBlockReceipts", [hex(number)]))
        if not isinstance(raw, list) or not all(isinstance(receipt, dict) for receipt in raw):
            raise MalformedError("no receipts of a block")
        logs = [log for receipt in raw for log in wire.logs(receipt.get("logs"))]
        logs = [log for log in logs if wire.matches(log, wanted)]
        _check_answer(logs, wanted, number, number)
        return logs


def _check_answer(logs: Sequence[Log], wanted: LogFilter, first: int, last: int) -> None:
    """Refuse what was not asked for: it would be stored as if it were true."""
    seen = set()
    for log in logs:
        place = (log.block_number, log.log_index)
        if not first <= log.block_number <= last:
            raise MalformedError(f"a log of block {log.block_number}, outside {first} to {last}")
        if not wire.matches(log, wanted):
            raise MalformedError(
                f"a log of block {log.block_number} that does not match the filter"
            )
        if place in seen:
            raise MalformedError(f"log {log.log_index} of block {log.block_number} twice")
        seen.add(place)


def _check_hashes(logs: Sequence[Log], by_number: dict[int, Block]) -> None:
    hashes = {number: block.hash for number, block in by_number.items()}
    for log in logs:
        if hashes.setdefault(log.block_number, log.block_hash) != log.block_hash:
            raise MalformedError(f"two hashes for block {log.block_number}")


def _timed(log: Log, by_number: dict[int, Block]) -> Log:
    if log.block_time is not None:
        return log
    return replace(log, block_time=by_number[log.block_number].time)


def _by_addresses(wanted: LogFilter, size: int) -> list[LogFilter]:
    addresses = wanted.addresses
    return [
        replace(wanted, addresses=addresses[start : start + size])
        for start in range(0, len(addresses), size)
    ]


def _halves(wanted: LogFilter) -> list[LogFilter]:
    """The filter in two that overlap in nothing; empty where it names single values only."""
    if len(wanted.addresses) > 1:
        return _by_addresses(wanted, (len(wanted.addresses) + 1) // 2)
    if not wanted.topics:
        return []
    position = max(range(len(wanted.topics)), key=lambda index: len(wanted.topics[index]))
    values = wanted.topics[position]
    if len(values) < 2:
        return []
    middle = len(values) // 2
    before, after = wanted.topics[:position], wanted.topics[position + 1 :]
    return [
        replace(wanted, topics=(*before, part, *after))
        for part in (values[:middle], values[middle:])
    ]
