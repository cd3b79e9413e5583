"""Where results go and in which shape, if the user did not say."""

import sys
from collections.abc import Sequence
from pathlib import Path

from analyzer.exports import format_of, write
from analyzer.findings import Finding, Result


def emit(
    results: Sequence[Result],
    format_name: str | None,
    output: Path | None,
    resolved: Sequence[Finding] = (),
) -> None:
    """Results to stdout or a file: a table for a terminal, jsonl for a pipe, else by suffix."""
    if output is not None:
        write(results, format_name or format_of(output) or "table", output, resolved)
    else:
        shape = format_name or ("table" if sys.stdout.isatty() else "jsonl")
        write(results, shape, sys.stdout, resolved)
