"""How long to wait, in every form in which providers say so."""

import pytest

from analyzer.chain.pace import Pace, hinted_wait, retry_after


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        (" 1.5 ", 1.5),
        ("-3", 0.0),
        ("Thu, 01 Jan 1970 00:01:40 GMT", 40.0),
        ("Thu, 01 Jan 1970 00:00:40 GMT", 0.0),
        ("soon", None),
        ("", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value, seconds):
    assert retry_after({"Retry-After": value}, now=lambda: 60.0) == seconds


@pytest.mark.parametrize(
    ("data", "message", "seconds"),
    [
        ({"see": "docs", "rate": {"backoff_seconds": 30, "allowed_rps": 1}}, "", 30.0),
        ({"backoff_seconds": "2.5"}, "", 2.5),
        ({"try_again_in": "1.5s"}, "", 1.5),
        ({"retry_after": "never"}, "", None),
        ({"a": {"b": {"c": {"d": {"retry_after": 1}}}}}, "", None),
        (None, "rate limited, try again in 250ms", 0.25),
        (None, "Too many requests, retry after 10 s", 10.0),
        (None, "wait 2 minutes", 120.0),
        ("0x", "execution reverted", None),
        ([], "", None),
    ],
)
def test_hints_in_the_body_are_found(data, message, seconds):
    assert hinted_wait(data, message) == seconds


@pytest.mark.parametrize("value", ["nan", "inf", "1e400"])
def test_a_wait_that_is_no_number_of_seconds_is_none(value):
    assert retry_after({"Retry-After": value}, now=lambda: 60.0) is None
    assert hinted_wait({"retry_after": value}, "") is None


def test_requests_leave_at_the_rate_and_not_in_a_pause():
    waits = []
    pace = Pace(2.0, waits.append, clock=lambda: 100.0)
    for _ in range(3):
        pace.wait()
    assert waits == [0.5, 1.0]
    pace.pause(60)
    pace.wait()
    assert waits == [0.5, 1.0, 60.0]


def test_without_a_rate_nothing_waits():
    pace = Pace(None, pytest.fail)
    for _ in range(100):
        pace.wait()
