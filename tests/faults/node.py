"""What the node behind the proxy says: the chain's answers, within one provider's limits.

``Node.answer`` takes the view of the request: the chain as it is, some blocks behind its head, or
another branch that was replaced.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import requests

from tests.chain.server import _matches as matches
from tests.faults.faults import Query, blocks_of, range_of
from tests.faults.plan import Provider
from tests.faults.traded_chain import Branch, TradedChain
from tests.faults.wordings import Asked, Wording

Answer = dict[str, Any]
NOT_YET = {"code": -32602, "message": "block range extends beyond current head block"}


@dataclass(frozen=True, slots=True)
class Behind:
    """A view that lags: so many blocks, and whether it owns up to it when logs are asked for."""

    blocks: int
    is_silent: bool


View = Behind | Branch | None


class Refused(Exception):  # noqa: N818  an answer, not an error
    """The provider's limits refuse an eth_getLogs."""

    def __init__(self, what: str, wording: Wording, asked: Asked) -> None:
        super().__init__(what)
        self.what = what
        self.wording = wording
        self.asked = asked


class Node:
    """A chain behind a provider's limits."""

    def __init__(self, chain: TradedChain, provider: Provider) -> None:
        self.chain = chain
        self._provider = provider
        self._session = requests.Session()

    def close(self) -> None:
        """Let go of the connection."""
        self._session.close()

    def answer(self, queries: Sequence[Query], view: View) -> list[Answer]:
        """An answer for each query; one that a limit refuses alone raises ``Refused``."""
        head = self._head(view)
        asked = [_at_head(query, head) for query in queries]
        if len(asked) == 1 and asked[0]["method"] == "eth_getLogs":
            self._check_request(asked[0])
        response = self._session.post(self.chain.node.url, json=asked, timeout=60)
        answers = [
            self._seen(query, answer, view, head)
            for query, answer in zip(asked, response.json(), strict=True)
        ]
        if len(asked) == 1 and asked[0]["method"] == "eth_getLogs":
            self._check_results(asked[0], answers[0])
        return answers

    def _head(self, view: View) -> int | None:
        """The head of a view that has another one than the chain."""
        match view:
            case Behind():
                return max(0, self.chain.head() - view.blocks)
            case Branch():
                return view.head
        return None

    def _seen(self, query: Query, answer: Answer, view: View, head: int | None) -> Answer:
        """The answer as the view has it."""
        method, params = query["method"], query["params"]
        if head is None or "result" not in answer:
            return self._dressed(method, answer)
        if method == "eth_getBlockByNumber":
            number = int(params[0], 16)
            if isinstance(view, Branch) and number > view.base:
                return answer | {"result": view.headers.get(number)}
            return answer | {"result": answer["result"] if number <= head else None}
        if method == "eth_getLogs" and "blockHash" not in params[0]:
            is_beyond = int(params[0]["toBlock"], 16) > head
            if is_beyond and isinstance(view, Behind) and not view.is_silent:
                return {"jsonrpc": "2.0", "id": query["id"], "error": NOT_YET}
            kept = min(head, view.base) if isinstance(view, Branch) else head
            logs = [log for log in answer["result"] if int(log["blockNumber"], 16) <= kept]
            if isinstance(view, Branch):
                logs += _among(view.logs, query)
            return self._dressed(method, answer | {"result": logs})
        return answer

    def _dressed(self, method: str, answer: Answer) -> Answer:
        """The logs with what this provider puts into them."""
        if method != "eth_getLogs" or self._provider.times_in_logs or "result" not in answer:
            return answer
        bare = [
            {key: value for key, value in log.items() if key != "blockTimestamp"}
            for log in answer["result"]
        ]
        return answer | {"result": bare}

    def _check_request(self, query: Query) -> None:
        provider, addresses = self._provider, query["params"][0].get("address", ())
        blocks, count = blocks_of(query), 1 if isinstance(addresses, str) else len(addresses)
        if provider.max_range is not None and blocks > provider.max_range:
            asked = Asked(*range_of(query), provider.max_range)
            raise Refused("range limit", provider.range_words, asked)
        if provider.max_addresses is not None and count > provider.max_addresses:
            asked = Asked(limit=provider.max_addresses, addresses=count)
            raise Refused("address limit", provider.addresses_words, asked)

    def _check_results(self, query: Query, answer: Answer) -> None:
        limit, logs = self._provider.max_results, answer.get("result", ())
        if limit is None or len(logs) <= limit or "blockHash" in query["params"][0]:
            return
        first, last = range_of(query)
        fits = max(first, int(logs[limit]["blockNumber"], 16) - 1)
        asked = Asked(first, last, limit, fits)
        raise Refused("result limit", self._provider.results_words, asked)


def _at_head(query: Query, head: int | None) -> Query:
    """The query with the view's own head for ``latest``."""
    params = query["params"]
    if head is None or query["method"] != "eth_getBlockByNumber" or params[0] != "latest":
        return query
    return query | {"params": [hex(head), *params[1:]]}


def _among(logs: Sequence[dict[str, Any]], query: Query) -> list[dict[str, Any]]:
    """The logs of a replaced branch that a filter asks for."""
    first, last = range_of(query)
    wanted = query["params"][0]
    addresses = wanted.get("address", [])
    accepted = {a.lower() for a in ([addresses] if isinstance(addresses, str) else addresses)}
    topics = [set(t) if isinstance(t, list) else {t} if t else set()
              for t in wanted.get("topics", [])]  # fmt: skip
    return [
        log
        for log in logs
        if first <= int(log["blockNumber"], 16) <= last and matches(log, accepted, topics)
    ]
