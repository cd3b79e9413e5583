"""The price feeds of a vectors file: inputs of the price pipeline, and its recorded outputs."""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

from analyzer.errors import Revert
from analyzer.evm import ZERO_ADDRESS
from analyzer.protocol import Comparison
from analyzer.protocols.gmx_v1.prices import (
    Amm,
    FastFeed,
    TokenFeed,
    favor_fast_price,
    get_price,
    get_primary_price,
)
from analyzer.reads import MissingError

Recorded = Mapping[str, Any]

INTEGER: Final = re.compile(r"-?[0-9]+")

TOKEN_WORDS: Final = (
    "priceDecimals", "spreadBasisPoints", "strictStableTokens", "adjustmentBasisPoints",
    "isAdjustmentAdditive",
)  # fmt: skip
VAULT_PRICES: Final = {"out.vaultMin": False, "out.vaultMax": True}
"""Answers that also need a word of the vault, and whether each is the upper price."""


class PriceFile:
    """The price vectors of a file, and what the file says of a whole block."""

    def __init__(self, document: Recorded) -> None:
        self.recorded: Sequence[Recorded] = document.get("price_vectors", ())
        self._by_place = {(p["token"].lower(), int(p["now"][1])): p for p in self.recorded}
        self._strict_deviation = {
            int(p["now"][1]): int(p["maxStrictPriceDeviation"]) for p in self.recorded
        }
        self._include_amm = {
            int(v["block_number"]): bool(v["vault_config"]["includeAmmPrice"])
            for v in document.get("vectors", ())
        }

    def feed(self, vector: Recorded, role: str) -> TokenFeed:
        """What the price feed knew of a vector's index or collateral token.

        A price vector of the token and block holds, if it tells of the same words: else they were
        overridden. Without one there is one sampled round, no AMM and no fast price; in a file
        without any, nothing tells which there are (``MissingError``).
        """
        token, words = vector[f"{role}_token"].lower(), vector[role]["feed"]
        block = int(vector["block_number"])
        recorded = self._by_place.get((token, block))
        if recorded is not None and _tells_the_same(recorded, words):
            return recorded_feed(recorded)
        if not self.recorded:
            raise MissingError("no price vector in the file tells the settings of the price feed")
        strict = bool(words["strictStableTokens"])
        return TokenFeed(
            answers=(int(words["getLatestPrimaryPrice"]),),
            max_strict_price_deviation=(
                _standing(self._strict_deviation, block, "maxStrictPriceDeviation") if strict else 0
            ),
            **_token_words(words),
        )

    def include_amm(self, recorded: Recorded) -> bool:
        """``Vault.includeAmmPrice`` at the block of a price vector; ``MissingError`` if unknown."""
        return bool(_standing(self._include_amm, int(recorded["now"][1]), "includeAmmPrice"))


def recorded_feed(recorded: Recorded) -> TokenFeed:
    """The pipeline's inputs in a price vector."""
    count = min(int(recorded["priceSampleSpace"]), int(recorded["latestRound"]))
    older = [int(recorded[f"answer_round_minus_{back}"]) for back in range(1, count)]
    uses_fast = recorded["isSecondaryPriceEnabled"] and (
        recorded["secondaryPriceFeed"] != ZERO_ADDRESS
    )
    return TokenFeed(
        answers=(int(recorded["latestAnswer"]), *older) if count else (),
        max_strict_price_deviation=int(recorded["maxStrictPriceDeviation"]),
        secondary=_fast_feed(recorded) if uses_fast else None,
        amm=_amm(recorded) if recorded["isAmmEnabled"] else None,
        **_token_words(recorded),
    )


def verify_prices(comparison: Comparison, prices: PriceFile) -> None:
    """Every output of the pipeline in the price vectors."""
    for recorded in prices.recorded:
        subject = f"price of {recorded['token']} at block {recorded['now'][1]}"
        questions = _questions(recorded)
        try:
            questions |= _vault_questions(recorded, include_amm=prices.include_amm(recorded))
        except MissingError as error:
            comparison.skip(f"{subject}: {error}")
        for name, answer in recorded.items():
            if name.startswith("out.") and name not in {*questions, *VAULT_PRICES}:
                comparison.skip(f"{subject}: {name} is not a price that is known")
            elif name in questions and answer is not None:
                comparison.compare("value", subject, name, said(questions[name]), heard(answer))


def _questions(recorded: Recorded) -> dict[str, Callable[[], Any]]:
    feed, now = recorded_feed(recorded), int(recorded["now"][0])
    questions: dict[str, Callable[[], Any]] = {}
    for side, maximise in (("Min", False), ("Max", True)):
        questions[f"out.primary{side}"] = partial(get_primary_price, feed, maximise)
        for amm in (False, True):
            name = f"out.getPrice_max={maximise}_amm={amm}"
            questions[name] = partial(get_price, feed, maximise, amm, now)
    if feed.secondary is not None:
        questions["fast.favorFastPrice"] = partial(favor_fast_price, feed.secondary)
    return questions


def _vault_questions(recorded: Recorded, *, include_amm: bool) -> dict[str, Callable[[], Any]]:
    feed, now = recorded_feed(recorded), int(recorded["now"][0])
    return {
        name: partial(get_price, feed, maximise, include_amm, now)
        for name, maximise in VAULT_PRICES.items()
    }


def said(ours: Callable[[], Any]) -> Any:
    """What the model answers, a revert with its reason included, in the file's own form."""
    try:
        answer = ours()
    except Revert as revert:
        return {"revert": revert.reason}
    return heard(answer)


def heard(answer: Any) -> Any:
    """An answer with its integers as integers."""
    if isinstance(answer, Mapping):
        return {key: heard(value) for key, value in answer.items()}
    if isinstance(answer, list | tuple):
        return [heard(value) for value in answer]
    if isinstance(answer, str) and INTEGER.fullmatch(answer):
        return int(answer)
    return answer


def _standing(by_block: Mapping[int, Any], block: int, what: str) -> Any:
    """A setting at a block, as the file last tells of it; or first, if that is later."""
    if not by_block:
        raise MissingError(f"nothing in the file says what {what} was")
    return by_block[max((b for b in by_block if b <= block), default=min(by_block))]


def _tells_the_same(recorded: Recorded, words: Recorded) -> bool:
    return recorded["latestAnswer"] == words["getLatestPrimaryPrice"] and all(
        recorded[name] == words[name] for name in TOKEN_WORDS
    )


def _token_words(words: Recorded) -> dict[str, Any]:
    return {
        "price_decimals": int(words["priceDecimals"]),
        "spread_basis_points": int(words["spreadBasisPoints"]),
        "strict_stable": bool(words["strictStableTokens"]),
        "adjustment_basis_points": int(words["adjustmentBasisPoints"]),
        "is_adjustment_additive": bool(words["isAdjustmentAdditive"]),
    }


def _amm(recorded: Recorded) -> Amm:
    return Amm(
        price=int(recorded["ammPrice"]),
        use_v2_pricing=bool(recorded["useV2Pricing"]),
        favor_primary_price=bool(recorded["favorPrimaryPrice"]),
        spread_threshold_basis_points=int(recorded["spreadThresholdBasisPoints"]),
    )


def _fast_feed(recorded: Recorded) -> FastFeed:
    _, _, cumulative_ref_delta, cumulative_fast_delta = map(int, recorded["fast.priceData"])
    return FastFeed(
        is_spread_enabled=bool(recorded["fast.isSpreadEnabled"]),
        last_updated_at=int(recorded["fast.lastUpdatedAt"]),
        price_duration=int(recorded["fast.priceDuration"]),
        max_price_update_delay=int(recorded["fast.maxPriceUpdateDelay"]),
        spread_basis_points_if_inactive=int(recorded["fast.spreadBasisPointsIfInactive"]),
        spread_basis_points_if_chain_error=int(recorded["fast.spreadBasisPointsIfChainError"]),
        max_deviation_basis_points=int(recorded["fast.maxDeviationBasisPoints"]),
        min_authorizations=int(recorded["fast.minAuthorizations"]),
        disable_fast_price_vote_count=int(recorded["fast.disableFastPriceVoteCount"]),
        price=int(recorded["fast.prices"]),
        max_cumulative_delta_diff=int(recorded["fast.maxCumulativeDeltaDiffs"]),
        cumulative_ref_delta=cumulative_ref_delta,
        cumulative_fast_delta=cumulative_fast_delta,
    )
