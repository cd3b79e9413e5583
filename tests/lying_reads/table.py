"""What became of many lies, function by function, for people."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.lying_reads.sweep import FOUND, MISSED, NOTHING, REFUSED, UNKNOWN, Told

PAGE = Path(__file__).parents[2] / "docs" / "verify.md"
BEGIN, END = "<!-- lying reads -->", "<!-- end -->"
HEADS = {
    REFUSED: "refused by `index`",
    NOTHING: "changed nothing",
    FOUND: "found by `verify`",
    UNKNOWN: "unknown, skipped by name",
    MISSED: "missed",
}


def table(results: Sequence[Told]) -> Iterator[str]:
    """A Markdown table: a row for each function, and one for all."""
    counts: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for one in results:
        counts[one.protocol, one.function][one.outcome] += 1
    yield f"| protocol | function | lies | {' | '.join(HEADS.values())} |"
    yield "|---|---|" + "--:|" * (len(HEADS) + 1)
    for (protocol, function), found in sorted(counts.items()):
        yield _line(protocol, f"`{function}`", found)
    yield _line("all", "", sum(counts.values(), Counter()))


def _line(protocol: str, function: str, found: Counter[str]) -> str:
    cells = " | ".join(f"{found[name]:,}" for name in HEADS)
    return f"| {protocol} | {function} | {found.total():,} | {cells} |"


def write_table(results: Sequence[Told]) -> None:
    """The table, in its place on the page."""
    before, _, rest = PAGE.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    lines = "\n".join(table(results))
    PAGE.write_text(f"{before}{BEGIN}\n{lines}\n{END}{after}")
