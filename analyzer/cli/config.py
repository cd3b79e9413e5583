"""The configuration file: defaults for options, a user's own deployments, ignored findings."""

import os
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from analyzer.errors import AnalyzerError

OPTION_KEYS: Final = {
    "rpc_url": "rpc_url",
    "mainnet_rpc_url": "mainnet_rpc_url",
    "db": "db",
    "chain": "chain",
    "protocols": "protocol",
    "deployments": "deployment",
    "accounts": "account",
    "block": "block",
    "positions": "positions",
    "price_basis": "price_basis",
    "queries": "queries",
    "fail_on": "fail_on",
    "max_age": "max_age",
    "params": "param",
}
"""Keys of the file, and the option whose default each of them is."""

TABLES: Final = ("deployment", "ignore")
REPEATABLE: Final = ("rpc_url", "protocols", "deployments", "accounts", "queries")
NUMBERS: Final = ("chain", "max_age")
ONE_COMMAND: Final = {"block": "index"}
"""Options that mean something else in other commands: there ``--block`` looks back."""


@dataclass(frozen=True, slots=True)
class Ignored:
    """A finding that a user has looked at and does not want to see until it expires."""

    id: str
    reason: str
    until: str | None = None


@dataclass(frozen=True, slots=True)
class Config:
    """What the configuration file says, empty where there is none, and what every command is told.

    ``now`` is the time of the run, ``talk`` how much is to be said on stderr.
    """

    now: datetime
    path: Path | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    deployment_tables: Sequence[Mapping[str, Any]] = ()
    ignored: Sequence[Ignored] = ()
    talk: int = 0

    def default_map(self, commands: Sequence[str]) -> dict[str, Any]:
        """The file's options as click's defaults, for every command in which they mean the same."""
        return {
            command: {
                name: value
                for name, value in self.options.items()
                if ONE_COMMAND.get(name, command) == command
            }
            for command in commands
        }


def load_config(path: Path | None, now: datetime, talk: int = 0) -> Config:
    """The named file, ``./perpscope.toml``, or the user's own; an unknown key is an error."""
    chosen = path or _found()
    if chosen is None:
        return Config(now, talk=talk)
    try:
        document = tomllib.loads(chosen.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise AnalyzerError(
            f"there is no configuration file at {chosen}: check --config"
        ) from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise AnalyzerError(f"{chosen.name} is not readable TOML: {error}") from error
    return _config(chosen, document, now, talk)


def _config(path: Path, document: Mapping[str, Any], now: datetime, talk: int) -> Config:
    known = (*OPTION_KEYS, *TABLES)
    for key in document:
        if key not in known:
            raise AnalyzerError(f"{path.name} has an unknown key `{key}`: {_nearest(key, known)}")
    options = {
        OPTION_KEYS[key]: _option(path, key, value)
        for key, value in document.items()
        if key in OPTION_KEYS
    }
    tables = document.get("deployment", [])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise AnalyzerError(f"`deployment` in {path.name} must be [[deployment]] tables")
    ignored = document.get("ignore", [])
    if not isinstance(ignored, list):
        raise AnalyzerError(f"`ignore` in {path.name} must be [[ignore]] tables")
    return Config(
        now,
        path=path,
        options=options,
        deployment_tables=tables,
        ignored=[_ignored(path, table) for table in ignored],
        talk=talk,
    )


def _option(path: Path, key: str, value: Any) -> Any:
    if key == "params":
        if not isinstance(value, dict):
            raise AnalyzerError(f"`params` in {path.name} must be a table of name = value")
        return [f"{name}={one}" for name, one in value.items()]
    if key in REPEATABLE:
        return [_text(path, key, one) for one in (value if isinstance(value, list) else [value])]
    if isinstance(value, dict | list):
        raise AnalyzerError(f"`{key}` in {path.name} takes one value")
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    if key in NUMBERS and not is_whole:
        raise AnalyzerError(f"`{key}` in {path.name} takes a whole number")
    if key in NUMBERS or (key == "block" and is_whole):
        return value
    return _text(path, key, value)


def _text(path: Path, key: str, value: Any) -> str:
    if not isinstance(value, str):
        raise AnalyzerError(f"`{key}` in {path.name} takes text: write it in quotes")
    return value


def _ignored(path: Path, table: Any) -> Ignored:
    known = ("id", "reason", "until")
    if not isinstance(table, dict):
        raise AnalyzerError(f"`ignore` in {path.name} must be [[ignore]] tables")
    for key in table:
        if key not in known:
            raise AnalyzerError(
                f"[[ignore]] in {path.name} has an unknown key `{key}`: {_nearest(key, known)}"
            )
    if "id" not in table or "reason" not in table:
        raise AnalyzerError(f"[[ignore]] in {path.name} needs `id` and `reason`")
    until = table.get("until")
    return Ignored(str(table["id"]), str(table["reason"]), None if until is None else str(until))


def _nearest(key: str, known: Sequence[str]) -> str:
    from difflib import get_close_matches  # noqa: PLC0415

    close = get_close_matches(key, known, n=1)
    return f"did you mean `{close[0]}`?" if close else f"it takes {', '.join(known)}"


def _found() -> Path | None:
    home = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    for candidate in (Path("perpscope.toml"), Path(home) / "perpscope" / "perpscope.toml"):
        if candidate.is_file():
            return candidate
    return None
