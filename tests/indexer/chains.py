"""A chain in memory with GMX v1 logs, which can be reorganised, cut short and served in ranges."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256

from eth_abi import encode

from analyzer.abi import load_abi
from analyzer.errors import AnalyzerError
from analyzer.evm import Block, Log, LogBatch, LogFilter
from analyzer.payloads import Templates
from analyzer.protocol import Deployment
from analyzer.protocols.gmx_v1.contracts import Identity

VAULT = "0x" + "aa" * 20
WETH = "0x" + "ee" * 20
EVENTS = load_abi("gmx_v1", "Vault").events
UPDATE_FUNDING, INCREASE = EVENTS["UpdateFundingRate"], EVENTS["IncreasePosition"]
(UPDATE,) = (e for e in EVENTS.values() if e.name == "UpdatePosition" and len(e.fields) == 8)
DEPLOYMENT = Deployment("gmx_v1", "test", 1, 1, {"Vault": VAULT}, {"variant": "B"})


def hashed(*parts: object) -> str:
    return "0x" + sha256(repr(parts).encode()).hexdigest()


@dataclass
class Chain:
    """Blocks from 0 to ``height``; ``forks`` maps a first block to a name that changes hashes."""

    height: int = 50
    forks: dict[int, str] = field(default_factory=dict)
    step: int = 7
    asked: list[int] = field(default_factory=list)
    torn: dict[int, tuple[int, str]] = field(default_factory=dict)
    """Forks (first block and name) that happen as a range beginning at a block is read."""
    is_recorded = False
    deployments = ()
    requests = 0
    label = "memory"

    def fork(self, first: int, name: str) -> None:
        self.forks = {n: f for n, f in self.forks.items() if n < first} | {first: name}

    def hash(self, number: int) -> str:
        return hashed(number, sorted((n, f) for n, f in self.forks.items() if n <= number))

    def block(self, which) -> Block:
        number = self.height if isinstance(which, str) else which
        self.asked.append(number)
        if number > self.height:
            raise AnalyzerError(f"no block {number}")
        return Block(number, self.hash(number), self.hash(number - 1), 1_600_000_000 + number)

    def logs_of(self, number: int) -> list[Log]:
        """Nothing, a funding rate, or a position that grows; another fork has other ones."""
        digest = bytes.fromhex(self.hash(number)[2:])
        identity = Identity("0x" + "cc" * 19 + f"{digest[1] % 3:02x}", WETH, WETH, is_long=True)
        size = int.from_bytes(digest[:8])
        match digest[0] % 4:
            case 0:
                payloads = []
            case 1:
                payloads = [(UPDATE_FUNDING, (WETH, size))]
            case _:
                key = bytes.fromhex(identity.key()[2:])
                opened = (key, identity.account, WETH, WETH, size, size, True, 10**30, 5)
                after = (key, size, size, 10**30, 1, 1, 0, 10**30)
                payloads = [(INCREASE, opened), (UPDATE, after)]
        return [
            Log(
                block_number=number,
                block_hash=self.hash(number),
                tx_hash=hashed(digest, "tx"),
                tx_index=0,
                log_index=index,
                address=VAULT,
                topics=(event.topic,),
                data=encode([kind for _, kind, _ in event.fields], values),
                block_time=1_600_000_000 + number,
            )
            for index, (event, values) in enumerate(payloads)
        ]

    def logs(
        self,
        _filters: Sequence[LogFilter],
        from_block: int,
        to_block: int,
        _templates: Templates | None = None,
    ) -> Iterator[LogBatch]:
        for first in range(from_block, to_block + 1, self.step):
            last = min(first + self.step - 1, to_block)
            if first in self.torn:
                self.fork(*self.torn.pop(first))
            yield LogBatch(
                first,
                last,
                [log for number in range(first, last + 1) for log in self.logs_of(number)],
                [self.block(number) for number in sorted({first, last})],
            )
