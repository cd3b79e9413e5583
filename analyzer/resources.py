"""Where the shipped data lies: inside the wheel under ``_data``, else in the checkout."""

from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path


@cache
def resource(folder: str) -> Traversable:
    """The shipped folder ``abis``, ``queries`` or ``demo``."""
    packaged = files("analyzer") / "_data" / folder
    if packaged.is_dir():
        return packaged
    checkout = Path(__file__).resolve().parent.parent
    return checkout / ("fixtures/demo" if folder == "demo" else folder)
