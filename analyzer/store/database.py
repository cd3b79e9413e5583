"""Opening a database file: one writer at a time, one transaction per step, clear refusals."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import duckdb
from duckdb import DuckDBPyConnection

from analyzer import __version__
from analyzer.errors import AnalyzerError
from analyzer.store.schema import (
    RAW_VERSION,
    SCHEMA_VERSION,
    STORAGE_VERSION,
    add_columns,
    create,
)

Config = dict[str, str | bool | int | float | list[str]]
PID: Final = re.compile(r"PID (\d+)")
DISK_ERRORS: Final = (
    duckdb.IOException, duckdb.TransactionException, duckdb.FatalException,
    duckdb.OutOfMemoryException,
)  # fmt: skip
WRITING: Final[Config] = {
    "checkpoint_threshold": "128MB",
    "memory_limit": "256MB",
    "threads": 1,
}
"""Settings of a writer: a longer log between checkpoints, memory that history cannot fill, and no
threads: two would each begin row groups of an insertion that neither fills."""
ROWS_TOGETHER: Final = 1 << 14
"""Rows of a group that DuckDB compresses and writes together: far fewer than it would choose, as it
keeps those of an insertion in memory, uncompressed, until a group is full or all is committed."""
CORRUPT: Final = "Corrupt database file"
"""What DuckDB says, in an error of no class of its own, of bytes that are not as it wrote them."""
INTERRUPTED: Final = "Query interrupted"
"""What it says, likewise, of a query that Ctrl-C has stopped."""
LOCKED: Final = ("Conflicting lock", "Could not set lock", "already open", "already attached")


@contextmanager
def open_for_writing(path: Path, *, oldest: int = SCHEMA_VERSION) -> Iterator[DuckDBPyConnection]:
    """The database, created where there is none. Keep this short: a writer blocks every reader.

    ``oldest`` is the first schema version that will do: less than today's only for a rebuild.
    """
    is_new = not path.exists()
    connection = _connect(path, read_only=False)
    try:
        with _in_our_words(path):
            if is_new or _is_empty(connection):
                with transaction(connection):
                    create(connection)
                    sign(connection)
            _check_version(connection, path, oldest)
            add_columns(connection)
            yield connection
    finally:
        _close(connection, path)


def sign(connection: DuckDBPyConnection) -> None:
    """Say in the file that its tables are today's."""
    connection.execute("delete from meta")
    connection.execute("insert into meta values (?, ?)", [SCHEMA_VERSION, __version__])


@contextmanager
def open_for_reading(path: Path) -> Iterator[DuckDBPyConnection]:
    """The database, read only and without access to anything else: safe for a user's own SQL."""
    if not path.exists():
        raise AnalyzerError(f"there is no database at {path}: run `perpscope index` first")
    connection = _connect(path, read_only=True)
    try:
        with _in_our_words(path):
            _check_version(connection, path, SCHEMA_VERSION)
            connection.execute("set enable_external_access = false")
            connection.execute("set lock_configuration = true")
            yield connection
    finally:
        _close(connection, path)


@contextmanager
def transaction(connection: DuckDBPyConnection) -> Iterator[None]:
    """All or nothing: an error or a kill in between leaves the file as it was."""
    connection.begin()
    try:
        yield
    except BaseException:
        with suppress(duckdb.TransactionException):  # a failed write has already ended it
            connection.rollback()
        raise
    connection.commit()


@contextmanager
def _in_our_words(path: Path) -> Iterator[None]:
    """Say what is wrong with the file; Ctrl-C stops a query as it stops all else."""
    try:
        with _interruptible():
            yield
    except duckdb.Error as error:
        if isinstance(error, DISK_ERRORS) or CORRUPT in str(error):
            raise _disk_error(path, error) from error
        raise


@contextmanager
def _interruptible() -> Iterator[None]:
    """Let Ctrl-C stop a query as it stops all else."""
    try:
        yield
    except RuntimeError as error:
        if INTERRUPTED in str(error):
            raise KeyboardInterrupt from error
        raise


def holds_data(connection: DuckDBPyConnection) -> bool:
    """Whether anything of a chain is stored: logs of some range, or a snapshot."""
    sql = "select exists(from checkpoints) or exists(from raw_snapshots)"
    return first(connection, sql) == (True,)


def first(
    connection: DuckDBPyConnection, sql: str, values: Sequence[Any] | Mapping[str, Any] = ()
) -> tuple[Any, ...] | None:
    """The first row. DuckDB refuses other work while a result is unread, so it is read whole."""
    rows = connection.execute(sql, values).fetchall()
    return rows[0] if rows else None


def _connect(path: Path, *, read_only: bool) -> DuckDBPyConnection:
    with _interruptible():
        try:
            connection = duckdb.connect(_name(path), read_only=True) if read_only else _writer(path)
        except duckdb.Error as error:
            raise _open_error(path, error) from error
        connection.execute("set timezone = 'UTC'")
        return connection


def _writer(path: Path) -> DuckDBPyConnection:
    """A connection with the file attached: only so can the size of row groups be chosen."""
    connection = duckdb.connect(config=WRITING | {"temp_directory": f"{path}.tmp"})
    name, options = _name(path).replace("'", "''"), f"row_group_size {ROWS_TOGETHER}"
    if not path.exists() or not path.stat().st_size:
        options += f", storage_version '{STORAGE_VERSION}'"
    try:
        connection.execute(f"attach '{name}' as perpscope ({options})")
        connection.execute("use perpscope")
    except BaseException:
        connection.close()
        raise
    return connection


def _name(path: Path) -> str:
    """The file as DuckDB takes it for one: it reads ``:memory:`` and ``sqlite:x`` otherwise."""
    return str(path.absolute())


def _open_error(path: Path, error: duckdb.Error) -> AnalyzerError:
    text = str(error)
    if any(wording in text for wording in LOCKED):
        holder = PID.search(text)
        process = f"process {holder[1]}" if holder else "another process"
        return AnalyzerError(f"{path.name} is in use by {process}: wait for it or stop it")
    if isinstance(error, duckdb.IOException) and "not a valid DuckDB" in text:
        return AnalyzerError(
            f"{path.name} is not a perpscope database: name another file with --db"
        )
    if "version number" in text:
        return AnalyzerError(
            f"{path.name} was written by a newer DuckDB: upgrade the duckdb package to read it"
        )
    return _disk_error(path, error)


def _disk_error(path: Path, error: Exception) -> AnalyzerError:
    reason = str(error).splitlines()[0]
    if CORRUPT in reason:
        return AnalyzerError(
            f"{path.name} is damaged, its bytes are not those that were written: take a copy of "
            "it from elsewhere, or run `perpscope index --db NEW`"
        )
    return AnalyzerError(
        f"{path.name} cannot be read or written ({reason}): check the path, its permissions and "
        "the free space; nothing already stored was lost"
    )


def _close(connection: DuckDBPyConnection, path: Path) -> None:
    try:
        connection.close()
    except duckdb.Error as error:
        raise _disk_error(path, error) from error


def _is_empty(connection: DuckDBPyConnection) -> bool:
    return first(connection, "select count(*) from duckdb_tables()") == (0,)


def _check_version(connection: DuckDBPyConnection, path: Path, oldest: int) -> None:
    try:
        row = first(connection, "select schema_version, written_by from meta")
    except duckdb.CatalogException as error:
        raise AnalyzerError(
            f"{path.name} is a DuckDB file but not a perpscope database: name another with --db"
        ) from error
    if row is None or row[0] < RAW_VERSION:
        raise AnalyzerError(
            f"{path.name} was written by an earlier perpscope, whose raw rows are others: index "
            "into a new file with --db"
        )
    if row[0] < oldest:
        raise AnalyzerError(
            f"{path.name} was written by an earlier perpscope, whose columns meant other things: "
            "run `perpscope index --rebuild` on it, which needs no node"
        )
    if row[0] > SCHEMA_VERSION:
        raise AnalyzerError(
            f"{path.name} was written by perpscope {row[1]} with a newer schema ({row[0]}, this "
            f"version knows {SCHEMA_VERSION}): upgrade perpscope or name another file with --db"
        )
