"""One question for logs, split by what a provider does not take at once; each answer is checked."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import msgspec

from analyzer.chain import wire
from analyzer.chain.bulk import log_columns
from analyzer.chain.failure import SHRINKABLE, SPLITTABLE, Kind, RpcFailure
from analyzer.chain.log_checks import check_answer, matching
from analyzer.chain.rpc import Rpc
from analyzer.chain.text_layout import TextLayouts
from analyzer.evm import Log, LogFilter
from analyzer.log_columns import LogColumns
from analyzer.payloads import Templates
from analyzer.reads import MalformedError

GET_LOGS: Final = "eth_getLogs"
LEFT_TO_US: Final = SPLITTABLE | {Kind.TOO_MANY_ADDRESSES}
EVERYTHING: Final = LogFilter(())


@dataclass(frozen=True, slots=True)
class Answered:
    """One question that a node answered, and its logs: what it left out, others may not hold."""

    wanted: LogFilter
    logs: LogColumns


class LogQuery:
    """Asks one node; the number of addresses that it takes is remembered."""

    def __init__(self, rpc: Rpc) -> None:
        self._rpc = rpc
        self._max_addresses: int | None = None
        self._layouts = TextLayouts()

    def logs(
        self, wanted: LogFilter, first: int, last: int, templates: Templates | None
    ) -> list[Answered]:
        """The logs of one filter, in as many questions as the node makes necessary."""
        limit = self._max_addresses
        if limit is not None and len(wanted.addresses) > limit:
            return self._divided(_by_addresses(wanted, limit), first, last, templates)
        try:
            return [Answered(wanted, self._ask(wanted, first, last, templates))]
        except RpcFailure as failure:
            if failure.kind is Kind.TOO_MANY_ADDRESSES and len(wanted.addresses) > 1:
                count = len(wanted.addresses)
                self._max_addresses = max(
                    (n for n in failure.limits if 1 <= n < count), default=count // 2
                )
                return self.logs(wanted, first, last, templates)
            if first != last or failure.kind is not Kind.TOO_MANY_RESULTS:
                raise
            if parts := _halves(wanted):
                return self._divided(parts, first, last, templates)
            return [Answered(wanted, self._of_receipts(wanted, first))]

    def all_of_block(self, number: int, block_hash: str) -> LogColumns:
        """Every log of one block, whoever emitted it."""
        try:
            raw = self._rpc.call(GET_LOGS, [{"blockHash": block_hash}], LEFT_TO_US)
        except RpcFailure as failure:
            if failure.kind not in LEFT_TO_US:
                raise
            return self._of_receipts(EVERYTHING, number)
        logs = log_columns(raw, self._layouts)
        check_answer(logs, EVERYTHING, number, number)
        return logs

    def _divided(
        self, parts: Sequence[LogFilter], first: int, last: int, templates: Templates | None
    ) -> list[Answered]:
        return [answered for part in parts for answered in self.logs(part, first, last, templates)]

    def _ask(
        self, wanted: LogFilter, first: int, last: int, templates: Templates | None
    ) -> LogColumns:
        query: dict[str, Any] = {"fromBlock": hex(first), "toBlock": hex(last)}
        if wanted.addresses:
            several = len(wanted.addresses) > 1
            query["address"] = list(wanted.addresses) if several else wanted.addresses[0]
        if wanted.topics:
            query["topics"] = [list(accepted) or None for accepted in wanted.topics]
        final = LEFT_TO_US | SHRINKABLE if last > first else LEFT_TO_US - {Kind.TIMEOUT}
        answer = self._rpc.call(GET_LOGS, [query], final)
        logs = log_columns(answer, self._layouts, templates)
        check_answer(logs, wanted, first, last)
        return logs

    def _of_receipts(self, wanted: LogFilter, number: int) -> LogColumns:
        """The last resort for a block with more matching logs than the node returns at once."""
        raw = msgspec.json.decode(self._rpc.call("eth_getBlockReceipts", [hex(number)]))
        if not isinstance(raw, list) or not all(isinstance(receipt, dict) for receipt in raw):
            raise MalformedError("no receipts of a block")
        found: list[Log] = [log for receipt in raw for log in wire.logs(receipt.get("logs"))]
        logs = LogColumns.of(found)
        logs = logs.take(matching(logs, wanted))
        check_answer(logs, wanted, number, number)
        return logs


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
