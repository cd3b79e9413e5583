"""The Reader's own answers against ours, for every stored position at the snapshot's prices."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from analyzer.abi import load_abi
from analyzer.errors import AnalyzerError
from analyzer.evm import ZERO_ADDRESS, Block
from analyzer.protocol import Comparison, Deployment, StoredAccount, StoredPosition
from analyzer.protocols.gmx_v2.datastore import NAME
from analyzer.protocols.gmx_v2.deployments import DATA_STORE, READER, REFERRAL_STORAGE
from analyzer.protocols.gmx_v2.releases import V2_1, release_named
from analyzer.reads import Failed, Read, Reads

READER_ABIS: Final = {"2.1": "ReaderV2_1", "2.2b": "ReaderV2_2B", "2.2c": "ReaderV2_2C"}
VERDICT_VALUES: Final = (
    "remainingCollateralUsd", "minCollateralUsd", "minCollateralUsdForLeverage",
)  # fmt: skip
EXECUTION: Final = "verdicts at execution time"
UNKNOWN: Final = "unknown"
REVERTED: Final = "reverted"
WOULD_REVERT: Final = "the contract would revert"
FEES: Final = 2
BASE_PNL: Final = 4


def verify(
    deployment: Deployment, _: Block, accounts: Sequence[StoredAccount]
) -> Reads[Comparison]:
    """``Reader.isPositionLiquidatable`` on stored, ``getPositionInfo`` on accrued accumulators.

    Asked in one round of single calls, of which any may revert. The Reader that is asked must be
    one of the release: an older one answers with other arithmetic.
    """
    if READER not in deployment.contracts:
        raise AnalyzerError(
            f"{deployment.name} names no {READER}: add its address to `contracts` to verify"
        )
    comparison = Comparison()
    positions = [position for account in accounts for position in account.positions]
    asked: dict[tuple[str, str], Read] = {}
    for account in accounts:
        for position in account.positions:
            if _can_be_asked(position.inputs):
                asked |= _questions(deployment, position)
                comparison.without_question[EXECUTION] += account.state != UNKNOWN
            else:
                comparison.skip(f"{position.title} is unknown: {account.reason}")
    answers: Mapping[Any, Any] = (yield asked) if asked else {}
    for position in positions:
        key = position.position_id
        if (key, "verdict") in answers:
            _compare(comparison, position, answers[key, "verdict"], answers.get((key, "info")))
    return comparison


def _can_be_asked(inputs: Mapping[str, Any]) -> bool:
    """Whether all arguments of the Reader's views are known."""
    arguments = [inputs.get(name) for name in ("release", "marketProps", "prices")]
    while arguments:
        argument = arguments.pop()
        if argument is None:
            return False
        if isinstance(argument, Mapping):
            arguments += argument.values()
    return True


def _questions(deployment: Deployment, position: StoredPosition) -> dict[tuple[str, str], Read]:
    inputs, contracts = position.inputs, deployment.contracts
    release = release_named(str(inputs["release"]))
    reader = load_abi(NAME, READER_ABIS[release.name]).at(contracts[READER])
    stores = (contracts[DATA_STORE].lower(), contracts[REFERRAL_STORAGE].lower())
    key = bytes.fromhex(position.position_id[2:])
    props = tuple(
        inputs["marketProps"][name]
        for name in ("marketToken", "indexToken", "longToken", "shortToken")
    )
    prices = tuple(
        (inputs["prices"][name]["min"], inputs["prices"][name]["max"])
        for name in ("indexTokenPrice", "longTokenPrice", "shortTokenPrice")
    )
    if release == V2_1:
        verdict = reader.read("isPositionLiquidatable", *stores, key, props, prices, True)
        return {(position.position_id, "verdict"): verdict}
    return {
        (position.position_id, "verdict"): reader.read(
            "isPositionLiquidatable", *stores, key, props, prices, True, True
        ),
        (position.position_id, "info"): reader.read(
            "getPositionInfo", *stores, key, prices, 0, ZERO_ADDRESS, True
        ),
    }


def _compare(comparison: Comparison, position: StoredPosition, verdict: Any, info: Any) -> None:
    """Each basis with what the Reader says of it; one without a verdict of ours is skipped."""
    unknown = {basis: _unknown(position.outputs[basis]) for basis in ("stored", "executable")}
    for reason in dict.fromkeys(reason for reason in unknown.values() if reason is not None):
        comparison.skip(f"{position.title} is unknown: {reason}")
    if unknown["stored"] is None:
        _compare_verdict(comparison, position, verdict)
    if unknown["executable"] is None and info is not None:
        _compare_info(comparison, position, info)


def _compare_verdict(comparison: Comparison, position: StoredPosition, theirs: Any) -> None:
    """The verdict on stored accumulators; where we predict a revert, it must be what happens."""
    subject, ours = position.title, position.outputs["stored"]
    if isinstance(theirs, Failed):
        if not theirs.reverted:
            comparison.skip(f"{subject}: {theirs.reason}")
            return
        comparison.compare("verdict", subject, "isLiquidatable", _shown(ours), REVERTED)
        return
    is_liquidatable, reason, values = theirs
    said = f"{is_liquidatable} {reason}"
    comparison.compare("verdict", subject, "isLiquidatable", _shown(ours), said)
    for name, value in zip(VERDICT_VALUES, values, strict=True):
        comparison.compare("value", subject, name, ours.get(name), value)


def _compare_info(comparison: Comparison, position: StoredPosition, theirs: Any) -> None:
    """The accrued amounts; where this view reverts, the verdict need not."""
    if isinstance(theirs, Failed):
        if not theirs.reverted:
            comparison.skip(f"{position.title}: {theirs.reason}")
        return
    fees = theirs[FEES]
    _, _, funding, borrowing, *_, total, discount = fees
    ours, subject = position.outputs["executable"], position.title
    for name, value in (
        ("fundingFeeAmount", funding[0]),
        ("borrowingFeeAmount", borrowing[1]),
        ("totalDiscountAmount", discount),
        ("totalCostAmount", total),
        ("positionPnlUsd", theirs[BASE_PNL]),
    ):
        comparison.compare("value", subject, f"accrued {name}", ours.get(name), value)
    accrued = (position.inputs.get("accumulators") or {}).get("executable") or {}
    comparison.compare(
        "value",
        subject,
        "accrued fundingFeeAmountPerSize",
        accrued.get("fundingFeeAmountPerSize"),
        funding[3],
    )


def _shown(verdict: Mapping[str, Any]) -> str:
    if UNKNOWN in verdict:
        return REVERTED
    return f"{verdict['isLiquidatable']} {verdict['reason']}"


def _unknown(basis: Mapping[str, Any]) -> str | None:
    """Why a basis has no verdict, unless it is that the contract would have none either."""
    reason = basis.get(UNKNOWN)
    return None if reason is None or str(reason).startswith(WOULD_REVERT) else str(reason)
