"""The contracts' own views and simulated liquidations against what was indexed."""

from dataclasses import replace

import pytest

from analyzer.evm import NOT_READ, Answer
from tests.protocols.perp_v1_chain import (
    BLOCKS,
    LIQUIDATOR,
    answers,
    deployment,
    indexed,
    state_at,
    stored,
    take,
    thorough,
    verified,
)

COUNTS = {414: 144, 469: 144, 479: 148, 481: 148, 544: 148, 550: 148, 569: 138, 580: 136}


@pytest.mark.parametrize("number", BLOCKS)
def test_every_recorded_answer_agrees(number):
    taken = take(number, found=thorough(), state=state_at(number))
    found = verified(taken, thorough())
    assert found.differences == []
    assert found.skipped == 0
    assert found.verdicts == 2 * COUNTS[number]
    assert found.values == 7 * COUNTS[number]


def test_the_liquidator_is_taken_from_the_logs_where_there_is_one():
    assert {account.inputs["liquidator"] for account in stored(indexed(414))} == {None}
    assert {account.inputs["liquidator"] for account in stored(indexed(580))} == {LIQUIDATOR}
    assert verified(indexed(414), deployment()).verdicts == COUNTS[414]
    assert verified(indexed(580), deployment()).verdicts == 2 * COUNTS[580]


def _changed(account, **changes):
    (position,) = account.positions
    return replace(account, positions=[replace(position, outputs={**position.outputs, **changes})])


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (
            lambda a: _changed(a, getMarginRatio=a.positions[0].outputs["getMarginRatio"] + 1),
            "value",
        ),
        (lambda a: _changed(a, isOverSpreadLimit=True), "value"),
        (lambda a: _changed(a, spot={"positionNotional": 1, "unrealizedPnl": 1}), "value"),
        (lambda a: _changed(a, liquidate="OK"), "verdict"),
        (lambda a: replace(a, state="liquidatable"), "verdict"),
    ],
)
def test_one_wrong_value_of_ours_is_one_difference(change, kind, monkeypatch):
    accounts = [change(stored(indexed(580))[0])]
    monkeypatch.setattr("tests.protocols.perp_v1_chain.stored", lambda _: accounts)
    found = verified(indexed(580), deployment())
    assert [difference.kind for difference in found.differences] == [kind]


def test_what_was_not_read_is_skipped_with_its_reason_never_agreed():
    found = verified(indexed(580), deployment(), lambda requests: [NOT_READ] * len(requests))
    assert (found.verdicts, found.values) == (0, 0)
    assert found.skipped == COUNTS[580]
    assert "not read" in found.skip_reasons[0]


def test_a_view_that_reverts_where_we_predict_none_is_a_difference():
    def failing(requests):
        return [Answer(error="something else") for _ in requests]

    found = verified(indexed(580), deployment(), failing)
    assert found.mismatches("verdict") > 0


def test_a_liquidation_that_fails_to_pay_out_is_skipped_not_called_wrong():
    def poor(requests):
        recorded = answers(580)(requests)
        return [
            Answer(error="Fund not enough") if request.sender and answer.error is None else answer
            for request, answer in zip(requests, recorded, strict=True)
        ]

    found = verified(indexed(580), deployment(), poor)
    assert found.differences == []
    assert found.skipped == 1
    assert "Fund not enough" in found.skip_reasons[0]
