"""A client whose patience ends when the server says so: what follows depends on no duration.

How long a real client waits, and that it does not wait longer, is tested in ``test_deadlines``.
"""

import pytest

from analyzer.chain import dial
from analyzer.chain.failure import Kind
from analyzer.chain.over_http import HttpTransport
from analyzer.chain.transport import LostError, Reply
from tests.chain.manners import TIME_IS_UP


class ToldTransport(HttpTransport):
    """Takes the status that a server has for "time is up" for an answer that did not come."""

    def exchange(self, payload: bytes) -> Reply:
        reply = super().exchange(payload)
        if reply.status == TIME_IS_UP:
            raise LostError(Kind.TIMEOUT, f"no answer within {self._settings.timeout:g} s")
        return reply


def take_the_servers_word(monkeypatch: pytest.MonkeyPatch) -> None:
    """Speak to every node over HTTP in this way, until the test ends."""
    monkeypatch.setattr(dial, "HttpTransport", ToldTransport)
