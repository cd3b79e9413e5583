"""Our verdicts and amounts against a node: what its contracts say of them, and what comes anew.

Nothing is written. `index` never reads what the contracts say of a verdict or an account's value.
"""

import gzip
import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from analyzer.chain.interface import Chain
from analyzer.errors import AnalyzerError
from analyzer.evm import Block
from analyzer.indexer.deployments import protocol_of
from analyzer.indexer.recomputing import compare_rows, compare_tokens
from analyzer.indexer.snapshot import take_again
from analyzer.indexer.stored import StoredSnapshot, Wanted, stored_snapshots
from analyzer.protocol import Comparison
from analyzer.protocols import protocols
from analyzer.reads import Answerer, drive
from analyzer.store import derived
from analyzer.store.raw_state import Transcript
from analyzer.store.snapshot_rows import rows_at, scratch, tokens

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
    """The tally of one deployment or one vectors file.

    ``views`` is against the contracts' own verdicts and amounts, ``recomputed`` against what their
    state at the block comes to; ``errors`` say why either of them is not whole.
    """

    protocol: str
    views: Comparison
    recomputed: Comparison = field(default_factory=Comparison)
    errors: Sequence[AnalyzerError] = ()
    file: str | None = None
    deployment: str | None = None
    block_number: int | None = None

    @property
    def title(self) -> str:
        """The file, or the protocol and the deployment, for people."""
        return self.file or f"{self.protocol} {self.deployment}"

    @property
    def comparison(self) -> Comparison:
        """Both tallies in one."""
        return self.recomputed.plus(self.views)

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
            "not_compared": found.without_question.total(),
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
    newest snapshots at or below it are, and with ``complete`` the last whole ones. Raises
    ``AnalyzerError`` where that leaves none.
    """
    chosen = (tuple(protocol_names), tuple(names))
    wanted = Wanted(chain.chain_id(), *chosen, block=block, complete=complete)
    return [_verify(chain, stored) for stored in stored_snapshots(path, wanted, chain.label)]


def _verify(chain: Chain, stored: StoredSnapshot) -> Verified:
    """Both halves, of which one can fail without the other; a state read is asked once for both."""
    tallies = {"views": Comparison(), "recomputed": Comparison()}
    errors: list[AnalyzerError] = []
    try:
        at = _same_block(chain, stored)
        answer = Transcript(lambda requests: chain.answer(requests, at))
        for name, half in (("views", _ask_views), ("recomputed", _recompute)):
            try:
                tallies[name] = half(stored, at, answer)
            except AnalyzerError as error:
                errors.append(error)
    except AnalyzerError as error:
        errors.append(error)
    return Verified(
        protocol=stored.deployment.protocol,
        views=tallies["views"],
        recomputed=tallies["recomputed"],
        errors=errors,
        deployment=stored.deployment.name,
        block_number=stored.snapshot.block_number,
    )


def _same_block(chain: Chain, stored: StoredSnapshot) -> Block:
    """The snapshot's block as this chain has it."""
    snapshot = stored.snapshot
    at = chain.block(snapshot.block_number)
    if at.hash != snapshot.block_hash:
        raise AnalyzerError(
            f"block {at.number} is not the block that was indexed ({snapshot.block_hash}): the "
            "chain was reorganised, run `perpscope index` again, or name the chain's own node"
        )
    return at


def _ask_views(stored: StoredSnapshot, at: Block, answer: Answerer) -> Comparison:
    protocol = protocols()[stored.deployment.protocol]
    return drive(protocol.verify(stored.deployment, at, stored.accounts), answer)


def _recompute(stored: StoredSnapshot, at: Block, answer: Answerer) -> Comparison:
    """The snapshot taken again, its runs in their order, at the block as this node has it."""
    tally, deployment = Comparison(), stored.deployment
    with scratch() as again:
        for raw, state in stored.runs:
            rows = take_again(deployment, replace(raw, block=at), state, answer)
            derived.put_snapshot(again, deployment, at.number, rows)
        compare_rows(stored.rows, rows_at(again, deployment, at.number), tally)
        compare_tokens(stored.tokens, tokens(again, deployment.chain_id), tally)
    return tally


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
