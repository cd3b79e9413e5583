"""False answers to one state read: well-formed, plausible, and not what the chain holds."""

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

from eth_abi.grammar import parse

from analyzer.abi import Function, load_abi
from analyzer.codec import CodecError, decode, encode
from analyzer.evm import Answer, Call, Request
from analyzer.resources import resource

NOTHING, REVERT, ZERO = "no data", "revert", "zero"
NOBODY = "0x" + "de" * 20
"""An address without code, of which nothing was recorded."""


@cache
def functions(protocol: str) -> dict[bytes, tuple[str, Function]]:
    """The functions that are known of a protocol's contracts, by selector, named for people."""
    found: dict[bytes, tuple[str, Function]] = {}
    for file in sorted((resource("abis") / protocol).iterdir(), key=lambda file: file.name):
        if file.name.endswith(".json"):
            abi = load_abi(protocol, file.name.removesuffix(".json"))
            for function in abi.functions.values():
                found.setdefault(function.selector, (f"{abi.contract}.{function.name}", function))
    return found


def name_of(protocol: str, request: Request) -> str:
    """What is read, for people."""
    if isinstance(request, Call):
        return functions(protocol)[request.data[:4]][0]
    return "eth_getStorageAt"


def lies(
    protocol: str, request: Request, truth: Answer, others: Sequence[Answer] = ()
) -> dict[str, Answer]:
    """Every lie about one read, by name; ``others`` are answers to other reads of the function.

    Each value that the answer has in turn is another one, or all are zero, or there is no data, or
    a revert; a revert becomes an answer of zeros.
    """
    kinds: Sequence[str] = ("uint256",)
    if isinstance(request, Call):
        kinds = functions(protocol)[request.data[:4]][1].outputs
    found = {
        NOTHING: Answer(),
        ZERO: Answer(encode(kinds, [_zero(kind) for kind in kinds])),
    }
    if isinstance(request, Call):
        found[REVERT] = Answer(error="")
    if truth.error is None:
        known = [values for other in others if (values := _values(kinds, other)) is not None]
        for name, values in _changed(kinds, _values(kinds, truth), known):
            found[name] = Answer(encode(kinds, values))
    return {name: lie for name, lie in found.items() if lie != truth}


def _values(kinds: Sequence[str], answer: Answer) -> tuple[Any, ...] | None:
    try:
        return decode(kinds, answer.data)
    except CodecError:
        return None


def _changed(
    kinds: Sequence[str], values: Sequence[Any] | None, known: Sequence[Sequence[Any]]
) -> Iterator[tuple[str, list[Any]]]:
    """The values with one of them changed, for each of them and each way to change it."""
    for index, kind in enumerate(kinds if values is not None else ()):
        assert values is not None
        of_others = [other[index] for other in known]
        for way, value in _ways(kind, values[index], of_others):
            place = f" {index}" if len(kinds) > 1 else ""
            yield f"{way}{place}", [*values[:index], value, *values[index + 1 :]]


def _ways(kind: str, value: Any, known: Sequence[Any]) -> Iterator[tuple[str, Any]]:
    if kind.endswith("[]"):
        yield from _other_lists(kind[:-2], value)
    elif kind.startswith("("):
        members = _members(kind)
        of_others = list(zip(*known, strict=True)) or [() for _ in members]
        for index, (member, one) in enumerate(zip(members, value, strict=True)):
            for way, other in _ways(member, one, of_others[index]):
                yield f"{way} {index}", (*value[:index], other, *value[index + 1 :])
    elif kind == "address":
        yield "nobody's address", NOBODY
        another = next((one for one in known if one != value and int(one, 16)), None)
        if another is not None:
            yield "another's address", another
    else:
        yield _other_word(kind, value)


def _other_lists(kind: str, values: Sequence[Any]) -> Iterator[tuple[str, Any]]:
    """One member less, or the last one changed."""
    if not values:
        return
    yield "one member less", list(values[:-1])
    for way, last in _ways(kind, values[-1], ()):
        yield f"last member: {way}", [*values[:-1], last]


def _other_word(kind: str, value: Any) -> tuple[str, Any]:
    if kind == "bool":
        return "the other truth value", not value
    if kind == "string":
        return "another text", f"{value}X"
    if kind.startswith("bytes"):
        return "another word", value[:-1] + bytes([value[-1] ^ 1])
    return "9/8 of it", _nine_eighths(kind, value)


def _members(kind: str) -> list[str]:
    """The types in a tuple's type."""
    return [member.to_type_str() for member in parse(kind).components]


def _nine_eighths(kind: str, value: int) -> int:
    """An eighth more, or one more where that is nothing; less where there is no more."""
    bits = int(kind.removeprefix("u").removeprefix("int") or 256)
    most = 2**bits - 1 if kind.startswith("u") else 2 ** (bits - 1) - 1
    more = value + (abs(value) // 8 or 1)
    return more if more <= most else value - (value // 8)


def _zero(kind: str) -> Any:
    if kind.endswith("[]"):
        return []
    if kind.startswith("("):
        return tuple(map(_zero, _members(kind)))
    if kind == "bool":
        return False
    if kind == "address":
        return "0x" + "0" * 40
    if kind == "string":
        return ""
    return bytes(int(kind.removeprefix("bytes") or 0)) if kind.startswith("bytes") else 0
