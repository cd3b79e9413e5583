"""Values as rows carry them."""

from typing import Any

from analyzer.reads import Failed


def shown(value: Any) -> Any:
    """A value for ``inputs`` and ``outputs``: what has none says why."""
    if isinstance(value, Failed):
        return {"revert" if value.reverted else "unknown": value.reason}
    return value


def amount(value: Any) -> int | None:
    """A value for a column: none where it is not known."""
    return None if isinstance(value, Failed) else value
