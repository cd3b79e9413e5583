"""Templates in the database: each is stored once, logs name it by its key."""

from collections.abc import Iterable
from itertools import pairwise

import numpy as np
from duckdb import DuckDBPyConnection

from analyzer.payloads import WORD, Template


def store(connection: DuckDBPyConnection, templates: Iterable[Template]) -> None:
    """Add templates to those that are stored, within the transaction of the logs that need them."""
    wanted = {one.key: one for one in templates}
    for key in wanted.keys() - stored(connection, wanted).keys():
        template = wanted[key]
        connection.execute(
            "insert into raw_templates values (?, ?, ?)",
            [key, template.data.tobytes(), template.words.tolist()],
        )


def stored(
    connection: DuckDBPyConnection, keys: Iterable[bytes] | None = None
) -> dict[bytes, Template]:
    """The stored templates, all or those of these keys, as far as they are what they were."""
    wanted = None if keys is None else list(keys)
    if wanted == []:
        return {}
    rows = connection.execute(
        "select key, data, words from raw_templates"
        " where ($keys is null or list_contains($keys, key))"
        " and data is not null and list_count(words) = len(words)",
        {"keys": wanted},
    ).fetchall()
    found = {
        key: Template(np.frombuffer(data, np.uint8), np.array(words, np.int64))
        for key, data, words in rows
        if _makes_sense(data, words)
    }
    return {key: template for key, template in found.items() if template.key == key}


def _makes_sense(data: bytes, words: list[int]) -> bool:
    """Whether there are such words, each once and in their order."""
    ascending = all(one < other for one, other in pairwise([-1, *words]))
    return ascending and len(words) > 0 and words[-1] < len(data) // WORD and not len(data) % WORD
