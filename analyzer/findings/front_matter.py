"""The contract of a query file: its TOML front matter, checked clause by clause.

A file that breaks a clause is refused with one sentence that names the file and the clause.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from analyzer.errors import AnalyzerError
from analyzer.findings.model import AT, SEVERITIES, SEVERITY, History, Param, Query, Value

OPENING: Final = "/* ---\n"
CLOSING: Final = "\n--- */\n"
NAME: Final = re.compile(r"[a-z][a-z0-9_]*")
TEXTS: Final = ("title", "summary", "advice", "grain")
KEYS: Final = {*TEXTS, "severity", "identity", "table", "history", "params", "columns"}
HISTORY_KEYS: Final = {"subject", "measure", "worse", "escalates_to"}
WORSE: Final = ("lower", "higher")
PARAM_KEYS: Final = {"type", "default", "help"}
PARAM_TYPES: Final[dict[str, type]] = {
    "int": int,
    "text": str,
    "bool": bool,
    "decimal": str,
    "timestamp": str,
}
"""Types of a param, with the TOML type of its default; decimals are written as exact text."""
RESERVED: Final = ("id", "query", "severity", "title", "status", "cause")
"""What exports say about a finding, beside its columns; a finding's row may say its severity."""
BOOLEANS: Final = {"true": True, "false": False}


def parse(name: str, path: str, text: str) -> Query:
    """A query from the text of its file; ``path`` is what errors call it."""
    if not NAME.fullmatch(name):
        raise AnalyzerError(
            f"{path}: name the file in lower case with underscores, as in `a_b.sql`"
        )
    head, sql = _split(path, text)
    matter = _toml(path, head)
    _known(path, "the front matter", matter, KEYS)
    title, summary, advice, grain = (_text(path, matter, key) for key in TEXTS)
    severity = _severity(path, matter)
    columns = _columns(path, matter, severity)
    return Query(
        name=name,
        path=path,
        sql=sql,
        title=title,
        severity=severity,
        summary=summary,
        advice=advice,
        grain=grain,
        identity=_names(path, matter, "identity", columns),
        params=_params(path, matter),
        columns=columns,
        table=_names(path, matter, "table", columns) if "table" in matter else tuple(columns),
        history=_history(path, matter, severity, columns),
    )


def typed(param: Param, value: str | Value) -> Value:
    """A param's value from text (or its own type); raises ``AnalyzerError`` if it does not fit."""
    try:
        return _typed(param.type, value)
    except (ValueError, KeyError, InvalidOperation):
        raise AnalyzerError(
            f"the parameter {param.name} takes a value of type {param.type}, not {str(value)!r}"
        ) from None


def _typed(kind: str, value: str | Value) -> Value:
    text = str(value)
    match kind:
        case "int":
            return int(text)
        case "bool":
            return BOOLEANS[text.lower()]
        case "decimal":
            number = Decimal(text)
            if not number.is_finite():
                raise ValueError(text)
            return number
        case "timestamp":
            if text == "now":
                return text
            moment = datetime.fromisoformat(text)
            return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment
        case _:
            return text


def _split(path: str, text: str) -> tuple[str, str]:
    if not text.startswith(OPENING):
        raise AnalyzerError(f"{path}: start the file with the front matter, a line `/* ---`")
    head, closing, sql = text.removeprefix(OPENING).partition(CLOSING)
    if not closing:
        raise AnalyzerError(f"{path}: end the front matter with a line `--- */`")
    sql = sql.strip().removesuffix(";").rstrip()
    if not sql:
        raise AnalyzerError(f"{path}: write one SELECT under the front matter")
    return head, sql


def _toml(path: str, head: str) -> dict[str, Any]:
    try:
        return tomllib.loads(head)
    except tomllib.TOMLDecodeError as error:
        raise AnalyzerError(f"{path}: the front matter is not valid TOML ({error})") from None


def _known(path: str, place: str, matter: Mapping[str, Any], keys: set[str]) -> None:
    unknown = sorted(matter.keys() - keys)
    if unknown:
        raise AnalyzerError(
            f"{path}: {place} has an unknown key `{unknown[0]}`, use {', '.join(sorted(keys))}"
        )


def _plain(path: str, name: str) -> None:
    if not NAME.fullmatch(name):
        raise AnalyzerError(f"{path}: write the name {name!r} in lower case with underscores")


def _text(path: str, matter: Mapping[str, Any], key: str) -> str:
    value = matter.get(key)
    if not isinstance(value, str) or not value.strip() or "\n" in value:
        raise AnalyzerError(f"{path}: give `{key}` as one line of text")
    return value


def _severity(path: str, matter: Mapping[str, Any]) -> str | None:
    severity = matter.get("severity")
    if severity is None or severity in SEVERITIES:
        return severity
    raise AnalyzerError(f"{path}: `severity` is one of {', '.join(SEVERITIES)}, not {severity!r}")


def _columns(path: str, matter: Mapping[str, Any], severity: str | None) -> dict[str, str]:
    columns = matter.get("columns")
    if not isinstance(columns, dict) or not columns:
        raise AnalyzerError(f"{path}: describe every column of the result under `[columns]`")
    for name in columns:
        _plain(path, name)
        _text(path, columns, name)
        if name in RESERVED and not (severity and name == SEVERITY):
            raise AnalyzerError(
                f"{path}: rename the column `{name}`, exports use the name themselves"
            )
    missing = [name for name in AT if name not in columns]
    if severity and missing:
        raise AnalyzerError(f"{path}: a finding says where it is: add the column `{missing[0]}`")
    return columns


def _names(
    path: str, matter: Mapping[str, Any], key: str, columns: Mapping[str, str]
) -> tuple[str, ...]:
    names = matter.get(key)
    if not isinstance(names, list) or not names or len(set(map(str, names))) < len(names):
        raise AnalyzerError(f"{path}: give `{key}` as a list of different columns")
    strangers = [str(name) for name in names if str(name) not in columns]
    if strangers:
        raise AnalyzerError(f"{path}: `{key}` names `{strangers[0]}`, which is not in `[columns]`")
    return tuple(names)


def _history(
    path: str, matter: Mapping[str, Any], severity: str | None, columns: Mapping[str, str]
) -> History:
    declared = matter.get("history")
    if declared is None:
        return History()
    if not isinstance(declared, dict) or severity is None:
        raise AnalyzerError(f"{path}: write `[history]` as a TOML table, for a finding")
    _known(path, "`[history]`", declared, HISTORY_KEYS)
    measure, worse = declared.get("measure"), declared.get("worse")
    if (measure is None) != (worse is None) or worse not in (None, *WORSE):
        raise AnalyzerError(f"{path}: `measure` needs `worse`, which is one of {', '.join(WORSE)}")
    if measure is not None and measure not in columns:
        raise AnalyzerError(f"{path}: `measure` names `{measure}`, which is not in `[columns]`")
    graver = declared.get("escalates_to", [])
    if not isinstance(graver, list) or not all(isinstance(name, str) for name in graver):
        raise AnalyzerError(f"{path}: give `escalates_to` as a list of graver findings")
    if graver and "subject" not in declared:
        raise AnalyzerError(f"{path}: `escalates_to` needs `subject`, which both findings name")
    subject = _names(path, declared, "subject", columns) if "subject" in declared else ()
    return History(subject, measure, worse, tuple(graver))


def _params(path: str, matter: Mapping[str, Any]) -> tuple[Param, ...]:
    declared = matter.get("params", {})
    if not isinstance(declared, dict):
        raise AnalyzerError(f"{path}: write `[params]` as a TOML table")
    return tuple(_param(path, name, spec) for name, spec in declared.items())


def _param(path: str, name: str, spec: Any) -> Param:
    _plain(path, name)
    place = f"the parameter `{name}`"
    if not isinstance(spec, dict) or set(spec) != PARAM_KEYS:
        raise AnalyzerError(f"{path}: {place} needs exactly type, default and help")
    kind, default = str(spec["type"]), spec["default"]
    written = PARAM_TYPES.get(kind)
    if written is None:
        raise AnalyzerError(f"{path}: the type of {place} is one of {', '.join(PARAM_TYPES)}")
    param = Param(name, kind, default, _text(path, spec, "help"))
    try:
        if type(param.default) is written:
            return replace(param, default=typed(param, param.default))
    except AnalyzerError:
        pass
    form = "text" if written is str else written.__name__
    raise AnalyzerError(f"{path}: the default of {place} is no {kind} (written as TOML {form})")
