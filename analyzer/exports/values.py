"""Cells as text: exact for programs, rounded with separators and units for people.

Neither ever uses an exponent.
"""

from datetime import datetime
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Final

from analyzer.exports.text import neutral, shortened
from analyzer.findings.model import Column, Value

NOTHING: Final = "-"
SIGNIFICANT: Final = 6
CONTEXT: Final = Context(prec=100, rounding=ROUND_HALF_EVEN)
CENT: Final = Decimal("0.01")
DURATIONS: Final = ((86_400, "d", 3_600, "h"), (3_600, "h", 60, "m"), (60, "m", 1, "s"))
DURATION_NAMES: Final = ("age_seconds", "max_age", "reference_age")
PLAIN_NAMES: Final = ("chain_id",)
UNITS: Final = {"_usd": " USD", "_bps": "", "_seconds": ""}


def exact(value: Value) -> str:
    """A cell's whole value as text; empty for null."""
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case Decimal():
            return plain(value)
        case datetime():
            return value.isoformat() + "Z"
        case _:
            return str(value)


def plain(value: Decimal) -> str:
    """Decimal notation without exponent and without trailing zeros."""
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def heading(column: Column) -> str:
    """A column's name for people: the unit, where cells do not carry one, stands behind it."""
    name = column.name.removeprefix("is_") if column.type == "BOOLEAN" else column.name
    for suffix, unit in UNITS.items():
        if name.endswith(suffix):
            return name.removesuffix(suffix).replace("_", " ") + unit
    if _is_price(column):
        return name.replace("_", " ") + " USD"
    return name.replace("_bps_", " ").replace("_", " ")


def human(column: Column, value: Value) -> str:
    """A cell for people; text from the chain is made harmless, addresses are shortened."""
    match value:
        case None:
            text = NOTHING
        case bool():
            text = "yes" if value else "no"
        case int():
            text = _whole(column.name, value)
        case Decimal():
            text = _usd(value) if column.name.endswith("_usd") else _rounded(value, SIGNIFICANT)
        case float():
            text = f"{value:,.6f}"
        case datetime():
            text = value.strftime("%Y-%m-%d %H:%M:%S")
        case _:
            text = readable(value)
    return text


def readable(text: str) -> str:
    """Text for people: made harmless, addresses and hashes shortened."""
    return shortened(neutral(text))


def is_number(column: Column) -> bool:
    """Whether the column's cells are aligned to the right and never cut."""
    return column.type not in {"VARCHAR", "JSON", "BOOLEAN", "TIMESTAMP"}


def _is_price(column: Column) -> bool:
    name = column.name
    return column.type.startswith("DECIMAL") and (
        "price" in name or name.startswith(("liquidation_", "reference_"))
    )


def _whole(name: str, value: int) -> str:
    if name in DURATION_NAMES:
        return _duration(value)
    if name in PLAIN_NAMES:
        return str(value)
    if name.endswith("_bps") or "_bps_" in name:
        if name.startswith("leverage"):
            return _hundredths(value, 100) + "x"
        return _hundredths(value, 1) + "%"
    return f"{value:,}"


def _hundredths(value: int, divisor: int) -> str:
    """``value / divisor / 100`` with two decimals, truncated."""
    whole, rest = divmod(abs(value) // divisor, 100)
    return f"{'-' if value < 0 else ''}{whole:,}.{rest:02}"


def _duration(seconds: int) -> str:
    sign, seconds = ("-" if seconds < 0 else ""), abs(seconds)
    for size, unit, small_size, small_unit in DURATIONS:
        if seconds >= size:
            large, rest = divmod(seconds, size)
            return f"{sign}{large:,}{unit} {rest // small_size:02}{small_unit}"
    return f"{sign}{seconds}s"


def _usd(value: Decimal) -> str:
    if value and abs(value) < CENT:
        return _rounded(value, 2)
    return format(value.quantize(CENT, context=CONTEXT), ",f")


def _rounded(value: Decimal, significant: int) -> str:
    """Rounded to significant digits, but never to fewer than two decimals."""
    if not value:
        return "0"
    decimals = max(2, significant - 1 - value.adjusted())
    text = format(value.quantize(Decimal(1).scaleb(-decimals), context=CONTEXT), ",f")
    whole, _, fraction = text.partition(".")
    return f"{whole}.{fraction.rstrip('0').ljust(2, '0')}"
