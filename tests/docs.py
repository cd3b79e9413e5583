"""Writes what is generated: the README's shown output and the catalogue of queries."""

from pathlib import Path

from cogapp import Cog

from analyzer.findings import catalogue, load

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
CATALOGUE = ROOT / "queries" / "README.md"


def generated_readme(text: str) -> str:
    """The README with every shown output made anew."""
    return str(Cog().process_string(text))


def main() -> None:
    """Write both files."""
    README.write_text(generated_readme(README.read_text()))
    CATALOGUE.write_text(catalogue(load()))


if __name__ == "__main__":
    main()
