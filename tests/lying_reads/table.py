"""What became of many lies, function by function, for people."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
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
ALL = "all"
Counts = Mapping[tuple[str, str], Counter[str]]
"""How often each outcome was met, by protocol and function."""


def counted(results: Sequence[Told]) -> Counts:
    """The outcomes of lies."""
    counts: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for one in results:
        counts[one.protocol, one.function][one.outcome] += 1
    return counts


def table(counts: Counts) -> Iterator[str]:
    """A Markdown table: a row for each function, and one for all."""
    yield f"| protocol | function | lies | {' | '.join(HEADS.values())} |"
    yield "|---|---|" + "--:|" * (len(HEADS) + 1)
    for (protocol, function), found in sorted(counts.items()):
        yield _line(protocol, f"`{function}`", found)
    yield _line(ALL, "", sum(counts.values(), Counter()))


def _line(protocol: str, function: str, found: Counter[str]) -> str:
    cells = " | ".join(f"{found[name]:,}" for name in HEADS)
    return f"| {protocol} | {function} | {found.total():,} | {cells} |"


def page_with(page: str, counts: Counts) -> str:
    """The page with these rows in place of those of the same protocols."""
    before, _, rest = page.partition(BEGIN)
    shown, _, after = rest.partition(END)
    anew = {protocol for protocol, _ in counts}
    kept = {key: found for key, found in _read(shown) if key[0] not in {*anew, ALL}}
    lines = "\n".join(table({**kept, **counts}))
    return f"{before}{BEGIN}\n{lines}\n{END}{after}"


def _read(shown: str) -> Iterator[tuple[tuple[str, str], Counter[str]]]:
    for line in shown.splitlines()[3:]:
        protocol, function, _, *cells = (cell.strip() for cell in line.strip("|").split("|"))
        numbers = (int(cell.replace(",", "")) for cell in cells)
        yield (protocol, function.strip("`")), Counter(dict(zip(HEADS, numbers, strict=True)))
