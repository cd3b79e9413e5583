"""A node as a chain: what it says, checked, or one sentence about why it does not."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from typing import Final, TypeVar

import msgspec

from analyzer.chain import wire
from analyzer.chain.apart import LogProcesses, can_read_apart
from analyzer.chain.dial import connect
from analyzer.chain.failure import Kind, NodeError, RpcFailure, sentence
from analyzer.chain.headers import METHOD, header_in, headers
from analyzer.chain.hiding import Hider, host_label
from analyzer.chain.interface import Tag
from analyzer.chain.logs import LogReader
from analyzer.chain.pool import DaemonPool
from analyzer.chain.replies import UNREADABLE
from analyzer.chain.rpc import Rpc
from analyzer.chain.settings import Progress, Settings
from analyzer.chain.state import StateReader
from analyzer.chain.transport import Transport
from analyzer.evm import Answer, Block, LogBatch, LogFilter, Request
from analyzer.payloads import Templates
from analyzer.reads import MalformedError

T = TypeVar("T")
Report = Callable[[Progress], None]
LONG: Final = 64
"""From so many ranges of the first size on, logs are read by a process of its own."""
BEGINNING: Final = 2
"""So many ranges are read here first, while the process starts: what the node takes at once, and
what payloads have in common, is known by then."""


class NodeChain:
    """A chain behind one RPC URL."""

    is_recorded = False
    deployments = ()

    def __init__(
        self,
        transport: Transport,
        label: str,
        hider: Hider,
        settings: Settings,
        progress: Report | None = None,
        url: str | None = None,
    ) -> None:
        self.label = label
        self._report = progress or (lambda _: None)
        self._settings = settings
        self._rpc = Rpc(transport, hider, settings, self._note)
        self._pool = DaemonPool(settings.concurrency)
        self._logs = LogReader(self._rpc, settings, self._pool)
        self._state = StateReader(self._rpc, label, settings, self._pool)
        self._apart = None if url is None else LogProcesses(url, label, self._say)
        self._chain_id: int | None = None

    @property
    def requests(self) -> int:
        """How many requests were sent; a batch is one."""
        return self._rpc.requests + (self._apart.requests if self._apart else 0)

    def chain_id(self) -> int:
        """The chain id that the node names; asked once."""
        if self._chain_id is None:
            raw = self._plainly(lambda: self._rpc.call("eth_chainId", []), "its chain id")
            self._chain_id = self._plainly(
                lambda: wire.quantity(msgspec.json.decode(raw), "a chain id"), "its chain id"
            )
        return self._chain_id

    def block(self, which: int | Tag) -> Block:
        """A header; a block that the node has not, or a tag that it does not know, is an error."""
        if isinstance(which, int):
            found = self._plainly(lambda: headers(self._rpc, [which])[0], f"block {which}")
        else:
            found = self._tagged(which)
        self._logs.saw(found.number)
        return found

    def logs(
        self,
        filters: Sequence[LogFilter],
        from_block: int,
        to_block: int,
        templates: Templates | None = None,
    ) -> Iterator[LogBatch]:
        """Logs in adaptive ranges; see ``Chain.logs``."""
        total, done, logs = to_block - from_block + 1, 0, 0
        for batch in self._batches(filters, from_block, to_block, templates):
            done += batch.to_block - batch.from_block + 1
            logs += len(batch.logs)
            self._report(Progress("logs", done, total, self.requests, logs))
            yield batch

    def is_known(self, head: int) -> None:
        """Take it from another process that the node answers, and that its chain is so high."""
        self._rpc.has_answered = True
        self._logs.saw(head)

    def answer(self, requests: Sequence[Request], block: Block) -> list[Answer]:
        """State reads at one block; see ``Chain.answer``."""
        answered = 0

        def done(count: int) -> None:
            nonlocal answered
            answered += count
            self._report(Progress("state", answered, len(requests), self.requests))

        what = f"the state of block {block.number}"
        return self._plainly(lambda: self._state.answer(requests, block, done), what)

    def close(self) -> None:
        """Stop what is under way and let go of the connection."""
        if self._apart is not None:
            self._apart.close()
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._rpc.close()
        self._pool.shutdown()

    def _batches(
        self,
        filters: Sequence[LogFilter],
        from_block: int,
        to_block: int,
        templates: Templates | None,
    ) -> Iterator[LogBatch]:
        """Those of a long range by a process, but for the beginning, while it starts."""
        window = self._settings.log_window
        if self._apart is None or to_block - from_block + 1 < LONG * window:
            yield from self._read(filters, from_block, to_block, templates)
            return
        begun = from_block + BEGINNING * window
        with self._apart.started() as read:
            yield from self._read(filters, from_block, begun - 1, templates)
            if read is None:
                yield from self._read(filters, begun, to_block, templates)
            else:
                learnt = self._logs.learnt(self._settings)
                yield from read(learnt, self._head(), filters, begun, to_block, templates)

    def _read(
        self,
        filters: Sequence[LogFilter],
        from_block: int,
        to_block: int,
        templates: Templates | None,
    ) -> Iterator[LogBatch]:
        if from_block <= to_block:
            self._head()
        what = f"logs of blocks {from_block} to {to_block}"
        batches = self._logs.read(filters, from_block, to_block, templates)
        with closing(batches):
            while (batch := self._plainly(lambda: next(batches, None), what)) is not None:
                yield batch

    def _head(self) -> int:
        """How high the chain is at least; asked where nobody has said so yet."""
        head = self._logs.head
        return self.block("latest").number if head is None else head

    def _tagged(self, tag: Tag) -> Block:
        advice = f"{self.label} does not know its {tag} block"
        cure = "use --block latest or a block number, or another RPC URL"
        final = frozenset(Kind) - {Kind.RATE_LIMIT, Kind.TIMEOUT, Kind.UNREACHABLE, Kind.MALFORMED}
        try:
            block = header_in(
                self._rpc.call(METHOD, [tag, False], final if tag != "latest" else frozenset())
            )
        except MalformedError as error:
            raise self._malformed(error, f"the {tag} block") from None
        except RpcFailure as failure:
            foreign = {Kind.HEADER_LAG, Kind.INVALID_PARAMS, Kind.UNKNOWN, Kind.METHOD_DISABLED}
            if tag != "latest" and failure.kind in foreign:
                raise NodeError(f"{advice} ({failure.detail})", cure) from None
            raise sentence(failure, self.label, f"the {tag} block") from None
        if block is None:
            raise NodeError(advice, cure)
        return block

    def _plainly(self, work: Callable[[], T], what: str) -> T:
        """Run, and turn what went wrong into a sentence that names the node and the thing asked."""
        try:
            return work()
        except RpcFailure as failure:
            error = sentence(failure, self.label, what)
        except (MalformedError, *UNREADABLE) as malformed:
            error = self._malformed(malformed, what)
        raise error

    def _malformed(self, error: Exception, what: str) -> NodeError:
        return sentence(RpcFailure(Kind.MALFORMED, what, str(error)), self.label, what)

    def _note(self, text: str) -> None:
        self._say(f"{self.label} {text}")

    def _say(self, note: str) -> None:
        self._report(Progress("wait", 0, 0, self.requests, note=note))


def open_node(
    url: str,
    settings: Settings,
    progress: Report | None = None,
    label: str | None = None,
    *,
    is_apart: bool = False,
) -> NodeChain:
    """The chain behind an RPC URL or an IPC path; named by its host unless ``label`` is given.

    ``is_apart`` is true in a process that was started to read logs: it starts no other.
    """
    name = label or host_label(url)
    starts = not is_apart and can_read_apart(settings)
    return NodeChain(
        connect(url, settings), name, Hider(url), settings, progress, url if starts else None
    )
