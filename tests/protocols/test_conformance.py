"""No damaged or missing log may turn into an answer that looks certain, in any protocol.

The full sweep is ``python -m tests.protocols.conformance``; here one log of each event and way, and
all logs of an event cut or missing.
"""

import pytest

from analyzer.protocols import protocols
from tests.protocols.conformance import DAMAGES, judge, recorded, sample

CASES = [
    pytest.param(one, event, id=f"{one.title}-{event}")
    for one in recorded()
    for event, places in one.events().items()
    if places
]


def test_every_protocol_has_a_recorded_chain_whose_books_balance():
    assert {one.deployment.protocol for one in recorded()} == set(protocols())
    for one in recorded():
        assert one.truth().is_complete, one.title
        assert one.truth().taken.books == "balanced", one.title
        assert len(one.truth().accounts) > 20


@pytest.mark.parametrize(("one", "event"), CASES)
def test_a_damaged_log_never_gives_a_wrong_answer(one, event):
    truth, places = one.truth(), one.events()[event]
    for way, damage in DAMAGES.items():
        (place, *_) = sample(places, 1, f"{one.title} {event} {way}")
        found = judge(truth, one.damaged(damage, [place]))
        assert found.holds, (way, place, found)
        if way != "missing":
            assert found.shown >= 0.9 * len(truth.accounts), (way, place)


@pytest.mark.parametrize("way", ["cut", "missing"])
@pytest.mark.parametrize(("one", "event"), CASES)
def test_no_event_is_needed_for_a_right_answer(one, event, way):
    found = judge(one.truth(), one.damaged(DAMAGES[way], one.events()[event]))
    assert found.holds, found


@pytest.mark.parametrize(
    "one",
    [
        pytest.param(one, id=one.title)
        for one in recorded()
        if protocols()[one.deployment.protocol].needs_logs
    ],
)
def test_an_empty_or_cut_history_is_not_believed(one):
    """Nothing stands for logs that never came but the totals that the contracts keep."""
    logs = one.logs()
    for kept in ([], logs[len(logs) // 3 :]):
        read = one.read(kept)
        assert judge(one.truth(), read).holds
        assert not read.is_complete
