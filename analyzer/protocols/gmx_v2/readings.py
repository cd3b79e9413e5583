"""All values that a snapshot read, by what they are of, and the markets that they make."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from analyzer.evm import ZERO_ADDRESS, Block
from analyzer.protocol import Deployment
from analyzer.protocols.gmx_v2.releases import Release
from analyzer.protocols.gmx_v2.state import Market, MarketState, Words
from analyzer.reads import Failed, MissingError


@dataclass(slots=True)
class Readings:
    """All values of a snapshot by what they are of: ``(kind, owner, name)``."""

    deployment: Deployment
    release: Release
    block: Block
    values: dict[tuple[str, Any, str], Any] = field(default_factory=dict)
    market_keys: list[str] = field(default_factory=list)
    markets: dict[str, Market] = field(default_factory=dict)
    position_keys: list[str] = field(default_factory=list)
    _names: dict[tuple[str, Any], list[str]] = field(default_factory=dict)

    def get(self, kind: str, owner: Any, name: str) -> Any:
        """A value, or ``None`` where there is none."""
        value = self.values.get((kind, owner, name))
        return None if isinstance(value, Failed) else value

    def need(self, kind: str, owner: Any, name: str) -> Any:
        """A value, or ``MissingError`` with the reason why there is none."""
        if (kind, owner, name) not in self.values:
            raise MissingError(f"{kind} {owner} {name} was not read")
        value = self.values[kind, owner, name]
        if isinstance(value, Failed):
            raise MissingError(value.reason)
        return value

    def market_state(self, market: str) -> MarketState:
        """A market with its words; ``MissingError`` if it is not in the market list."""
        if market not in self.markets:
            if market in self.market_keys:
                raise MissingError(f"the tokens of market {market} could not be read")
            raise MissingError(f"market {market} is not in MARKET_LIST")
        words: dict[str, int] = {}
        failed: dict[str, str] = {}
        virtual = ("inventory", self.get("market", market, "VIRTUAL_TOKEN_ID"))
        for owner in (("global", ""), ("market", market), virtual):
            for name, value in self._of(owner):
                if isinstance(value, Failed):
                    failed[name] = value.reason
                else:
                    words[name] = value
        return MarketState(self.markets[market], Words(words, failed), self.release)

    def _of(self, owner: tuple[str, Any]) -> Iterator[tuple[str, Any]]:
        names = self._names.get(owner, ())
        return ((name, self.values[(*owner, name)]) for name in names)

    def take(self, values: Mapping[Any, Any]) -> None:
        """Add the values of a round."""
        for name, value in values.items():
            self.values[name] = value
            self._names.setdefault(name[:2], []).append(name[2])

    @property
    def tokens(self) -> list[str]:
        """Every token of every market, once."""
        found = dict.fromkeys(
            token
            for market in self.markets.values()
            for token in (market.index_token, market.long_token, market.short_token)
        )
        return [token for token in found if token != ZERO_ADDRESS]
