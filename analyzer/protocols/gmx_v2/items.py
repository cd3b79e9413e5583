"""An event's items by key, as far as they are what its contract puts under that key."""

import re
from typing import Any, Final

from analyzer.reads import MalformedError

ADDRESS: Final = re.compile("0x[0-9a-f]{40}")
KINDS: Final[dict[str, type]] = {
    "account": str, "market": str, "token": str, "collateralToken": str, "provider": str,
    "positionKey": bytes, "isLong": bool,
}  # fmt: skip
"""What is no number; all text is addresses."""


class Items(dict[str, Any]):
    """One that is missing, or of another type, makes the log unreadable: ``MalformedError``."""

    def __getitem__(self, key: str) -> Any:
        if key not in self:
            raise MalformedError(f"item {key!r} is missing")
        value, kind = super().__getitem__(key), KINDS.get(key, int)
        if type(value) is not kind or (isinstance(value, str) and not ADDRESS.fullmatch(value)):
            raise MalformedError(f"item {key!r} is of another type: {str(value)[:80]!r}")
        return value

    def get(self, key: str, default: Any = None) -> Any:
        """The item, or ``default`` where there is none."""
        if key in self:
            return self[key]
        return default
