"""The comparison with GMX's SDK is one of these vectors, and ours are the contract's prices."""

from dataclasses import replace

from tests.benchmarks.gmx_sdk import PACKAGE, flipping, inputs_sha256, stored_answers
from tests.benchmarks.gmx_sdk_table import SETS, compared, row
from tests.protocols.gmx_v2_run import VECTORS


def test_the_stored_answers_are_to_what_these_vectors_ask():
    stored = stored_answers()
    assert stored.package == PACKAGE
    assert stored.inputs_sha256 == inputs_sha256(
        [case for name in VECTORS for case in flipping(name)]
    )
    assert {name: set(prices) for name, prices in stored.prices.items()} == {
        name: {str(case.vector["id"]) for case in flipping(name)} for name in VECTORS
    }


def test_our_prices_are_the_contracts_on_every_vector():
    every = compared()
    assert len(every) == 237
    assert [one.case.vector["id"] for one in every if not one.is_ours_equal] == []


def test_a_price_that_is_one_unit_off_is_counted():
    one = compared()[0]
    (flip,) = one.ours
    off_by_one = replace(one, ours=((flip[0] + 1, flip[1] + 1),))
    *_, equal, off = row([off_by_one, one, off_by_one])
    assert (equal, off) == (1, 2)


def test_every_set_of_the_table_has_positions_and_only_the_first_has_all():
    every = compared()
    counts = [sum(map(belongs, every)) for belongs in SETS.values()]
    assert counts[0] == len(every)
    assert all(20 < count < len(every) for count in counts[1:])


def test_a_flip_that_the_sdk_shows_past_the_contracts_is_late():
    for one in compared():
        below = one.liquidatable_price < one.safe_price
        beyond = replace(one, sdk=one.liquidatable_price + (-1 if below else 1))
        assert beyond.is_sdk_late
        assert not replace(one, sdk=one.liquidatable_price).is_sdk_late
        assert not replace(one, sdk=one.safe_price).is_sdk_late
        assert beyond.sdk_distance_bps > 0
