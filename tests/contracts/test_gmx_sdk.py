"""The answers of GMX's SDK that are stored are the ones that the published package gives."""

import pytest

from tests.benchmarks.gmx_sdk import PACKAGE, asked, stored_answers
from tests.contracts.anvil import MISSING
from tests.contracts.fetch import folder


def test_the_published_sdk_answers_what_is_stored():
    if not folder(PACKAGE).is_dir():
        raise RuntimeError(MISSING)
    stored, found = stored_answers(), asked()
    assert found.inputs_sha256 == stored.inputs_sha256
    for name, prices in stored.prices.items():
        # Its price impact is a floating-point power, whose last digits are the engine's.
        assert found.prices[name] == pytest.approx(prices, rel=1e-9)
