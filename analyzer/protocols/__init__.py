"""The protocols, one folder each, found by themselves.

A folder that cannot be imported fails loudly: it never just disappears.
"""

from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from analyzer.protocol import Protocol


@cache
def protocols() -> dict[str, Protocol]:
    """Every protocol folder's declaration, by name."""
    found: dict[str, Protocol] = {}
    for module in iter_modules(__path__):
        if module.ispkg:
            declared = import_module(f"{__name__}.{module.name}").PROTOCOL
            if declared.name != module.name:
                raise ImportError(f"protocols/{module.name} declares the name {declared.name!r}")
            found[declared.name] = declared
    return found
