"""One way out for every format: to a stream that may close early, or whole into a file."""

import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from io import BytesIO
from pathlib import Path
from typing import IO, Any, BinaryIO, Final, TextIO

from analyzer.errors import AnalyzerError
from analyzer.findings.model import Finding, Result

FORMATS: Final = {
    "table": "table",
    "json": "json_text",
    "jsonl": "json_lines",
    "csv": "delimited",
    "markdown": "markdown",
    "parquet": "parquet",
    "sarif": "sarif",
}
"""The module behind each format."""

BINARY: Final = {"parquet"}
SUFFIXES: Final = {
    ".txt": "table",
    ".json": "json",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".md": "markdown",
    ".markdown": "markdown",
    ".parquet": "parquet",
    ".sarif": "sarif",
}


def write(
    results: Sequence[Result],
    format_name: str,
    target: TextIO | Path,
    resolved: Sequence[Finding] = (),
) -> None:
    """Write results, and findings that are resolved or stand as others now, in one format.

    A file appears whole or not at all; a reader that closes the pipe has had enough. Raises
    ``AnalyzerError`` where the target cannot be written or the format cannot hold the results.
    """
    module = import_module(f"analyzer.exports.{FORMATS[format_name]}")
    binary = format_name in BINARY
    if isinstance(target, Path):
        with _file(target, binary=binary) as stream:
            module.write(results, resolved, stream)
        return
    try:
        if binary:
            _binary(target, results, resolved, module)
        else:
            module.write(results, resolved, target)
        target.flush()
    except BrokenPipeError:
        _silence(target)
    except OSError as error:
        raise AnalyzerError(f"the output cannot be written ({error.strerror})") from error


def format_of(path: Path) -> str | None:
    """The format that a file's suffix stands for, if any."""
    return SUFFIXES.get(path.suffix.lower())


def _binary(
    target: TextIO, results: Sequence[Result], resolved: Sequence[Finding], module: Any
) -> None:
    if target.isatty():
        raise AnalyzerError("parquet is not for a terminal: name a file with -o")
    whole = BytesIO()
    module.write(results, resolved, whole)
    buffer: BinaryIO = target.buffer
    buffer.write(whole.getvalue())
    buffer.flush()


@contextmanager
def _file(target: Path, *, binary: bool) -> Iterator[IO[Any]]:
    """A file beside the target that takes its place at the end; a device is written directly."""
    mode, text = ("b", {}) if binary else ("", {"encoding": "utf-8", "newline": "\n"})
    try:
        if target.exists() and not target.is_file():
            with target.open(f"w{mode}", **text) as stream:  # type: ignore[call-overload]
                yield stream
            return
        final = target.resolve()
        beside = final.with_name(f".{final.name}.{secrets.token_hex(4)}.tmp")
        try:
            with beside.open(f"x{mode}", **text) as stream:  # type: ignore[call-overload]
                yield stream
                stream.flush()
                os.fsync(stream.fileno())
            beside.replace(final)
        finally:
            beside.unlink(missing_ok=True)
    except OSError as error:
        raise AnalyzerError(
            f"{target} cannot be written ({error.strerror}): check that the folder exists, its "
            "permissions and the free space"
        ) from error


def _silence(stream: TextIO) -> None:
    """Point a closed pipe at nothing, so that what is still buffered fails nobody at exit."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, stream.fileno())
    finally:
        os.close(nowhere)
