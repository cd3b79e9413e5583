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
    for position in positions:
        if position.inputs.get("prices") is None:
            comparison.skip(f"position {position.position_id}: {_unknown(position)}")
        else:
            asked |= _questions(deployment, position)
    answers: Mapping[Any, Any] = (yield asked) if asked else {}
    for position in positions:
        key = position.position_id
        if (key, "verdict") in answers:
            _compare_verdict(comparison, position, answers[key, "verdict"])
        if (key, "info") in answers:
            _compare_info(comparison, position, answers[key, "info"])
    return comparison


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


def _compare_verdict(comparison: Comparison, position: StoredPosition, theirs: Any) -> None:
    subject, ours = position.position_id, position.outputs["stored"]
    if isinstance(theirs, Failed):
        if not theirs.reverted:
            comparison.skip(f"position {subject}: {theirs.reason}")
            return
        comparison.compare("verdict", subject, "isLiquidatable", _shown(ours), "reverted")
        return
    is_liquidatable, reason, values = theirs
    comparison.compare(
        "verdict", subject, "isLiquidatable", _shown(ours), f"{is_liquidatable} {reason}"
    )
    for name, value in zip(VERDICT_VALUES, values, strict=True):
        comparison.compare("value", subject, name, ours.get(name), value)


def _compare_info(comparison: Comparison, position: StoredPosition, theirs: Any) -> None:
    """The accrued amounts; where this view reverts, the verdict need not."""
    if isinstance(theirs, Failed):
        if not theirs.reverted:
            comparison.skip(f"position {position.position_id}: {theirs.reason}")
        return
    fees = theirs[FEES]
    _, _, funding, borrowing, *_, total, discount = fees
    ours, subject = position.outputs["executable"], position.position_id
    for name, value in (
        ("fundingFeeAmount", funding[0]),
        ("borrowingFeeAmount", borrowing[1]),
        ("totalDiscountAmount", discount),
        ("totalCostAmount", total),
        ("positionPnlUsd", theirs[BASE_PNL]),
    ):
        comparison.compare("value", subject, f"accrued {name}", ours.get(name), value)
    accrued = position.inputs["accumulators"].get("executable", {})
    comparison.compare(
        "value",
        subject,
        "accrued fundingFeeAmountPerSize",
        accrued.get("fundingFeeAmountPerSize"),
        funding[3],
    )


def _shown(verdict: Mapping[str, Any]) -> str:
    if "unknown" in verdict:
        reverts = str(verdict["unknown"]).startswith("the contract would revert")
        return "reverted" if reverts else str(verdict["unknown"])
    return f"{verdict['isLiquidatable']} {verdict['reason']}"


def _unknown(position: StoredPosition) -> str:
    return str(position.outputs["stored"].get("unknown", "no prices"))
