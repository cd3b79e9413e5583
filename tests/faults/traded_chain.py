"""A chain on which traders trade, and whose newest blocks can be replaced by others."""

from dataclasses import dataclass
from random import Random
from typing import Any

from tests.contracts.anvil import BLOCK_SECONDS, Anvil
from tests.contracts.perp_v1_system import ONE, System, deploy

TRADES_PER_BLOCK = (3, 5, 2, 1)
"""Weights of 0, 1, 2 and 3 trades in a block: some blocks have no logs."""
ACCOUNTS = 16
GAS = "0x4c4b40"


@dataclass(frozen=True, slots=True)
class Move:
    """``depth`` blocks leave the chain, then ``grows`` others come; ``is_empty``: with no logs."""

    depth: int = 0
    grows: int = 0
    is_empty: bool = False


@dataclass(frozen=True, slots=True)
class Branch:
    """What a move replaced, as a node answers that has not heard of it: blocks and their logs."""

    base: int
    headers: dict[int, dict[str, Any]]
    logs: list[dict[str, Any]]

    @property
    def head(self) -> int:
        """The replaced branch's newest block."""
        return self.base + len(self.headers)


class TradedChain:
    """The published v1 contracts on an anvil, and what seeded traders do to them."""

    def __init__(self, node: Anvil, seed: int, blocks: int) -> None:
        self.node = node
        self.moves = 0
        self.highest = 0
        self._random = Random(f"chain {seed}")
        self._system: System = deploy(node, seed)
        node.rpc("anvil_setBlockTimestampInterval", BLOCK_SECONDS)
        self._first = self.head()
        self.move(Move(grows=blocks))

    def head(self) -> int:
        """The newest block's number."""
        return int(self.node.rpc("eth_blockNumber"), 16)

    def header(self, which: str) -> dict[str, Any]:
        """A block's header."""
        return self.node.rpc("eth_getBlockByNumber", which, False)

    def move(self, move: Move) -> Branch:
        """Replace and add blocks in one step; what was replaced is given back.

        The blocks of the deployment stay.
        """
        branch = self._newest(min(move.depth, self.head() - self._first))
        longer = move.grows - len(branch.headers)
        if longer < 0:
            self.node.rpc("anvil_rollback", -longer)
        elif longer:
            self.node.rpc("anvil_mine", hex(longer))
        if move.grows:
            self.node.rpc("anvil_reorg", move.grows, [] if move.is_empty else self._trades(move))
        self.moves += 1
        self.highest = max(self.highest, self.head())
        return branch

    def deployment(self, *, names_amms: bool) -> dict[str, Any]:
        """The deployment as a table of a user's configuration."""
        found = self._system.deployment()
        amms = ",".join(amm.address for amm in self._system.amms.values())
        return {
            "protocol": found.protocol,
            "name": found.name,
            "chain_id": found.chain_id,
            "start_block": found.start_block,
            "contracts": dict(found.contracts),
            "options": dict(found.options) | ({"amms": amms} if names_amms else {}),
        }

    def _trades(self, move: Move) -> list[list[Any]]:
        """Transactions, each with the new block that it belongs to, counted from 0."""
        found = []
        for index in range(move.grows):
            (count,) = self._random.choices(range(4), weights=TRADES_PER_BLOCK)
            found += [[self._trade(), index] for _ in range(count)]
        return found

    def _trade(self) -> dict[str, str]:
        """A transaction of one trader; it may be refused, and then leaves no logs."""
        system, random = self._system, self._random
        amm = random.choice(list(system.amms.values())).address
        amount = (random.randrange(20, 3_000) * ONE + random.randrange(10**6) * 10**12,)
        match random.choices(("open", "close", "add"), weights=(12, 2, 2))[0]:
            case "open":
                leverage = (random.randrange(10, 101) * ONE // 10,)
                order = ("openPosition", amm, random.randrange(2), amount, leverage, (0,))
            case "close":
                order = ("closePosition", amm, (0,))
            case _:
                order = ("addMargin", amm, amount)
        return {
            "from": random.choice(system.traders),
            "to": system.house.address,
            "data": system.house.data(*order),
            "gas": GAS,
            "gasPrice": "0x0",
        }

    def _newest(self, depth: int) -> Branch:
        """The newest blocks, as they are now."""
        head = self.head()
        base = head - depth
        headers = {number: self.header(hex(number)) for number in range(base + 1, head + 1)}
        wanted = {"fromBlock": hex(base + 1), "toBlock": hex(head)}
        logs = self.node.rpc("eth_getLogs", wanted) if depth else []
        return Branch(base, headers, logs)
