"""Comparing with a file of recorded contract answers."""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from analyzer.errors import AnalyzerError, Revert
from analyzer.protocol import Comparison
from analyzer.protocols.gmx_v2.borrowing import get_borrowing_factor_per_second
from analyzer.protocols.gmx_v2.funding import get_next_funding_amount_per_size
from analyzer.protocols.gmx_v2.position_info import get_position_info
from analyzer.protocols.gmx_v2.releases import Release, release_named
from analyzer.protocols.gmx_v2.risk import (
    Closing,
    Verdict,
    accrued_to,
    closing_of,
    is_position_liquidatable,
    next_accruals,
)
from analyzer.protocols.gmx_v2.state import MarketState, Prices
from analyzer.protocols.gmx_v2.vector_file import (
    discounts_from,
    market_from,
    position_from,
    prices_from,
    words_from,
)
from analyzer.protocols.gmx_v2.vector_flips import compare_flip
from analyzer.reads import MissingError

PANIC: Final = re.compile(r"panic\D*(0x[0-9a-f]+|\d+)", re.IGNORECASE)

VERDICT_VALUES: Final = {
    "remainingCollateralUsd": "remaining_collateral_usd",
    "minCollateralUsd": "min_collateral_usd",
    "minCollateralUsdForLeverage": "min_collateral_usd_for_leverage",
}


def verify_vectors(document: Mapping[str, Any]) -> Comparison:
    """Compare every recorded verdict, amount, rate and liquidation price with ours."""
    comparison = Comparison()
    try:
        release = release_named(str(document["release"]))
        for vector in document["vectors"]:
            _compare_vector(comparison, release, vector)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise AnalyzerError(
            f"this is no file of GMX v2 vectors ({error!r}): check that it is whole"
        ) from error
    return comparison


def _compare_vector(comparison: Comparison, release: Release, vector: Mapping[str, Any]) -> None:
    subject = f"vector {vector['id']}"
    state = MarketState(market_from(vector["market"]), words_from(vector["data_store"]), release)
    position = position_from(vector["position_key"], vector["position"])
    prices, time = prices_from(vector["prices"]), int(vector["block_timestamp"])
    try:
        stored = closing_of(
            state, position, discounts_from(vector["discounts"]), state.stored(position)
        )
    except MissingError as error:
        comparison.skip(f"{subject}: {error}")
        return
    for min_usd in (True, False):
        for for_liquidation in (True, False):
            name = _verdict_name(min_usd, for_liquidation)
            if f"verdict_{name}" in vector:
                _compare_verdict(
                    comparison, f"{subject} {name}", stored, prices, vector[f"verdict_{name}"],
                    min_usd=min_usd, for_liquidation=for_liquidation,
                )  # fmt: skip
    if "verdict_after_accrual" in vector:
        _compare_accrual(comparison, subject, stored, prices, time, vector)
    if "position_info" in vector:
        _compare_answer(
            comparison,
            f"{subject} position_info",
            lambda: _position_info(stored, prices, time, vector["position_info"]),
            vector["position_info"],
        )
    if "market_info" in vector:
        _compare_answer(
            comparison,
            f"{subject} market_info",
            lambda: market_info(state, prices, time),
            vector["market_info"],
        )
    if "flip" in vector:
        compare_flip(comparison, subject, stored, prices, vector["flip"])


def _verdict_name(min_usd: bool, for_liquidation: bool) -> str:
    return "_".join(
        (
            "min_usd" if min_usd else "no_min_usd",
            "for" if for_liquidation else "not_for",
            "liquidation",
        )
    )


def _compare_verdict(
    comparison: Comparison,
    subject: str,
    closing: Closing,
    prices: Prices,
    theirs: Mapping[str, Any],
    *,
    min_usd: bool,
    for_liquidation: bool,
) -> None:
    ours: Verdict | None = None
    try:
        ours = is_position_liquidatable(
            closing,
            prices,
            should_validate_min_collateral_usd=min_usd,
            for_liquidation=for_liquidation,
        )
        answer: Any = (ours.is_liquidatable, ours.reason)
    except Revert as revert:
        answer = _reason(revert.reason)
    if "error" in theirs:
        comparison.compare("verdict", subject, "revert", answer, _reason(theirs["error"]))
        return
    comparison.compare(
        "verdict", subject, "isLiquidatable", answer, (theirs["isLiquidatable"], theirs["reason"])
    )
    for name, attribute in VERDICT_VALUES.items():
        value = getattr(ours, attribute) if ours else answer
        comparison.compare("value", subject, name, value, int(theirs[name]))


def _compare_accrual(
    comparison: Comparison,
    subject: str,
    stored: Closing,
    prices: Prices,
    time: int,
    vector: Mapping[str, Any],
) -> None:
    theirs = vector["verdict_after_accrual"]
    subject = f"{subject} after accrual"
    try:
        accruals = next_accruals(stored.state, stored.position, prices, time)
    except Revert as revert:
        comparison.compare(
            "verdict", subject, "revert", _reason(revert.reason), _reason(theirs.get("error", ""))
        )
        return
    for name, ours in (
        ("nextCumulativeBorrowingFactor", accruals.cumulative_borrowing_factor),
        ("nextFundingFeeAmountPerSize", accruals.funding_fee_amount_per_size),
    ):
        if name in theirs:
            comparison.compare("value", subject, name, ours, int(theirs[name]))
    accrued = accrued_to(stored, accruals)
    for min_usd in (True, False):
        for for_liquidation in (True, False):
            name = _verdict_name(min_usd, for_liquidation)
            if name in theirs:
                _compare_verdict(
                    comparison, f"{subject} {name}", accrued, prices, theirs[name],
                    min_usd=min_usd, for_liquidation=for_liquidation,
                )  # fmt: skip


def _compare_answer(
    comparison: Comparison,
    subject: str,
    ours: Callable[[], Mapping[str, Any]],
    theirs: Mapping[str, Any],
) -> None:
    """Compare a struct leaf by leaf, or the revert that was recorded in its stead."""
    try:
        answer = ours()
    except Revert as revert:
        comparison.compare(
            "value", subject, "revert", _reason(revert.reason), _reason(theirs.get("error", ""))
        )
        return
    if "error" in theirs:
        comparison.compare("value", subject, "revert", "no revert", _reason(theirs["error"]))
        return
    _compare_leaves(comparison, subject, answer, theirs)


def _compare_leaves(
    comparison: Comparison, subject: str, ours: Mapping[str, Any], theirs: Mapping[str, Any]
) -> None:
    for name, value in ours.items():
        recorded = theirs[name]
        if isinstance(value, Mapping):
            _compare_leaves(comparison, f"{subject}.{name}", value, recorded)
        else:
            decoded = recorded if isinstance(recorded, bool) else int(recorded)
            comparison.compare("value", subject, name, value, decoded)


def _position_info(
    stored: Closing, prices: Prices, time: int, theirs: Mapping[str, Any]
) -> dict[str, Any]:
    """Our answer with the fields that this release of the Reader reports."""
    answer = get_position_info(stored, prices, time)
    if "positionValueInUsd" not in theirs:
        answer.pop("positionValueInUsd", None)
    return answer


def market_info(state: MarketState, prices: Prices, time: int) -> dict[str, Any]:
    """The rates of ``Reader.getMarketInfo``."""
    funding = get_next_funding_amount_per_size(state, prices, time)
    return {
        "borrowingFactorPerSecondForLongs": get_borrowing_factor_per_second(state, prices, True),
        "borrowingFactorPerSecondForShorts": get_borrowing_factor_per_second(state, prices, False),
        "nextFunding": {
            "longsPayShorts": funding.longs_pay_shorts,
            "fundingFactorPerSecond": funding.funding_factor_per_second,
            "nextSavedFundingFactorPerSecond": funding.next_saved_funding_factor_per_second,
            "fundingFeeAmountPerSizeDelta": funding.fee_deltas,
            "claimableFundingAmountPerSizeDelta": funding.claimable_deltas,
        },
    }


def _reason(text: str) -> str:
    """A revert's reason without what differs between tools that report it."""
    panic = PANIC.search(text)
    if panic:
        return f"Panic({int(panic[1], 0):#x})"
    return text.replace(" ", "").removesuffix("()")
