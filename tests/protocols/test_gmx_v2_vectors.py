"""Our arithmetic against recorded answers of the real contracts."""

import copy

import pytest

from analyzer.errors import AnalyzerError
from analyzer.protocols.gmx_v2 import PROTOCOL
from analyzer.protocols.gmx_v2.liquidation import liquidation_prices
from analyzer.protocols.gmx_v2.risk import is_position_liquidatable
from tests.protocols.gmx_v2_run import VECTORS, cases, document

LEAST = {"2b": (3696, 60_000, 200), "2b_accrual": (1194, 14_000, 40), "2c": (2564, 31_000, 100)}


@pytest.mark.parametrize("name", VECTORS)
def test_every_recorded_verdict_amount_rate_and_flip_is_ours(name):
    found = PROTOCOL.verify_vectors(document(f"vectors_{name}"))
    assert found.differences == []
    assert found.skipped == 0
    assert (found.verdicts, found.values, found.flips) >= LEAST[name]
    assert found.verdicts == LEAST[name][0]


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        (("verdict_min_usd_for_liquidation", "isLiquidatable"), "verdict"),
        (("verdict_no_min_usd_not_for_liquidation", "remainingCollateralUsd"), "value"),
        (("position_info", "fees", "funding", "fundingFeeAmount"), "value"),
        (("market_info", "nextFunding", "fundingFactorPerSecond"), "value"),
        (("market_info", "borrowingFactorPerSecondForLongs"), "value"),
        (("flip", "liquidatable_price"), "flip"),
    ],
)
def test_a_changed_answer_is_a_difference(path, kind):
    file = document("vectors_2b")
    vector = copy.deepcopy(next(v for v in file["vectors"] if v.get("flip", {}).get("exists")))
    *outer, last = path
    inner = vector
    for name in outer:
        inner = inner[name]
    inner[last] = not inner[last] if kind == "verdict" else str(int(inner[last]) + 1)
    found = PROTOCOL.verify_vectors({"release": "2b", "vectors": [vector]})
    assert [difference.kind for difference in found.differences] == [kind]


def test_a_recorded_revert_is_an_answer_to_predict():
    vectors = document("vectors_2b")["vectors"]
    reverting = [vector for vector in vectors if "error" in vector["position_info"]]
    assert len(reverting) == 7
    for vector in reverting:
        vector["position_info"]["error"] += "1"
    found = PROTOCOL.verify_vectors({"release": "2b", "vectors": reverting})
    assert found.mismatches("value") == 7


def test_a_word_that_a_verdict_needs_is_not_made_up_but_skipped():
    vector = document("vectors_2b")["vectors"][0]
    del vector["data_store"]["POSITION_FEE_FACTOR:negative"]
    found = PROTOCOL.verify_vectors({"release": "2b", "vectors": [vector]})
    assert found.skipped == 1
    assert "POSITION_FEE_FACTOR:negative was not read" in found.skip_reasons[0]


@pytest.mark.parametrize("damaged", [{}, {"release": "2b", "vectors": [{"id": 1}]}])
def test_a_damaged_file_is_an_error_that_says_so(damaged):
    with pytest.raises(AnalyzerError, match="no file of GMX v2 vectors"):
        PROTOCOL.verify_vectors(damaged)


def test_an_unknown_release_is_refused_by_name():
    with pytest.raises(AnalyzerError, match=r"'3\.0' is not known"):
        PROTOCOL.verify_vectors({"release": "3.0", "vectors": []})


@pytest.mark.parametrize("name", VECTORS)
def test_a_scan_of_prices_finds_no_flip_that_the_search_missed(name):
    """The search looks where the forms say; a scan looks everywhere, though coarsely."""
    for case in cases(name)[::4]:
        flips = liquidation_prices(case.closing, case.prices).flips
        middle, market = case.prices.index.mid, case.state.market

        def is_safe(price, case=case, market=market):
            at_price = market.at_index_price(case.prices, price)
            return not is_position_liquidatable(case.closing, at_price).is_liquidatable

        prices = sorted({middle // 1000 + 1, *(int(middle * 1.3**k) for k in range(-12, 12))})
        verdicts = [is_safe(price) for price in prices]
        for low, high, at_low, at_high in zip(
            prices[:-1], prices[1:], verdicts[:-1], verdicts[1:], strict=True
        ):
            between = sum(low <= min(f.safe_price, f.liquidatable_price) < high for f in flips)
            assert between % 2 == (at_low != at_high), case.vector["id"]
