"""Bisected verdict flips: one market's oracle answer moves, everything else stands still."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from analyzer.protocol import Comparison
from analyzer.protocols.perp_v2.account import (
    MarginAccount,
    System,
    get_account_value,
    get_margin_requirement_for_liquidation,
    is_margin_liquidatable,
    value_account,
)
from analyzer.protocols.perp_v2.liquidation import Liquidator, liquidate
from analyzer.protocols.perp_v2.liquidation_price import get_liquidation_price, mark_slice
from analyzer.protocols.perp_v2.perp_math import WAD
from analyzer.protocols.perp_v2.prices import get_premium, price_market
from analyzer.protocols.perp_v2.state import Account, Known, attempt, known
from analyzer.protocols.perp_v2.vault import (
    get_margin_requirement_for_collateral_liquidation,
    is_liquidatable,
)
from analyzer.protocols.perp_v2.vectors import answer_of, number
from analyzer.reads import Failed, MissingError


def compare_answer(
    comparison: Comparison, kind: str, subject: str, name: str, ours: Any, recorded: Any
) -> None:
    """One answer; ours may be a predicted revert, or unknown for want of an input."""
    if isinstance(ours, Failed) and not ours.reverted:
        comparison.skip(f"{subject} {name}: {ours.reason}")
        return
    comparison.compare(kind, subject, name, _plain(ours), _plain(recorded))


def verify_flip(
    comparison: Comparison,
    flip: Mapping[str, Any],
    system: System,
    account: Account,
    caller: Liquidator,
) -> None:
    """One market's oracle answer is replaced by a fresh one: TWAPs of the index keep theirs."""
    base_token, subject = flip["baseToken"].lower(), f"block {flip['block']} {flip['account']}"
    subject = f"{subject} {flip['market']} {flip['kind']}"

    def at(answer: Any) -> MarginAccount:
        return value_account(_with_answer(system, base_token, flip, number(answer)), account)

    try:
        premium = get_premium(system.config, system.market(base_token).market)
        comparison.compare("value", subject, "premium", premium, number(flip["premium"]))
        before, after = at(flip["answer_before"]), at(flip["answer_flip"])
        verdicts = (_verdict(flip, before, caller), _verdict(flip, after, caller))
        theirs = (flip["verdict_low"], flip["verdict_high"])
        comparison.compare("flip", subject, flip["answer_flip"], verdicts, theirs)
        for margin, recorded in ((before, flip["at_before"]), (after, flip["at_flip"])):
            _verify_flip_values(comparison, subject, base_token, margin, recorded)
        for answer, verdict in flip["verdict_at_answer"]:
            ours = _verdict(flip, at(answer), caller)
            comparison.compare("verdict", subject, f"at {answer}", ours, verdict)
        if flip["kind"] != "collateral":
            _verify_solution(comparison, subject, base_token, before, after)
    except MissingError as error:
        comparison.skip(f"{subject}: {error}")


def _verify_solution(
    comparison: Comparison,
    subject: str,
    base_token: str,
    before: MarginAccount,
    after: MarginAccount,
) -> None:
    """The published price lies between the two marks, or in the band where the verdict turns."""
    marks = [known(margin.system.market(base_token).mark_price) for margin in (before, after)]
    low, high = min(marks), max(marks)
    cut = mark_slice(before, base_token)
    found = get_liquidation_price(cut)
    edges = [edge for edge in (found.first_safe, found.below, found.above) if edge is not None]
    brackets = bool(edges) and min(edges) <= high and max(edges) >= low
    comparison.compare("flip", subject, f"solution {edges} in {low}..{high}", brackets, True)


def _verify_flip_values(
    comparison: Comparison,
    subject: str,
    base_token: str,
    margin: MarginAccount,
    recorded: Mapping[str, Any],
) -> None:
    requirement = get_margin_requirement_for_collateral_liquidation
    ours = {
        "accountValue": attempt(get_account_value, margin),
        "marginRequirement": attempt(get_margin_requirement_for_liquidation, margin),
        "markPrice": margin.system.market(base_token).mark_price,
        "collateralMarginRequirement": attempt(requirement, margin),
        "vault_isLiquidatable": attempt(is_liquidatable, margin),
    }
    for name, value in ours.items():
        kind = "verdict" if name == "vault_isLiquidatable" else "value"
        compare_answer(comparison, kind, subject, name, value, answer_of(recorded[name]))


def _verdict(flip: Mapping[str, Any], margin: MarginAccount, caller: Liquidator) -> bool:
    match flip["kind"]:
        case "liquidate":
            outcome = attempt(liquidate, margin, flip["baseToken"].lower(), caller)
            if isinstance(outcome, Failed) and not outcome.reverted:
                raise MissingError(outcome.reason)
            return not isinstance(outcome, Failed)
        case "margin":
            return is_margin_liquidatable(margin)
        case "collateral":
            return is_liquidatable(margin)
        case kind:
            raise ValueError(f"flips of kind {kind}")


def _with_answer(system: System, base_token: str, flip: Mapping[str, Any], answer: int) -> System:
    market = system.market(base_token).market
    price = answer * WAD // 10 ** int(flip["aggregator_decimals"])
    prices = Known("index price over seconds", {**market.index_prices, 0: price})
    fresh = replace(market, index_prices=prices)
    now = number(flip["override"]["timestamp"])
    priced = price_market(system.config, fresh, now)
    return replace(system, markets={**system.markets, base_token: priced})


def _plain(value: Any) -> Any:
    return f"reverts: {value.reason}" if isinstance(value, Failed) else value
