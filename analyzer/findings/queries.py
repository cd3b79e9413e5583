"""Finds the query files: the shipped ones and those of a user's own folders."""

from collections.abc import Iterable, Iterator, Mapping
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Final

from analyzer.errors import AnalyzerError
from analyzer.findings.front_matter import parse
from analyzer.findings.model import SEVERITIES, Query
from analyzer.resources import resource

SUFFIX: Final = ".sql"
FINDINGS: Final = "findings"
REPORTS: Final = "reports"


def load(extra: Iterable[Path] = ()) -> dict[str, Query]:
    """Every query by name, shipped or in ``extra`` folders: the most severe findings first.

    Reports follow the findings. A user's folder holds its files directly or under ``findings`` and
    ``reports``. Raises ``AnalyzerError`` for a file that breaks the contract, for a name that is
    taken, and for a finding that escalates to what cannot take its place.
    """
    queries: dict[str, Query] = {}
    for query in _all(extra):
        if query.name in queries:
            raise AnalyzerError(
                f"{query.path}: the name `{query.name}` is taken by {queries[query.name].path}, "
                "rename the file"
            )
        queries[query.name] = query
    for query in queries.values():
        _check_history(query, queries)
    return dict(sorted(queries.items(), key=lambda item: _rank(item[1])))


def _rank(query: Query) -> int:
    return -SEVERITIES.index(query.severity) if query.severity else 1


def _check_history(query: Query, queries: Mapping[str, Query]) -> None:
    for name in query.history.escalates_to:
        graver = queries.get(name)
        if graver is None or _rank(graver) >= _rank(query):
            raise AnalyzerError(
                f"{query.path}: `escalates_to` names `{name}`, which is no graver finding"
            )
        if not set(query.history.subject) & set(graver.history.subject):
            raise AnalyzerError(
                f"{query.path}: `subject` shares no column with that of {graver.path}, which it "
                "escalates to"
            )


def _all(extra: Iterable[Path]) -> Iterator[Query]:
    shipped = list(_folder(resource("queries"), "queries"))
    if not shipped:
        raise AnalyzerError("the shipped queries are missing: install perpscope again")
    yield from shipped
    for folder in extra:
        if not folder.is_dir():
            raise AnalyzerError(f"{folder} is not a folder of query files: check --queries")
        own = list(_folder(folder, str(folder)))
        if not own:
            raise AnalyzerError(f"{folder} holds no query file (*.sql): check --queries")
        yield from own


def _folder(folder: Traversable, path: str) -> Iterator[Query]:
    yield from _files(folder, path)
    for kind in (FINDINGS, REPORTS):
        if (folder / kind).is_dir():
            for query in _files(folder / kind, f"{path}/{kind}"):
                if query.is_finding != (kind == FINDINGS):
                    cure = "give it a `severity`" if kind == FINDINGS else "remove the `severity`"
                    raise AnalyzerError(f"{query.path}: this file is in {kind}/: {cure}")
                yield query


def _files(folder: Traversable, path: str) -> Iterator[Query]:
    for file in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if file.name.endswith(SUFFIX):
            yield _read(file, f"{path}/{file.name}")


def _read(file: Traversable, path: str) -> Query:
    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise AnalyzerError(f"{path}: save the file as UTF-8 text") from None
    except OSError as error:
        raise AnalyzerError(f"{path} cannot be read ({error.strerror}): check the file") from error
    return parse(file.name.removesuffix(SUFFIX), path, text)
