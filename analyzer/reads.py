"""How protocol code asks for chain state without touching a network.

A protocol writes a generator: it yields named reads, is sent their values, may ask again, and
returns what it made of them. The same generator runs against a node, a recorded chain, or the raw
rows of a database, and gives the same result for the same answers.
"""

from collections.abc import Callable, Generator, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from analyzer.evm import Answer, Request

T = TypeVar("T")


class MalformedError(Exception):
    """Data that is not of the type it should have; what was found, in words."""


class MissingError(Exception):
    """A value that could not be had, with the reason: whatever needs it is unknown."""


@dataclass(frozen=True, slots=True)
class Read:
    """One value to be read: the request, how to decode its answer, and a name for people."""

    name: str
    request: Request
    decode: Callable[[bytes], Any]


@dataclass(frozen=True, slots=True)
class Failed:
    """A read that has no value: it reverted, was malformed, or was never made."""

    reason: str
    reverted: bool = False


class Values(dict[Hashable, Any]):
    """Values by the keys under which they were asked for; failed reads stand in as ``Failed``."""

    def need(self, key: Hashable) -> Any:
        """The value, or ``MissingError`` with the reason why there is none."""
        value = self[key]
        if isinstance(value, Failed):
            raise MissingError(value.reason)
        return value


Questions = Mapping[Any, Read]
Reads = Generator[Questions, Values, T]
"""A generator that yields questions, is sent their values and returns a ``T``."""

Answerer = Callable[[Sequence[Request]], Sequence[Answer]]


def value_of(read: Read, answer: Answer) -> Any:
    """The decoded value of an answer, or ``Failed`` with its reason."""
    if answer.error is not None:
        why = answer.error if not answer.read else f"reverted: {answer.error or 'no reason given'}"
        return Failed(f"{read.name} {why}", reverted=answer.read)
    try:
        return read.decode(answer.data)
    except MalformedError as error:
        return Failed(f"malformed: {error}")


def drive(reads: Reads[T], answer: Answerer) -> T:
    """Run a generator of reads to its end, answering each round of questions in one batch."""
    values: Values | None = None
    while True:
        try:
            questions = next(reads) if values is None else reads.send(values)
        except StopIteration as end:
            result: T = end.value
            return result
        answers = answer([read.request for read in questions.values()])
        values = Values(
            (key, value_of(read, got))
            for (key, read), got in zip(questions.items(), answers, strict=True)
        )
