"""The Vault's own answers against what the snapshot stored, position by position."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from analyzer.evm import Block
from analyzer.protocol import Comparison, Deployment, StoredAccount, StoredPosition
from analyzer.protocols.gmx_v1.assess import STORED
from analyzer.protocols.gmx_v1.contracts import Identity, vault_of
from analyzer.protocols.gmx_v1.held import STRUCT
from analyzer.reads import Failed, Read, Reads, Values

VIEWS: Final = ("getPosition", "getPositionDelta", "getPositionLeverage")
EXECUTION: Final = "verdicts at execution time"
UNKNOWN: Final = "unknown"


def verify(
    deployment: Deployment,
    block: Block,  # noqa: ARG001  the reads are pinned to it by whoever answers them
    accounts: Sequence[StoredAccount],
) -> Reads[Comparison]:
    """Ask for each position's struct, delta, leverage and verdict, raising and not.

    All that, and each collateral token's next funding rate, in one round of reads.
    """
    vault = vault_of(deployment)
    comparison = Comparison()
    positions: list[StoredPosition] = []
    for account in accounts:
        if all(_is_whole(position) for position in account.positions):
            positions += account.positions
            comparison.without_question[EXECUTION] += account.state != UNKNOWN
        else:
            comparison.skip(f"{account.title} is unknown: {account.reason}")
    if not positions:
        return comparison
    questions: dict[Any, Read] = {}
    for position in positions:
        arguments = _identity(position).arguments()
        for name in VIEWS:
            questions[position.position_id, name] = vault.read(name, *arguments)
        for raising in (False, True):
            questions[position.position_id, raising] = vault.read(
                "validateLiquidation", *arguments, raising
            )
        token = _identity(position).collateral_token
        questions["getNextFundingRate", token] = vault.read("getNextFundingRate", token)
    answers = yield questions
    for position in positions:
        _verify_position(comparison, position, answers)
    for token, rate in _next_funding_rates(positions).items():
        theirs = answers["getNextFundingRate", token]
        _compare(comparison, "value", token, "getNextFundingRate", rate, theirs)
    return comparison


def _is_whole(position: StoredPosition) -> bool:
    """Whether all of its struct is known: without it there is nothing to compare an answer with."""
    return all(position.inputs.get(name) is not None for name in STRUCT)


def _identity(position: StoredPosition) -> Identity:
    return Identity(
        position.account,
        str(position.collateral_token),
        position.market,
        position.side == "long",
    )


def _verify_position(comparison: Comparison, position: StoredPosition, answers: Values) -> None:
    key, subject, stored = position.position_id, position.title, position.outputs[STORED]
    _verify_struct(comparison, position, answers[key, "getPosition"])
    ratio = position.outputs["getPositionLeverage"]
    theirs = answers[key, "getPositionLeverage"]
    _compare(comparison, "value", subject, "getPositionLeverage", ratio, theirs)
    delta = _ours(stored, lambda: [stored["hasProfit"], stored["delta"]])
    theirs = answers[key, "getPositionDelta"]
    _compare(comparison, "value", subject, "getPositionDelta", delta, theirs)
    _verify_verdict(comparison, subject, stored, answers[key, False])
    raising, name = _ours(stored, lambda: _raising(stored)), "validateLiquidation(raise)"
    _compare(comparison, "verdict", subject, name, raising, answers[key, True])


def _verify_struct(comparison: Comparison, position: StoredPosition, theirs: Any) -> None:
    """``getPosition``, value by value: the realised profit's size and sign are two of eight."""
    if isinstance(theirs, Failed):
        comparison.skip(f"{position.title}: {theirs.reason}")
        return
    *words, realised, gained, increased = theirs
    values = (*words, realised if gained else -realised, increased)
    for name, value in zip(STRUCT, values, strict=True):
        comparison.compare("value", position.title, name, position.inputs[name], value)
    ours = position.inputs["realisedPnl"]
    comparison.compare("value", position.title, "hasRealisedProfit", ours >= 0, gained)


def _verify_verdict(
    comparison: Comparison, subject: str, stored: Mapping[str, Any], theirs: Any
) -> None:
    """Where it is not known which variant the vault is, its answer may be telling which."""
    verdicts = stored.get("validateLiquidation", {})
    said = {
        variant: [verdict["liquidationState"], verdict["marginFees"]]
        for variant, verdict in verdicts.items()
    }
    candidates = list(said.values())
    name = "validateLiquidation"
    if any(one != candidates[0] for one in candidates) and not isinstance(theirs, Failed):
        telling = [variant for variant, one in said.items() if one == list(theirs)]
        if telling:
            comparison.skip(
                f"{subject}: the vault answers as variant {telling[0]}: set the deployment's "
                f'option variant = "{telling[0]}"'
            )
            return
    ours = _ours(stored, lambda: candidates[0])
    _compare(comparison, "verdict", subject, name, ours, theirs)


def _raising(stored: Mapping[str, Any]) -> Any:
    if stored["raise"] is not None:
        return {"revert": stored["raise"]}
    safe = next(iter(stored["validateLiquidation"].values()))
    return [safe["liquidationState"], safe["marginFees"]]


def _next_funding_rates(positions: Sequence[StoredPosition]) -> dict[str, Any]:
    return {_identity(p).collateral_token: p.outputs["getNextFundingRate"] for p in positions}


def _ours(stored: Mapping[str, Any], answer: Any) -> Any:
    """What the snapshot stored of a basis; a revert or unknown stands for every answer of it."""
    return stored if "unknown" in stored else answer()


def _compare(
    comparison: Comparison, kind: str, subject: str, name: str, ours: Any, theirs: Any
) -> None:
    """A revert is compared by its reason; what was not known or not answered is skipped."""
    if isinstance(theirs, Failed) and not theirs.reverted:
        comparison.skip(f"{subject}: {theirs.reason}")
    elif isinstance(ours, Mapping) and "revert" not in ours:
        comparison.skip(f"{subject}: {name} is unknown to us ({ours.get('unknown')})")
    elif isinstance(theirs, Failed) and isinstance(ours, Mapping) and _is_silent(theirs):
        comparison.compare(kind, subject, name, "reverts", "reverts")
    else:
        comparison.compare(kind, subject, name, _shown(ours), _shown(theirs))


def _shown(answer: Any) -> Any:
    if isinstance(answer, Failed):
        return f"reverts: {answer.reason.partition('reverted: ')[2]}"
    if isinstance(answer, Mapping):
        return f"reverts: {answer['revert'] or 'no reason given'}"
    return list(answer) if isinstance(answer, tuple) else answer


def _is_silent(theirs: Failed) -> bool:
    """A revert without a reason: a fork that never set its Vault's error messages."""
    return theirs.reason.endswith("reverted: no reason given")
