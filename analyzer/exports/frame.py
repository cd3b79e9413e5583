"""A result as a pandas DataFrame, for notebooks; never on the way to another format."""

from typing import TYPE_CHECKING

from analyzer.findings.model import Result

if TYPE_CHECKING:
    import pandas as pd


def to_frame(result: Result) -> "pd.DataFrame":
    """The rows as Python objects: integers and decimals stay exact."""
    import pandas as pd  # noqa: PLC0415

    names = [column.name for column in result.columns]
    return pd.DataFrame(result.rows, columns=names, dtype=object)
