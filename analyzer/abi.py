"""ABI fragments of ``abis/``: encoding reads, decoding answers and logs.

What a contract sends is hostile until it has been decoded strictly; everything that does not fit
its declared types raises ``MalformedError``, never a partial value.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from eth_hash.auto import keccak

from analyzer.codec import CodecError, decode, encode
from analyzer.errors import AnalyzerError
from analyzer.evm import Call, Log
from analyzer.reads import MalformedError, Read
from analyzer.resources import resource


@dataclass(frozen=True, slots=True)
class Function:
    """A view function of a contract."""

    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    selector: bytes

    def encode(self, *arguments: Any) -> bytes:
        """Call data; raises ``AnalyzerError`` on arguments that are not of the declared types."""
        try:
            return self.selector + encode(self.inputs, arguments)
        except CodecError as error:
            raise AnalyzerError(f"{self.name} cannot take these arguments: {error}") from error

    def decode(self, data: bytes) -> Any:
        """The single output, or the tuple of outputs; addresses come out in lower case."""
        try:
            values = decode(self.outputs, data)
        except CodecError as error:
            what = "an empty answer" if not data else f"{len(data)} bytes"
            raise MalformedError(f"{self.name} answered {what} instead of its types") from error
        return values[0] if len(values) == 1 else values


@dataclass(frozen=True, slots=True)
class Event:
    """An event of a contract; ``fields`` are (name, type, indexed) in the ABI's order."""

    name: str
    fields: tuple[tuple[str, str, bool], ...]
    topic: str

    def decode(self, log: Log) -> dict[str, Any]:
        """The event's values by name. Indexed dynamic values come out as their 32-byte hash."""
        indexed = [(name, kind) for name, kind, is_indexed in self.fields if is_indexed]
        plain = [(name, kind) for name, kind, is_indexed in self.fields if not is_indexed]
        if len(log.topics) != len(indexed) + 1:
            raise MalformedError(f"{self.name} has {len(log.topics)} topics instead of its fields")
        try:
            values = dict(
                zip((name for name, _ in plain), self._decode_data(plain, log.data), strict=True)
            )
            for (name, kind), topic in zip(indexed, log.topics[1:], strict=True):
                values[name] = decode([topic_kind(kind)], bytes.fromhex(topic[2:]))[0]
        except (CodecError, ValueError) as error:
            raise MalformedError(f"{self.name} carries data that is not of its types") from error
        return values

    @staticmethod
    def _decode_data(plain: list[tuple[str, str]], data: bytes) -> tuple[Any, ...]:
        """The values; data that goes on after them is of another event by the same name."""
        kinds = [kind for _, kind in plain]
        values = decode(kinds, data)
        is_fixed = not any(kind in ("string", "bytes") or "[" in kind for kind in kinds)
        if is_fixed and len(encode(kinds, values)) != len(data):
            raise CodecError(f"{len(data)} bytes")
        return values


def topic_kind(kind: str) -> str:
    """The type of an indexed value's topic: all but plain values are indexed as their hash."""
    return "bytes32" if kind in ("string", "bytes") or kind.endswith(("]", ")")) else kind


@dataclass(frozen=True, slots=True)
class Abi:
    """The entries of one contract's ABI that are used."""

    contract: str
    functions: Mapping[str, Function]
    events: Mapping[str, Event]

    def at(self, address: str) -> "Contract":
        """The contract deployed at an address."""
        return Contract(self, address.lower())


@dataclass(frozen=True, slots=True)
class Contract:
    """An ABI at an address: makes reads of it."""

    abi: Abi
    address: str

    def read(
        self, function: str, *arguments: Any, sender: str | None = None, is_optional: bool = False
    ) -> Read:
        """The read ``function(arguments)``, to be yielded to whoever can answer it.

        ``is_optional``: see ``Call``.
        """
        declared = self.abi.functions[function]
        return Read(
            name=f"{self.abi.contract}.{function}",
            request=Call(self.address, declared.encode(*arguments), sender, is_optional),
            decode=declared.decode,
        )


@cache
def load_abi(protocol: str, contract: str) -> Abi:
    """``abis/<protocol>/<contract>.json``; a damaged file is an error that names it."""
    path = f"abis/{protocol}/{contract}.json"
    try:
        text = (resource("abis") / protocol / f"{contract}.json").read_text(encoding="utf-8")
        entries = json.loads(text)
        return Abi(
            contract=contract,
            functions={e["name"]: _function(e) for e in entries if e["type"] == "function"},
            events={_event_key(e, entries): _event(e) for e in entries if e["type"] == "event"},
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise AnalyzerError(
            f"{path} is missing or damaged ({error!r}): reinstall perpscope or restore the file"
        ) from error


def _types(parameters: list[dict[str, Any]]) -> tuple[str, ...]:
    return tuple(_type(parameter) for parameter in parameters)


def _type(parameter: dict[str, Any]) -> str:
    """The type as signatures have it: a tuple by its components, with what makes it an array."""
    kind: str = parameter["type"]
    if not kind.startswith("tuple"):
        return kind
    return f"({','.join(_types(parameter['components']))}){kind.removeprefix('tuple')}"


def _signature(entry: dict[str, Any]) -> str:
    return f"{entry['name']}({','.join(_types(entry['inputs']))})"


def _function(entry: dict[str, Any]) -> Function:
    return Function(
        name=entry["name"],
        inputs=_types(entry["inputs"]),
        outputs=_types(entry["outputs"]),
        selector=keccak(_signature(entry).encode())[:4],
    )


def _event(entry: dict[str, Any]) -> Event:
    kinds = _types(entry["inputs"])
    return Event(
        name=entry["name"],
        fields=tuple(
            (field["name"], kind, bool(field.get("indexed")))
            for field, kind in zip(entry["inputs"], kinds, strict=True)
        ),
        topic="0x" + keccak(_signature(entry).encode()).hex(),
    )


def _event_key(entry: dict[str, Any], entries: list[dict[str, Any]]) -> str:
    """The event's name; its whole signature where the name stands for several shapes."""
    same = [e for e in entries if e["type"] == "event" and e["name"] == entry["name"]]
    return entry["name"] if len(same) == 1 else _signature(entry)
