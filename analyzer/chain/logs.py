"""Logs of a range of blocks: complete, in order, checked, whatever the provider's limits are."""

from collections import deque
from collections.abc import Generator, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, replace
from typing import Final

from analyzer.chain.failure import SHRINKABLE, Kind, RpcFailure
from analyzer.chain.log_checks import check_blocks, in_chain_order, timed
from analyzer.chain.log_query import GET_LOGS, LogQuery
from analyzer.chain.rpc import Rpc
from analyzer.chain.settings import Settings
from analyzer.chain.vouching import Vouching
from analyzer.chain.windows import Window
from analyzer.evm import LogBatch, LogFilter
from analyzer.payloads import Templates
from analyzer.reads import MalformedError

HELD: Final = 2
"""Batches held in memory at most, times the number of concurrent requests."""


@dataclass(frozen=True, slots=True)
class _Segment:
    """A closed range of blocks, with what is fetching its beginning, if anything is."""

    first: int
    last: int
    future: Future[LogBatch] | None = None


@dataclass(frozen=True, slots=True)
class _Wanted:
    """Logs that match any of the filters; ``templates`` are those that their data may have."""

    filters: Sequence[LogFilter]
    templates: Templates | None


class LogReader:
    """Reads logs of one node; what it learns about the node's limits stays."""

    def __init__(self, rpc: Rpc, settings: Settings, pool: Executor) -> None:
        self._rpc = rpc
        self._settings = settings
        self._pool = pool
        self._window = Window(settings.log_window, settings.max_log_window)
        self._query = LogQuery(rpc)
        self._vouching = Vouching(rpc, self._query, settings.bloom_checks)

    @property
    def head(self) -> int | None:
        """How high the chain is at least, if anybody has said so."""
        return self._vouching.head

    def saw(self, head: int) -> None:
        """The chain is at least so high: what lies far below will not be reorganised."""
        self._vouching.saw(head)

    def learnt(self, settings: Settings) -> Settings:
        """The settings with the sizes that the node has been found to take."""
        return replace(
            settings,
            log_window=self._window.size,
            max_log_window=self._window.ceiling,
            batch_size=self._rpc.batch_size,
        )

    def read(
        self,
        filters: Sequence[LogFilter],
        from_block: int,
        to_block: int,
        templates: Templates | None,
    ) -> Generator[LogBatch]:
        """Consecutive batches that cover the range; several are fetched at a time, few are held."""
        wanted = _Wanted(filters, templates)
        segments = deque([_Segment(from_block, to_block)] if from_block <= to_block else [])
        try:
            while segments:
                self._fill(segments, wanted)
                segment = segments.popleft()
                assert segment.future is not None
                batch = segment.future.result()
                if batch.to_block < segment.last:
                    segments.appendleft(_Segment(batch.to_block + 1, segment.last))
                yield batch
        finally:
            for segment in segments:
                if segment.future is not None:
                    segment.future.cancel()

    def _fill(self, segments: deque["_Segment"], wanted: "_Wanted") -> None:
        """Line up what comes next, the earliest blocks first, so that no thread waits for us."""
        for index in range(HELD * self._settings.concurrency):
            if index >= len(segments):
                break
            segment = segments[index]
            if segment.future is None:
                end = min(segment.last, segment.first + self._window.size - 1)
                future = self._pool.submit(self._beginning, wanted, segment.first, end)
                segments[index] = _Segment(segment.first, end, future)
                if end < segment.last:
                    segments.insert(index + 1, _Segment(end + 1, segment.last))

    def _beginning(self, wanted: "_Wanted", first: int, last: int) -> LogBatch:
        """As much of the range's beginning as the node gives at once."""
        while True:
            end = min(last, first + self._window.size - 1)
            try:
                batch, size = self._agreed(wanted, first, end)
            except RpcFailure as failure:
                if first == end or failure.kind not in SHRINKABLE:
                    raise
                self._window.too_large(first, end, failure)
            else:
                self._window.fits(end - first + 1, size)
                return batch

    def _agreed(self, wanted: "_Wanted", first: int, last: int) -> tuple[LogBatch, int]:
        """One batch in which logs and headers speak of the same blocks; asked again until so."""
        attempt = 1
        while True:
            try:
                return self._batch(wanted, first, last)
            except MalformedError as error:
                failure = RpcFailure(Kind.MALFORMED, GET_LOGS, str(error))
            if attempt >= self._settings.max_attempts:
                raise failure
            self._rpc.back_off(failure, attempt)
            attempt += 1

    def _batch(self, wanted: "_Wanted", first: int, last: int) -> tuple[LogBatch, int]:
        """The checked logs of a range, and their weight in bytes."""
        answers = [
            one
            for filter_ in wanted.filters
            for one in self._query.logs(filter_, first, last, wanted.templates)
        ]
        blocks = self._vouching.headers(answers, first, last)
        logs = timed(in_chain_order([answered.logs for answered in answers]), blocks)
        check_blocks(logs, blocks)
        self._vouching.check_quiet_blocks(answers, blocks)
        return LogBatch(first, last, logs, list(blocks.values())), logs.weight
