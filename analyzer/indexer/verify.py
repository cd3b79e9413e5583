"""Asking the contracts themselves: our verdicts and amounts against theirs. Nothing is written."""

import gzip
import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from analyzer.chain.interface import Chain
from analyzer.errors import AnalyzerError
from analyzer.indexer.deployments import protocol_of
from analyzer.protocol import Comparison
from analyzer.protocols import protocols
from analyzer.reads import drive
from analyzer.store import derived
from analyzer.store.database import open_for_reading
from analyzer.store.deployments import remembered
from analyzer.store.views import create_views

ODD_VALUES: Final = (
    LookupError,
    TypeError,
    ValueError,
    AttributeError,
    ArithmeticError,
    RecursionError,
)
"""What comes of values that are not what a file of that kind holds."""


@dataclass(frozen=True, slots=True)
class Verified:
    """The tally of one deployment or one vectors file."""

    protocol: str
    comparison: Comparison
    file: str | None = None
    deployment: str | None = None
    block_number: int | None = None

    def report(self) -> dict[str, Any]:
        """The tally as other programs read it."""
        found = self.comparison
        return {
            "file": self.file,
            "protocol": self.protocol,
            "deployment": self.deployment,
            "block_number": self.block_number,
            "verdicts": found.verdicts,
            "verdict_mismatches": found.mismatches("verdict"),
            "values": found.values,
            "value_mismatches": found.mismatches("value"),
            "flips": found.flips,
            "flip_mismatches": found.mismatches("flip"),
            "skipped": found.skipped,
        }


def verify_database(
    chain: Chain,
    path: Path,
    protocol_names: Sequence[str] = (),
    names: Sequence[str] = (),
    block: int | None = None,
    *,
    complete: bool = False,
) -> list[Verified]:
    """The newest snapshots on this chain against the contracts at their blocks.

    ``protocol_names`` and ``names`` (of deployments) narrow what is verified; with ``block``, the
    newest snapshots at or below it are.
    """
    chain_id = chain.chain_id()
    with open_for_reading(path) as connection:
        if block is not None or complete:
            create_views(connection, block, complete=complete)
        known = {(d.chain_id, d.protocol, d.name): d for d in remembered(connection)}
        stored = [
            (known[s.chain_id, s.protocol, s.deployment], s, derived.accounts(connection, s))
            for s in derived.snapshots(connection)
            if s.chain_id == chain_id
            and (not protocol_names or s.protocol in protocol_names)
            and (not names or s.deployment in names)
        ]
    verified: list[Verified] = []
    for deployment, snapshot, accounts in stored:
        at = chain.block(snapshot.block_number)
        if at.hash != snapshot.block_hash:
            raise AnalyzerError(
                f"block {at.number} of {deployment.name} is not the block that was indexed "
                f"({snapshot.block_hash}): the chain was reorganised, run `perpscope index` again"
            )
        comparison = drive(
            protocols()[deployment.protocol].verify(deployment, at, accounts),
            lambda requests, at=at: chain.answer(requests, at),  # type: ignore[misc]
        )
        verified.append(
            Verified(
                deployment.protocol,
                comparison,
                deployment=deployment.name,
                block_number=at.number,
            )
        )
    return verified


def verify_vectors(paths: Sequence[Path]) -> tuple[list[Verified], list[AnalyzerError]]:
    """Files of recorded contract answers, each naming its protocol, and why some were not read."""
    verified: list[Verified] = []
    errors: list[AnalyzerError] = []
    for path in paths:
        try:
            verified.append(_verify_file(path))
        except AnalyzerError as error:
            errors.append(error)
    return verified, errors


def _verify_file(path: Path) -> Verified:
    try:
        opener = gzip.open if path.suffix == ".gz" else open
        with opener(path, "rt", encoding="utf-8") as file:
            document = json.load(file)
        name = document["protocol"]
    except FileNotFoundError as error:
        raise AnalyzerError(f"there is no vectors file at {path}: check the path") from error
    except (OSError, EOFError, zlib.error, *ODD_VALUES) as error:
        raise AnalyzerError(
            f"{path.name} cannot be read as vectors ({error!r}): it must be JSON that names its "
            "`protocol`"
        ) from error
    protocol = protocol_of(str(name), path.name)
    try:
        comparison = protocol.verify_vectors(document)
    except ODD_VALUES as error:
        raise AnalyzerError(
            f"{path.name} is not a vectors file that {name} can read ({error!r}): check that it "
            "is whole"
        ) from error
    except AnalyzerError as error:
        raise AnalyzerError(f"{path.name}: {error}") from error
    return Verified(protocol.name, comparison, file=path.name)
