"""One JSON array, an object on each line."""

from collections.abc import Sequence
from typing import TextIO

from analyzer.exports.flat import records
from analyzer.exports.json_values import dump
from analyzer.findings.model import Finding, Result


def write(results: Sequence[Result], resolved: Sequence[Finding], stream: TextIO) -> None:
    """Write all rows of all results as objects of one array."""
    separator = "["
    for columns, row in records(results, resolved):
        stream.write(f"{separator}\n{dump(columns, row)}")
        separator = ","
    stream.write("[]\n" if separator == "[" else "\n]\n")
