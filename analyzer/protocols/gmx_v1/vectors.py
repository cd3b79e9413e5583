"""Recorded contract answers against the model: every verdict, amount, price and flip of a file.

A vector holds a position, the vault's words and the answers. Two inputs it takes from elsewhere in
the file: the settings of the price feed from the price vectors, and whether only liquidators may
liquidate from the answers of its block, where the vault refuses every caller or none for that. An
input that the file does not tell is a reason to skip; an answer never says what it is to be.
``liquidations`` name transactions without any inputs, so there is nothing in them to predict.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final

from analyzer.errors import Revert
from analyzer.protocol import Comparison
from analyzer.protocols.gmx_v1.blocked import Liquidation, blocked_by
from analyzer.protocols.gmx_v1.liquidation import liquidation_price
from analyzer.protocols.gmx_v1.prices import get_price, get_primary_price, native_flip
from analyzer.protocols.gmx_v1.risk import (
    SAFE,
    get_delta,
    get_next_funding_rate,
    get_position_leverage,
    raised,
    validate_liquidation,
)
from analyzer.protocols.gmx_v1.vector_case import Case, Vector
from analyzer.protocols.gmx_v1.vector_prices import PriceFile, heard, said, verify_prices
from analyzer.reads import MissingError

EMPTY: Final = "Vault: empty position"
INVALID_LIQUIDATOR: Final = "Vault: invalid liquidator"
CANNOT_BE_LIQUIDATED: Final = "Vault: position cannot be liquidated"
OK: Final = "ok"
AMOUNTS: Final = ("leverage", "position_delta")
SETTINGS: Final = ("native_feed_decimals", "native_spread_bps")


def verify_vectors(document: Vector) -> Comparison:
    """Compare with everything that the file records; a recorded revert is an answer."""
    comparison = Comparison()
    vectors = document.get("vectors", ())
    prices = PriceFile(document)
    private = _private_modes(vectors)
    for vector in vectors:
        subject = f"vector {vector['id']}"
        try:
            case = Case(vector, prices, is_private=private[_place(vector)])
        except MissingError as error:
            comparison.skip(f"{subject}: {error}")
            continue
        _verify_vector(comparison, subject, case)
    verify_prices(comparison, prices)
    return comparison


def _verify_vector(comparison: Comparison, subject: str, case: Case) -> None:
    vector = case.vector
    comparison.compare(
        "value", subject, "getPositionKey", case.identity.key(), vector["key"].lower()
    )
    for role in case.feeds:
        _verify_token(comparison, f"{subject} {role}", case, role)
    for name, answer in vector["expect"].items():
        ask = _question(case, name)
        if ask is None:
            comparison.skip(f"{subject}: {name} is not a question that is known")
        elif answer is not None and name == "liquidate_position_call" and case.is_private is None:
            comparison.skip(f"{subject}: {name}: only this answer tells of the liquidation mode")
        elif answer is not None:
            kind = "value" if name in AMOUNTS else "verdict"
            comparison.compare(kind, subject, name, said(ask), heard(answer))
    for name, answer in (vector.get("flip") or {}).items():
        space, _, which = name.partition("_")
        if space not in ("exact30", "native"):
            comparison.skip(f"{subject}: {name} is not a flip that is known")
        elif answer is not None and name not in SETTINGS:
            ours = said(partial(_flip, case, space, which))
            comparison.compare("flip", subject, name, ours, heard(answer))


def _verify_token(comparison: Comparison, subject: str, case: Case, role: str) -> None:
    words, feed, now = case.vector[role], case.feeds[role], case.now
    include_amm = bool(case.vector["vault_config"]["includeAmmPrice"])
    rate = partial(get_next_funding_rate, case.funding[role], now)
    _compare(comparison, subject, words, "getNextFundingRate", rate)
    for side, maximise in (("Min", False), ("Max", True)):
        vault_price = partial(get_price, feed, maximise, include_amm, now)
        _compare(comparison, subject, words, f"get{side}Price", vault_price)
        primary = partial(get_primary_price, feed, maximise)
        _compare(comparison, subject, words["feed"], f"primary{side}", primary)
        plain = partial(get_price, feed, maximise, False, now)
        _compare(comparison, subject, words["feed"], f"price{side}NoAmm", plain)


def _compare(
    comparison: Comparison, subject: str, words: Vector, name: str, ours: Callable[[], Any]
) -> None:
    if words[name] is not None:
        comparison.compare("value", subject, name, said(ours), heard(words[name]))


def _question(case: Case, name: str) -> Callable[[], Any] | None:
    """How to predict the answer to a recorded question; ``None`` if it is not known."""
    position = case.position
    if name == "leverage":
        return partial(get_position_leverage, position.size, position.collateral)
    if name == "position_delta":
        return partial(_delta, case)
    if name in ("liquidate_position_call", "position_manager_liquidate_call"):
        return partial(_liquidate, case, by_manager=name.startswith("position_manager"))
    question, _, rest = name.partition("_")
    variant, _, mode = rest.partition("_")
    if question == "validate" and variant in ("A", "B", "C", "vault") and mode in ("", "raise"):
        return partial(_validate, case, variant, raising=mode == "raise")
    return None


def _delta(case: Case) -> tuple[bool, int]:
    terms = case.terms("vault", executable=False)
    return get_delta(case.position, case.is_long, case.price(include_amm=True), terms)


def _validate(case: Case, variant: str, *, raising: bool) -> tuple[int, int]:
    terms = case.terms(variant, executable=False)
    if raising:
        terms = replace(terms, profit_counts=False)
    price = case.price(include_amm=True)
    verdict = validate_liquidation(case.position, case.is_long, price, terms)
    reason = raised(verdict)
    if raising and reason is not None:
        raise Revert(reason)
    return verdict.state, verdict.margin_fees


def _liquidate(case: Case, *, by_manager: bool) -> str:
    """``Vault.liquidatePosition``, called by anyone or through the PositionManager.

    The PositionManager is a liquidator, and has the Timelock put its own margin fee in force.
    """
    if case.is_private and not by_manager:
        raise Revert(INVALID_LIQUIDATOR)
    fee = case.vector.get("timelock_margin_fee_bps") if by_manager else None
    terms = case.terms("vault", executable=True, margin_fee=fee)
    if case.position.size == 0:
        raise Revert(EMPTY)
    price = case.price(include_amm=False)
    verdict = validate_liquidation(case.position, case.is_long, price, terms)
    if verdict.state == SAFE:
        raise Revert(CANNOT_BE_LIQUIDATED)
    has_profit, delta = get_delta(case.position, case.is_long, price, terms)
    fee_usd = terms.liquidation_fee_usd
    due = Liquidation(case.position, case.is_long, verdict, has_profit, delta, fee_usd)
    blocked = blocked_by(due, case.pool())
    if blocked is not None:
        raise Revert(blocked)
    return OK


def _flip(case: Case, space: str, which: str) -> dict[str, Any]:
    executable = which == "effective_liquidatePosition"
    terms = case.terms("vault" if executable else which, executable=executable)
    flip = liquidation_price(case.position, case.is_long, terms)
    if space == "native":
        flip = native_flip(case.feeds["index"], flip, case.is_long, case.now)
    if flip.last_liquidatable is None:
        return {"type": flip.kind}
    return {
        "type": flip.kind,
        "last_liquidatable": flip.last_liquidatable,
        "first_safe": flip.first_safe,
    }


def _place(vector: Vector) -> tuple[str, str]:
    return vector["vault"].lower(), str(vector["block_number"])


def _private_modes(vectors: Sequence[Vector]) -> dict[tuple[str, str], bool | None]:
    """Whether only liquidators may liquidate, by vault and block; ``None`` if one answer tells."""
    refused: dict[tuple[str, str], list[bool]] = defaultdict(list)
    for vector in vectors:
        answer = vector["expect"].get("liquidate_position_call")
        is_refused = isinstance(answer, Mapping) and answer.get("revert") == INVALID_LIQUIDATOR
        refused[_place(vector)] += [is_refused] if answer is not None else []
    return {
        place: None if answers == [True] else bool(answers) and all(answers)
        for place, answers in refused.items()
    }
