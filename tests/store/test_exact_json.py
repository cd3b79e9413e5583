"""Integers survive JSON exactly, however large."""

from hypothesis import given
from hypothesis import strategies as st

from analyzer.store import exact_json

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(alphabet="abcxyz0x_ é", min_size=0),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(alphabet="abc"), inner),
)


@given(VALUES)
def test_what_is_dumped_is_loaded(value):
    expected = value
    assert exact_json.load(exact_json.dump(value)) == _as_loaded(expected)


def test_integers_travel_as_strings():
    assert exact_json.dump({"size": 2**256 - 1}) == f'{{"size":"{2**256 - 1}"}}'


def _as_loaded(value):
    if isinstance(value, str) and exact_json.CANONICAL_INTEGER.fullmatch(value):
        return int(value)
    if isinstance(value, list):
        return [_as_loaded(item) for item in value]
    if isinstance(value, dict):
        return {key: _as_loaded(item) for key, item in value.items()}
    return value
