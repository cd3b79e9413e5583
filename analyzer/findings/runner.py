"""Runs a query on an open database: typed params, filters around it, an exact result."""

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Final

from analyzer.errors import AnalyzerError
from analyzer.findings.front_matter import typed
from analyzer.findings.identity import identify
from analyzer.findings.model import Column, Filters, Query, Result, Row, Value

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

EXACT_TYPES: Final = re.compile(
    r"VARCHAR|JSON|BOOLEAN|TIMESTAMP|DOUBLE|DECIMAL\(\d+,\d+\)|BIGINT|U?(INTEGER|SMALLINT|TINYINT)"
)
"""SQL types that reach every export format as they are."""
MEASURES: Final = re.compile(r"DECIMAL\(\d+,\d+\)|BIGINT|U?(INTEGER|SMALLINT|TINYINT)")
NO_FILTERS: Final = Filters()


def run(
    connection: "DuckDBPyConnection",
    query: Query,
    params: Mapping[str, Value] | None = None,
    filters: Filters = NO_FILTERS,
    *,
    now: datetime | None = None,
    limit: int | None = None,
) -> Result:
    """The query's rows in its own order, narrowed by ``filters``, at most ``limit`` of them.

    Params that are not given take their defaults; the default ``now`` is the time of the run: no
    clock is looked at here. Open the connection read only and without external access: the SQL may
    be a user's. Raises ``AnalyzerError`` naming the file if it cannot be run or breaks its
    contract.
    """
    import duckdb  # noqa: PLC0415

    check_statement(query)
    values = resolve(query, params or {}, now)
    sql, filter_values = _narrowed(query, filters)
    values |= filter_values
    try:
        head = sql if limit is None else f"select * from (\n{sql}\n) limit {int(limit) + 1}"  # noqa: S608
        answer = connection.execute(head, values)
        columns = tuple(Column(name, str(kind)) for name, kind, *_ in answer.description)
        rows: list[Row] = answer.fetchall()
        total = None
        if limit is not None and len(rows) > limit:
            counted = connection.execute(f"select count(*) from (\n{sql}\n)", values)  # noqa: S608
            ((total,),) = counted.fetchall()
    except duckdb.Error as error:
        raise AnalyzerError(f"{query.path} cannot be run: {_one_line(error)}") from error
    _check_columns(query, columns)
    kept = tuple(rows if limit is None else rows[:limit])
    special = _not_default(query, values)
    findings = identify(query, kept, special) if query.is_finding else ()
    return Result(query, columns, kept, findings, total, special)


def resolve(
    query: Query, given: Mapping[str, Value], now: datetime | None = None
) -> dict[str, Value]:
    """The value of every param, times in UTC.

    Raises ``AnalyzerError`` for a name that is none of the query's, and ``ValueError`` where the
    query asks for the time of the run and it is not given.
    """
    known = {param.name: param for param in query.params}
    for name in given:
        if name not in known:
            near = get_close_matches(name, known, n=1)
            hint = (
                f", did you mean {near[0]}?" if near else f", it has: {', '.join(known) or 'none'}"
            )
            raise AnalyzerError(f"{query.name} has no parameter {name}{hint}")
    values = {
        name: typed(param, given[name]) if name in given else param.default
        for name, param in known.items()
    }
    return {
        name: _utc(query, now) if known[name].type == "timestamp" and value == "now" else value
        for name, value in values.items()
    }


def _utc(query: Query, now: datetime | None) -> datetime:
    """The time of the run as SQL has it."""
    if now is None:
        raise ValueError(f"{query.name} asks for the time of the run")
    return now if now.tzinfo is None else now.astimezone(UTC).replace(tzinfo=None)


def _not_default(query: Query, values: Mapping[str, Value]) -> dict[str, str]:
    """The params that narrow or widen this run; the time of the run is none of them."""
    return {
        param.name: str(values[param.name])
        for param in query.params
        if param.default not in ("now", values[param.name])
    }


def check_statement(query: Query) -> None:
    """Raise ``AnalyzerError`` unless the file is one SELECT that uses exactly its params."""
    import duckdb  # noqa: PLC0415

    try:
        statements = duckdb.extract_statements(query.sql)
    except duckdb.Error as error:
        raise AnalyzerError(f"{query.path} is not valid SQL: {_one_line(error)}") from error
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
        raise AnalyzerError(f"{query.path}: write exactly one statement, a SELECT")
    used, declared = statements[0].named_parameters, {param.name for param in query.params}
    if used != declared:
        name = min(used ^ declared)
        cure = "declare it under `[params]`" if name in used else "use it or remove it"
        raise AnalyzerError(f"{query.path}: the parameter `{name}`: {cure}")


def _narrowed(query: Query, filters: Filters) -> tuple[str, dict[str, Any]]:
    conditions, values = [], {}
    for name, accepted in filters.given().items():
        if name not in query.columns:
            raise AnalyzerError(
                f"{query.name} cannot be narrowed by {name}: its rows have no such column"
            )
        conditions.append(f"list_contains($_{name}, {name})")
        values[f"_{name}"] = list(accepted)
    if not conditions:
        return query.sql, {}
    return f"select * from (\n{query.sql}\n) where {' and '.join(conditions)}", values  # noqa: S608


def _check_columns(query: Query, columns: Iterable[Column]) -> None:
    found = [column.name for column in columns]
    if found != list(query.columns):
        differing = next(
            (
                name
                for name in [*found, *query.columns]
                if (name in found) != (name in query.columns)
            ),
            None,
        )
        what = f"`{differing}` is in one of them only" if differing else "their order differs"
        raise AnalyzerError(f"{query.path}: `[columns]` and the final select differ: {what}")
    for column in columns:
        if column.name == query.history.measure and not MEASURES.fullmatch(column.type):
            raise AnalyzerError(
                f"{query.path}: the measure `{column.name}` has the type {column.type}: it must be "
                "a whole number or a decimal"
            )
        if not EXACT_TYPES.fullmatch(column.type):
            raise AnalyzerError(
                f"{query.path}: the column `{column.name}` has the type {column.type}, which does "
                "not leave exactly: cast it to bigint, decimal, varchar or timestamp"
            )


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split("\n\nLINE")[0].split())
