"""JSON lines: an object on each line, nothing else."""

from collections.abc import Sequence
from typing import TextIO

from analyzer.exports.flat import records
from analyzer.exports.json_values import dump
from analyzer.findings.model import Finding, Result


def write(results: Sequence[Result], resolved: Sequence[Finding], stream: TextIO) -> None:
    """Write every row of all results as an object on a line of its own."""
    stream.writelines(dump(columns, row) + "\n" for columns, row in records(results, resolved))
