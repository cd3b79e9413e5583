"""Chains that are given templates hand out the same logs, held by them."""

import pytest

from analyzer.chain import Settings, open_chain
from analyzer.chain.recorder import Recorder
from analyzer.chain.recording import RecordedChain
from analyzer.evm import LogFilter
from analyzer.log_columns import LogColumns
from analyzer.payloads import WHOLE
from tests.chain.conftest import NESTED, PATIENCE
from tests.chain.manners import Manners
from tests.chain.server import RecordingServer

MANNERS = {
    "a plain node": Manners(),
    "100 logs": Manners(max_logs=100, result_wording="infura"),
    "small ranges": Manners(max_range=20, range_wording="alchemy"),
    "no times in logs": Manners(block_timestamps=False),
}


@pytest.fixture(scope="module")
def recorded():
    return RecordedChain(NESTED)


@pytest.fixture(scope="module")
def wanted(nested):
    """All logs of the recording, and the blocks that have them; some logs match both filters."""
    emitters = tuple(sorted({log["address"].lower() for log in nested}))
    numbers = [int(log["blockNumber"], 16) for log in nested]
    filters = [LogFilter(emitters), LogFilter((), ((nested[0]["topics"][0],),))]
    return filters, min(numbers), max(numbers)


def read(chain, wanted, *templates):
    return LogColumns.join([LogColumns.of(b.logs) for b in chain.logs(*wanted, *templates)])


@pytest.mark.parametrize("manners", MANNERS.values(), ids=MANNERS)
def test_a_nodes_logs_are_the_recorded_ones_and_held(node, recorded, wanted, learned, manners):
    chain = node(manners, NESTED).chain
    logs = read(chain, wanted, learned)
    assert len(logs) > 1_500
    assert logs == read(recorded, wanted)
    assert (logs.payloads.which != WHOLE).all()
    plain = read(chain, wanted)
    assert plain == logs
    assert plain.payloads.templates == ()


def test_nodes_that_are_compared_hold_the_same_logs(wanted, recorded, learned):
    settings = Settings(timeout=PATIENCE, sleep=lambda _: None, concurrency=1)
    notes = []
    with RecordingServer(NESTED) as one, RecordingServer(NESTED) as other:
        chain = open_chain(
            [one.url, other.url], settings=settings, progress=notes.append, cross_check=1
        )
        logs = read(chain, wanted, learned)
        chain.close()
    assert logs == read(recorded, wanted)
    assert (logs.payloads.which != WHOLE).all()
    assert [step.note for step in notes if step.note] == []


def test_what_is_recorded_does_not_depend_on_how_it_was_held(
    node, wanted, recorded, learned, tmp_path
):
    recorder = Recorder(node(Manners(), NESTED).chain, tmp_path / "chain.json.gz")
    recorder.block("latest")
    logs = read(recorder, wanted, learned)
    recorder.close()
    assert (logs.payloads.which != WHOLE).all()
    again = RecordedChain(tmp_path / "chain.json.gz")
    assert read(again, wanted) == read(recorded, wanted)
