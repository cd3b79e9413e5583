"""Every recorded contract answer, and a file that differs in one of them."""

from copy import deepcopy

import pytest

from analyzer.errors import AnalyzerError
from analyzer.protocols.perp_v1 import PROTOCOL
from analyzer.protocols.perp_v1.vectors import verify_vectors
from tests.protocols.perp_v1_chain import vectors


def test_every_answer_of_the_contracts_is_ours():
    found = verify_vectors(vectors())
    assert found.differences == []
    assert (found.verdicts, found.values, found.flips) == (5273, 6916, 184)
    assert found.skipped == 0


def _one_position(**changes):
    document = deepcopy({**vectors(), "flips": []})
    snapshot = document["snapshots"][0]
    document["snapshots"] = [snapshot]
    snapshot["positions"] = snapshot["positions"][:1]
    snapshot["positions"][0] |= changes
    return document


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"marginRatio": ["428408089841507424"]}, "value"),
        ({"spot": [["32996060674250053188"], ["102819325749946813"]]}, "value"),
        ({"liquidate_sim": "OK"}, "verdict"),
        ({"liquidate_sim": "amm was closed"}, "verdict"),
    ],
)
def test_one_different_answer_is_one_difference(changes, kind):
    found = verify_vectors(_one_position(**changes))
    assert [difference.kind for difference in found.differences] == [kind]


def test_a_flip_on_the_wrong_side_is_a_difference():
    document = deepcopy(vectors())
    flip = document["flips"][0]
    flip["flip"] = str(int(flip["flip"]) + 10**24)
    document["flips"] = [flip]
    assert verify_vectors(document).mismatches("flip") == 1


def test_a_recorded_revert_is_predicted_with_its_reason():
    document = _one_position(
        size="0",
        marginRatio="execution reverted: positionSize is 0",
        liquidate_sim="positionSize is 0",
    )
    position = document["snapshots"][0]["positions"][0]
    position |= {name: [["0"], ["0"]] for name in ("spot", "twap", "oracle")}
    found = verify_vectors(document)
    assert found.differences == []
    position["marginRatio"] = "execution reverted: something else"
    assert verify_vectors(document).mismatches("value") == 1


def test_an_oracle_that_reverts_is_predicted_too():
    document = _one_position(oracle="empty address", liquidate_sim="empty address")
    amm = document["snapshots"][0]["amms"][0]
    amm |= {"underlyingPrice": "empty address", "isOverSpreadLimit": "empty address"}
    assert verify_vectors(document).differences == []


@pytest.mark.parametrize("damage", ["snapshots", "flips"])
def test_a_file_of_another_kind_is_refused_in_one_sentence(damage):
    document = deepcopy(vectors())
    document[damage] = [{"block": 1}]
    with pytest.raises(AnalyzerError, match="not a file of Perpetual Protocol v1"):
        PROTOCOL.verify_vectors(document)
